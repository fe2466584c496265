"""Laws of probability paths: the continuity equation, the rates of entropy and KL, and the identity that ties them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from rmatch.distributions import Distribution
from rmatch.manifolds import Manifold
from rmatch.objectives import entropy
from rmatch.paths import FlowPath
from rmatch.verify._tolerances import norm
from rmatch.verify.base import Inputs, Need, Residual, law
from rmatch.verify.draw import Draw
from rmatch.verify.subject import EVERYWHERE, NO_DISTRIBUTION, SAMPLES, Pair, Subject

_STEP = 1e-2
"""Step of the difference quotient in time: of fourth order, so its error is about 1e-8 for paths of unit rate."""


_LONG = "its geodesics or integrals take long: ask for thorough"
_FLOWS = "no heat kernel is known on it, and pairings of flows without a spectral rule take long: ask for thorough"


def _without_paths(subject: Subject) -> str | None:
    """Points on heat paths are cheap in any dimension, and those of flows on the members."""
    return _lacking(subject, lambda pairs: pairs[0].is_closed or pairs[0].is_quick or subject.is_member, _LONG)


def _without_pairing(subject: Subject) -> str | None:
    return _lacking(subject, lambda pairs: pairs[0].is_quick, _FLOWS)


def _without_flow(subject: Subject) -> str | None:
    lacking = _lacking(subject, lambda pairs: pairs[-1].is_quick or subject.is_member, _LONG)
    if lacking is None and not isinstance(subject.pairs[-1].q, FlowPath):
        return "q is no flow whose field could be scaled"
    return lacking


def _lacking(subject: Subject, is_quick: Callable[[tuple[Pair, ...]], bool], why_not: str) -> str | None:
    if not subject.distributions:
        return NO_DISTRIBUTION
    return None if subject.thorough or subject.given or is_quick(subject.pairs) else why_not


PATHS = Need("two probability paths", _without_paths)
PAIRING = Need("two probability paths, and integrals under them", _without_pairing)
FLOW = Need("a flow whose field can be scaled", _without_flow)


def _pair(draw: Draw) -> Inputs:
    """The pair of paths: heat paths first, flows when more cases are tried."""
    pairs = draw.subject.pairs
    return {"pair": pairs[draw.level % len(pairs)]}


def _pair_and_points(draw: Draw) -> Inputs:
    pair: Pair = _pair(draw)["pair"]
    t = 0.2 + 0.15 * (draw.level % 4)
    x = pair.p.sample(t, (draw.rows,), generator=draw.generator, dtype=torch.float64)
    return {"pair": pair, "x": x, "t": t}


@law(
    "continuity-equation",
    "∂p/∂t = -Div(p V)",
    catches="a density that its field does not generate",
    inputs=_pair_and_points,
    needs=(
        EVERYWHERE,
        PATHS,
    ),
    cases=2,
)
def continuity_equation(M: Manifold, pair: Pair, x: Tensor, t: float) -> Residual:
    """Divided by p: `∂ log p/∂t + Div V + ⟨V, ∇log p⟩ = 0`, with a difference quotient in time."""
    p, h = pair.p, _STEP
    before, after = (p.log_prob(t + h, x) - p.log_prob(t - h, x), p.log_prob(t + 2 * h, x) - p.log_prob(t - 2 * h, x))
    rate = (8 * before - after) / (12 * h)
    coarse = after / (4 * h)
    value, divergence = M.value_and_divergence(lambda z: p.velocity(t, z))(x)
    score = p.score(t, x)
    drift = M.inner(x, value, score)
    size = 1 + divergence.abs() + norm(M, x, value) * norm(M, x, score)
    allowed = (4 * pair.accuracy + 1e-7) * size + (rate - coarse).abs() * h
    return Residual((rate + divergence + drift).abs(), allowed)


@law(
    "path-score",
    "score(t, x) = ∇log p_t(x)",
    catches="a score that is carried along by a wrong equation",
    inputs=_pair_and_points,
    needs=(
        EVERYWHERE,
        PATHS,
    ),
    cases=2,
)
def path_score(M: Manifold, pair: Pair, x: Tensor, t: float) -> Residual:
    p = pair.p
    log_prob, score = p.log_prob_and_score(t, x)
    wanted = M.gradient(lambda z: p.log_prob(t, z))(x)
    off = norm(M, x, score - wanted) + (log_prob - p.log_prob(t, x)).abs()
    return Residual(off, (10 * pair.accuracy + 1e-10) * (1 + norm(M, x, wanted)))


@law(
    "entropy-rate",
    "H(p_1) - H(p_0) = -∫ E_p⟨V, ∇log p⟩ dt",
    catches="a density, a field and a score of different paths",
    inputs=_pair,
    needs=(
        EVERYWHERE,
        PAIRING,
    ),
    cases=1,
)
def entropy_rate(M: Manifold, pair: Pair) -> Residual:
    del M
    r = pair.pairing
    ends = [_entropy(path.at(t), pair) for path in (pair.p, pair.q) for t in (0.0, 1.0)]
    changes = torch.tensor([ends[1][0] - ends[0][0], ends[3][0] - ends[2][0]])
    errors = torch.tensor([ends[1][1] + ends[0][1], ends[3][1] + ends[2][1]])
    rates = torch.tensor([r.entropy_rate_p, r.entropy_rate_q])
    allowed = torch.tensor([r.errors.entropy_rate_p, r.errors.entropy_rate_q]) + errors
    return Residual((changes - rates).abs(), pair.certainty * allowed + 2 * pair.accuracy)


def _entropy(p: Distribution, pair: Pair) -> tuple[float, float]:
    generator = torch.Generator().manual_seed(1)
    value, error = entropy(p, method=pair.method, degree=pair.degree, samples=pair.samples, generator=generator)
    return float(value), float(error)


@law(
    "kl-rate",
    "d/dt KL[p_t ‖ q_t] = E_p⟨V - W, ∇log p - ∇log q⟩",
    catches="a pairing of the wrong fields or scores at some time",
    inputs=_pair,
    needs=(
        EVERYWHERE,
        PAIRING,
    ),
    cases=1,
)
def kl_rate(M: Manifold, pair: Pair) -> Residual:
    """At the inner Chebyshev points, by differentiating the polynomial through KL at all of them."""
    del M
    r = pair.pairing
    matrix = _differentiation(r.t)
    rate = matrix @ r.over_time.kl
    errors = pair.certainty * (r.over_time_errors.kl_rate + matrix.abs() @ r.over_time_errors.kl)
    unseen = _last_coefficients(r.over_time.kl) * len(r.t) ** 2
    allowed = errors + unseen + pair.accuracy * matrix.abs().sum(-1)
    return Residual((rate - r.over_time.kl_rate).abs()[1:-1], allowed[1:-1])


def _differentiation(t: Tensor) -> Tensor:
    """The matrix that differentiates the polynomial through values at the nodes t (barycentric form)."""
    gaps = t[:, None] - t[None, :] + torch.eye(len(t), dtype=t.dtype)
    weights = 1 / gaps.prod(-1)
    matrix = weights[None, :] / weights[:, None] / gaps
    matrix = matrix - torch.diag(matrix.diagonal())
    return matrix - torch.diag(matrix.sum(-1))


def _last_coefficients(values: Tensor) -> Tensor:
    """The size of the last two Chebyshev coefficients of the polynomial through values at Chebyshev points."""
    n = len(values) - 1
    k = torch.arange(n + 1, dtype=values.dtype)
    ends = torch.ones_like(values)
    ends[0] = ends[-1] = 0.5
    last = [(2 / n * ends * values * (math.pi * j * k / n).cos()).sum().abs() for j in (n - 1, n)]
    return last[0] + last[1]


@law(
    "kl-identity",
    "KL[p_1 ‖ q_1] = KL[p_0 ‖ q_0] + ∫ E_p⟨V - W, ∇log p - ∇log q⟩ dt",
    catches="log-densities that the fields do not carry",
    inputs=_pair,
    needs=(
        EVERYWHERE,
        PAIRING,
    ),
    cases=1,
)
def kl_identity(M: Manifold, pair: Pair) -> Residual:
    del M
    r = pair.pairing
    allowed = pair.certainty * (r.errors.kl + r.errors.kl_identity) + 4 * pair.accuracy
    return Residual(torch.tensor(abs(r.kl - r.kl_identity)), torch.tensor(allowed))


@law(
    "cauchy-schwarz",
    "(KL[p_1 ‖ q_1] - KL[p_0 ‖ q_0])² ≤ L_FM L_SM",
    catches="losses that are not inner products of the same pairing",
    inputs=_pair,
    needs=(
        EVERYWHERE,
        PAIRING,
    ),
    cases=1,
)
def cauchy_schwarz(M: Manifold, pair: Pair) -> Residual:
    del M
    r = pair.pairing
    excess = max(r.kl - r.bound, 0.0)
    allowed = pair.certainty * (r.errors.kl + r.errors.bound) + 4 * pair.accuracy
    return Residual(torch.tensor(excess), torch.tensor(allowed))


@law(
    "gradient-of-kl",
    "∇_θ KL[p ‖ q_θ] = -E_p ∇_θ log q_θ",
    catches="a solver through which derivatives do not pass",
    inputs=lambda draw: {"pair": draw.subject.pairs[-1]},
    needs=(
        EVERYWHERE,
        FLOW,
    ),
    cases=1,
)
def gradient_of_kl(M: Manifold, pair: Pair) -> Residual:
    """θ scales the field of q: the left side by differences of KL, the right side by differentiating the solve."""
    q = pair.q
    if not isinstance(q, FlowPath):
        return Residual(torch.tensor(math.nan), torch.tensor(0.0), "q is no flow")
    p = pair.p.at(1.0)
    if pair.method == "quadrature":
        x, weights = M.quadrature(pair.degree)
        weights = weights * p.log_prob(x).detach().exp()
    else:
        x = p.sample((SAMPLES,), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        weights = torch.full((SAMPLES,), 1 / SAMPLES, dtype=torch.float64)
    x, weights = x.detach(), weights.detach()

    def mean_log_q(scale: Tensor) -> Tensor:
        scaled = FlowPath(lambda t, z: scale * q.field(t, z), base=q.base, solver=q.solver)
        return (weights * scaled.log_prob(1.0, x)).sum()

    theta, h = torch.ones((), dtype=torch.float64, requires_grad=True), 1e-3
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(mean_log_q(theta), theta)
    with torch.no_grad():
        quotient = (mean_log_q(theta + h) - mean_log_q(theta - h)) / (2 * h)
    # the error of the difference quotient is h²/6 times a third derivative of about the size of the first
    return Residual((gradient - quotient).abs(), 10 * h**2 * (1 + gradient.abs()))


LAWS = (
    continuity_equation,
    path_score,
    entropy_rate,
    kl_rate,
    kl_identity,
    cauchy_schwarz,
    gradient_of_kl,
)

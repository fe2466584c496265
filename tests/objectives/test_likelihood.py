"""Maximum likelihood and reverse KL: their values and gradients against closed forms and quadrature."""

import math

import pytest
import torch
from torch import Tensor, nn

import rmatch as rm
from rmatch._typing import ScalarFunction

PRECISE = rm.DormandPrince(rtol=1e-8, atol=1e-8)
SPHERE = rm.Sphere(2)
POLE = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


class Climb(nn.Module):
    """The field a (n - <n, x> x): heights h move as artanh h + a t, so q_1 is known for every a."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        del t
        pole = POLE.to(x.dtype)
        return self.a.to(x.dtype) * (pole - x[..., 2:] * x)


def climbed(a: Tensor, x: Tensor) -> Tensor:
    """log q_1: the height was h0 = tanh(artanh h - a), and areas scale as dh0/dh = (1 - h0²)/(1 - h²)."""
    h = x[..., 2]
    h0 = torch.tanh(torch.atanh(h) - a)
    return -math.log(4 * math.pi) + torch.log((1 - h0**2) / (1 - h**2))


def points(n: int = 40) -> Tensor:
    return rm.Uniform(SPHERE).sample((n,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_likelihood_and_its_gradient_are_those_of_the_closed_form() -> None:
    field, x = Climb(0.7), points()
    loss = rm.MaximumLikelihood(rm.Uniform(SPHERE), solver=PRECISE)(field, x)
    wanted = -climbed(field.a, x).mean()
    torch.testing.assert_close(loss, wanted, rtol=1e-7, atol=1e-7)
    (found,), (exact,) = torch.autograd.grad(loss, [field.a]), torch.autograd.grad(wanted, [field.a])
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6)


def test_the_gradient_of_likelihood_is_the_gradient_of_kl() -> None:
    """∇_θ KL[p || q_θ] = -E_p ∇_θ log q_θ, by quadrature over the sphere against a difference quotient of KL."""
    base, field, step = rm.Uniform(SPHERE), Climb(0.4), 1e-4
    p = rm.VonMisesFisher(SPHERE, torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64), 2.0)
    nodes, weights = SPHERE.quadrature(degree=24)
    mass = weights * p.log_prob(nodes).exp()

    def kl(a: float) -> float:
        return float(rm.kl(p, rm.FlowPath(Climb(a), base=base, solver=PRECISE).at(1.0), degree=24).value)

    quotient = (kl(0.4 + step) - kl(0.4 - step)) / (2 * step)
    losses = torch.stack([rm.MaximumLikelihood(base, solver=PRECISE)(field, nodes[k : k + 1]) for k in (0, 100, 200)])
    singles = -climbed(field.a, nodes[[0, 100, 200]])
    torch.testing.assert_close(losses, singles, rtol=1e-6, atol=1e-6)  # one row at a time: the loss is a mean
    back = PRECISE.solve(SPHERE, field, nodes, 1.0, 0.0, divergence="exact", parameters=[field.a])
    assert back.log_density_change is not None
    (gradient,) = torch.autograd.grad((mass * (back.log_density_change - base.log_prob(back.point))).sum(), [field.a])
    assert float(gradient) == pytest.approx(quotient, abs=1e-6)


def test_hutchinson_likelihood_is_unbiased() -> None:
    field, x = Climb(0.7), points(4000)
    noisy = rm.MaximumLikelihood(rm.Uniform(SPHERE), divergence="hutchinson")
    exact = rm.MaximumLikelihood(rm.Uniform(SPHERE))
    with torch.no_grad():
        values = [float(noisy(field, x, torch.Generator().manual_seed(k))) for k in range(10)]
        wanted = float(exact(field, x))
    mean = sum(values) / 10
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / 9)
    assert abs(mean - wanted) <= 4 * spread / math.sqrt(10)


def test_a_model_with_a_density_of_its_own_is_asked_for_it() -> None:
    class Model(nn.Module):
        def log_prob(self, x: Tensor) -> Tensor:
            return -x.square().sum(-1)

    assert float(rm.MaximumLikelihood()(Model(), torch.tensor([[1.0], [2.0]]))) == 2.5


def test_path_gradient_is_the_gradient_of_reverse_kl() -> None:
    """KL[q_a || π] over the sphere by quadrature of the closed form, differentiated in a."""
    target = rm.VonMisesFisher(SPHERE, torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64), 1.5)
    field = Climb(0.4)
    nodes, weights = SPHERE.quadrature(degree=60)
    log_q = climbed(field.a, nodes)
    exact = (weights * log_q.exp() * (log_q - target.log_prob(nodes))).sum()
    (wanted,) = torch.autograd.grad(exact, [field.a])

    objective = rm.ReverseKL(target.log_prob, rm.Uniform(SPHERE))
    many = torch.zeros(20_000, 3, dtype=torch.float64)
    loss = objective(field, many, torch.Generator().manual_seed(0))
    (found,) = torch.autograd.grad(loss, [field.a])
    assert float(loss.detach()) == pytest.approx(float(exact.detach()), abs=0.02)  # five standard errors
    assert float(found) == pytest.approx(float(wanted), abs=0.02)


def test_path_gradient_vanishes_without_noise_where_the_flow_is_the_target() -> None:
    field = Climb(0.5)
    objective = rm.ReverseKL(lambda x: climbed(torch.tensor(0.5).double(), x), rm.Uniform(SPHERE), solver=PRECISE)
    loss = objective(field, torch.zeros(20, 3, dtype=torch.float64), torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(loss, [field.a])
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-6)
    assert float(gradient) == pytest.approx(0.0, abs=1e-6)


def test_effective_sample_size_against_the_closed_form() -> None:
    """Uniform samples of the density 1 + cos x on the circle: (E w)² / E w² = 1 / (3/2)."""
    q = rm.Uniform(rm.Torus(1))
    generator = torch.Generator().manual_seed(0)
    value, error = rm.effective_sample_size(q, lambda x: torch.log1p(x[..., 0].cos()), 50_000, generator=generator)
    assert abs(float(value) - 2 / 3) <= 4 * float(error)
    assert float(error) < 0.01


@pytest.mark.parametrize(
    ("log_density", "error", "message"),
    [
        (lambda x: x, rm.ShapeError, r"returned shape \(8, 3\)"),
        (lambda x: x[..., 0] * math.nan, rm.InputError, "log_density is nan at"),
        (lambda x: x[..., 0] * 0 + math.inf, rm.InputError, "log_density is inf at"),
        (lambda x: torch.where(x[..., 0] > 0, 0.0, -math.inf), rm.InputError, "log_density is -inf at"),
        (lambda x: x[..., 0] ** 2 + (x[..., 0] - x[..., 0]).sqrt(), rm.InputError, "derivative of log_density"),
        (lambda x: 0.0, rm.InputError, "returned float, not a tensor"),
    ],
)
def test_a_target_that_is_no_density_is_refused(
    log_density: ScalarFunction, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rm.ReverseKL(log_density, rm.Uniform(SPHERE))(Climb(0.1), torch.zeros(8, 3))


@pytest.mark.parametrize(
    ("log_density", "samples", "error", "message"),
    [
        (lambda x: x, 100, rm.ShapeError, r"returned shape \(100, 1\)"),
        (lambda x: x[..., 0].acos(), 100, rm.InputError, r"log_density is nan at \[\d\.\d+\]; it must be a number"),
        (lambda x: x[..., 0] * 0 - math.inf, 100, rm.InputError, "the largest log weight is -inf"),
        (lambda x: x[..., 0], 19, rm.OptionError, "needs 20 samples, got 19"),
    ],
)
def test_an_effective_sample_size_of_no_density_is_refused(
    log_density: ScalarFunction, samples: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rm.effective_sample_size(rm.Uniform(rm.Torus(1)), log_density, samples)


def test_an_effective_sample_size_takes_a_density_with_holes() -> None:
    """Half of the samples of the uniform law lie where the target is uniform too."""
    generator = torch.Generator().manual_seed(0)
    value, error = rm.effective_sample_size(
        rm.Uniform(rm.Torus(1)), lambda x: torch.where(x[..., 0] < math.pi, 0.0, -math.inf), 4000, generator=generator
    )
    assert abs(float(value) - 0.5) <= 4 * float(error)


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(rm.OptionError, match="unknown divergence method"):
        rm.MaximumLikelihood(divergence="approximate")
    with pytest.raises(rm.OptionError, match="law it starts from"):
        rm.MaximumLikelihood()(Climb(0.1), points(2))
    field = rm.TangentMLP(SPHERE, width=8, depth=1)
    with pytest.raises(rm.OptionError, match="needs training points"):
        rm.fit(field, rm.MaximumLikelihood(rm.Uniform(SPHERE)), None, steps=1)

"""Examine the manifolds of other libraries as they are: `python -m tools.examine_peers --write` renews the page.

The same list of laws as for ours, tried on what geoopt, geomstats and flow_matching supply themselves, with nothing
repaired. Libraries that are not installed are left out, but the page is written with all of them.
"""

from __future__ import annotations

import argparse
import importlib
import math
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import rmatch as rm
from rmatch.interop import from_geomstats, from_geoopt, import_geomstats
from rmatch.interop._adapted import Peer
from rmatch.interop._repair import adapt
from rmatch.verify import LAWS, Law, Row
from rmatch.verify.report import Report

PAGE = Path(__file__).resolve().parents[1] / "docs" / "peers-examined.md"

_OURS = ("determinant-of-exp", "minimising-geodesics", "vmap", "forward-and-reverse-derivatives", "compile")
_METRIC = ("metric-symmetric", "metric-bilinear", "metric-positive-definite", "tangent-projection")
EXAMINED = tuple(
    law.name
    for law in LAWS
    if law.name not in _OURS and (law.family in ("geodesics", "transport", "contract") or law.name in _METRIC)
)
"""Laws of what the libraries supply themselves; transforms of torch are nothing that they promise."""


@dataclass(frozen=True)
class Case:
    """A manifold of another library.

    Args:
        library: The package.
        name: Its class, as one would write it.
        make: Makes ours of it, with nothing repaired.
        refused: Makes ours of it with repairs, to see whether it can be repaired at all.
    """

    library: str
    name: str
    make: Callable[[], rm.Manifold]
    refused: Callable[[], rm.Manifold] | None = None

    @property
    def title(self) -> str:
        """What the page calls it."""
        return f"{self.library}: {self.name}"


@dataclass(frozen=True)
class Known:
    """Something wrong that was known before there were laws.

    Args:
        what: One sentence.
        where: What it is about.
        law: The law that finds it.
        find: The row in which it shows.
        library: The package.
    """

    what: str
    where: str
    law: str
    find: Callable[[], Row]
    library: str


def _geoopt(name: str, shape: tuple[int, ...], make: Callable[[Any], Any]) -> Case:
    def build(repair: bool) -> rm.Manifold:
        return from_geoopt(make(importlib.import_module("geoopt")), shape, repair=repair)

    return Case("geoopt", name, lambda: build(False), lambda: build(True))


def _geomstats(module: str, name: str, *arguments: int) -> Case:
    def build() -> rm.Manifold:
        cls = getattr(import_geomstats(f"geometry.{module}"), name)
        return from_geomstats(cls(*arguments), repair=False)

    return Case("geomstats", f"{name}({', '.join(map(str, arguments))})", build)


def _flow_matching(name: str, origin: Tensor, volume: float) -> Case:
    def build() -> rm.Manifold:
        theirs = getattr(importlib.import_module("flow_matching.utils.manifolds"), name)()
        peer = Peer(
            name=f"flow_matching {name}",
            inner=lambda x, u, v: (u * v).sum(-1),
            exp=theirs.expmap,
            project=theirs.projx,
            to_tangent=theirs.proju,
            log=theirs.logmap,
            transport=_no_transport,
            dist=getattr(theirs, "dist", None),
        )
        return adapt(peer, origin, volume, homogeneous=name == "Sphere", repair=False)

    return Case("flow_matching", f"{name}()", build)


def _no_transport(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    raise NotImplementedError("there is no transport")


def _ball_with_axis(geoopt: Any) -> Any:
    """The Poincaré ball with the option that makes `inner` right, so that the rest of it can be examined."""

    class PoincareBall(geoopt.PoincareBall):
        def inner(self, x: Tensor, u: Tensor, v: Any = None, *, keepdim: bool = False, dim: int = -1) -> Tensor:
            kept = super().inner(x, u, v, keepdim=True, dim=dim)
            return kept if keepdim else kept.squeeze(dim)

    return PoincareBall()


CASES = (
    _geoopt("Sphere()", (3,), lambda geoopt: geoopt.Sphere()),
    _geoopt("PoincareBall()", (2,), lambda geoopt: geoopt.PoincareBall()),
    _geoopt("PoincareBall() with keepdim=True", (2,), _ball_with_axis),
    _geoopt("Lorentz()", (3,), lambda geoopt: geoopt.Lorentz()),
    _geoopt("EuclideanStiefel()", (3, 2), lambda geoopt: geoopt.EuclideanStiefel()),
    _geoopt("CanonicalStiefel()", (3, 2), lambda geoopt: geoopt.CanonicalStiefel()),
    _geoopt("SymmetricPositiveDefinite()", (2, 2), lambda geoopt: geoopt.SymmetricPositiveDefinite()),
    _geomstats("hypersphere", "Hypersphere", 2),
    _geomstats("hyperboloid", "Hyperboloid", 2),
    _geomstats("poincare_ball", "PoincareBall", 2),
    _geomstats("spd_matrices", "SPDMatrices", 2),
    _geomstats("special_orthogonal", "SpecialOrthogonal", 3),
    _geomstats("stiefel", "Stiefel", 3, 2),
    _geomstats("grassmannian", "Grassmannian", 3, 1),
    _flow_matching("Sphere", torch.tensor([1.0, 0.0, 0.0]), 4 * math.pi),
    _flow_matching("FlatTorus", torch.zeros(2), 4 * math.pi**2),
)


def _known(what: str, title: str, law: str, *, reach: float | None = None, first_level: int = 0) -> Known:
    """One that shows in a law of manifolds.

    Args:
        what: One sentence.
        title: Of the case.
        law: The law that finds it.
        reach: How far apart points have to be, where that is not the usual distance.
        first_level: Where inputs begin, for what hides behind something else that is wrong for simpler ones.
    """
    (case,) = (case for case in CASES if case.title == title)
    (whole,) = (whole for whole in LAWS if whole.name == law)
    part = replace(whole, inputs=lambda draw: whole.inputs(replace(draw, level=draw.level + first_level)))
    return Known(what, title, law, lambda: check(case, [part], reach)[law], case.library)


class _TheirFlow(rm.Distribution):
    """The density that flow_matching computes for a flow on the sphere whose field is made tangent by projection."""

    def __init__(self) -> None:
        self.manifold = rm.Sphere(2)

    def sample(self, shape: Any = (), **options: Any) -> Tensor:
        """Not needed for what is asked."""
        raise NotImplementedError("only the density is examined")

    def log_prob(self, x: Tensor) -> Tensor:
        """The likelihood by their solver, from the uniform law."""
        wrapper = importlib.import_module("flow_matching.utils").ModelWrapper
        solver = importlib.import_module("flow_matching.solver").ODESolver
        turn = torch.tensor([[1.0, -0.5, 0.2], [0.5, -0.6, 0.3], [0.1, -0.4, 0.2]], dtype=x.dtype)

        class Field(wrapper):
            def __init__(self) -> None:
                super().__init__(torch.nn.Identity())

            def forward(self, x: Tensor, t: Tensor, **extras: Any) -> Tensor:
                return rm.Sphere(2).to_tangent(x, x @ turn)

        rows = x.detach().reshape(-1, 3)
        base = rm.Uniform(self.manifold)
        options = {"log_p0": base.log_prob, "step_size": 0.05, "method": "midpoint", "exact_divergence": True}
        times = torch.tensor([1.0, 0.0], dtype=x.dtype)
        return solver(Field()).compute_likelihood(x_1=rows, time_grid=times, **options)[1].reshape(x.shape[:-1])


def _likelihood() -> Row:
    return rm.check_distribution(_TheirFlow(), laws=["density-normalised"])["density-normalised"]


KNOWN = (
    _known("`inner` of a batch of B vectors is a B × B matrix", "geoopt: PoincareBall()", "metric-symmetric"),
    _known("The distance of a point to itself is 4.5e-4", "geoopt: Sphere()", "distance-to-itself"),
    _known("Below that angle `logmap` has the wrong length", "geoopt: Sphere()", "log-undoes-exp"),
    _known("`transp` is a projection: it does not keep lengths", "geoopt: Sphere()", "transport-isometry"),
    _known("`dist(x, x)` is NaN for some x", "flow_matching: Sphere()", "distance-to-itself"),
    Known(
        "The likelihood on the sphere does not integrate to one",
        "flow_matching: ODESolver.compute_likelihood",
        "density-normalised",
        _likelihood,
        "flow_matching",
    ),
    _known(
        "Next to the antipode the velocity of a path is too small",
        "flow_matching: Sphere()",
        "exp-undoes-log",
        first_level=1,
    ),
    _known(
        "`exp` raises for the whole batch if one row is null",
        "geomstats: Hyperboloid(2)",
        "points-and-vectors-stay",
        reach=42.0,
    ),
    _known("An angle of -1e-20 becomes 2π, which is no angle", "flow_matching: FlatTorus()", "points-and-vectors-stay"),
    _known(
        "The gradient of the distance is NaN at equal points", "geomstats: Hypersphere(2)", "gradient-of-the-distance"
    ),
    _known("... at equal eigenvalues", "geoopt: SymmetricPositiveDefinite()", "derivatives-are-finite"),
    _known("... at equal eigenvalues", "geomstats: SPDMatrices(2)", "derivatives-are-finite"),
)
"""What was found by hand."""


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}; all libraries must be installed")
    arguments = parser.parse_args()
    missing = [library for library in LIBRARIES if find_spec(library) is None]
    if arguments.write and missing:
        parser.error(f"not installed: {', '.join(missing)}")
    text = page([case for case in CASES if case.library not in missing])
    if arguments.write:
        PAGE.write_text(text, "utf-8")
    else:
        print(text)


LIBRARIES = tuple(dict.fromkeys(case.library for case in CASES))


def page(cases: list[Case]) -> str:
    """The page about these."""
    libraries = {case.library for case in cases}
    summary, details = [], []
    for case in cases:
        line, table = examined(case)
        summary.append(line)
        details.append(table)
    known = [_known_row(known) for known in KNOWN if known.library in libraries]
    return _TEMPLATE.format(
        versions=", ".join(f"{library} {_version(library)}" for library in (*LIBRARIES, "torch")),
        laws=len(EXAMINED),
        summary="\n".join(summary),
        known="\n".join(known),
        details="\n\n".join(filter(None, details)),
    )


def examined(case: Case) -> tuple[str, str]:
    """A line of the summary, and a section with the broken laws."""
    if case.refused is not None:
        try:
            case.refused()
        except rm.OptionError as error:
            text = str(error).split(" does not keep ")[-1].split(";")[0]
            return f"| {case.title} | – | – | refused: it does not keep {text} |", ""
    report = check(case)
    absent = [row for row in report.rows if row.reason is not None and _UNTRIED.search(row.reason)]
    broken = [row for row in report.broken if row not in absent]
    holds = len(report.rows) - len(absent) - len(broken)
    names = ", ".join(f"`{row.law}`" for row in broken)
    if len({row.reason for row in broken}) == 1 and len(broken) > 9:
        names = f"all, because of one error: {_cell(broken[0].reason)}"
        broken = []
    line = f"| {case.title} | {holds} | {len(absent) or '–'} | {names or '–'} |"
    return line, "\n".join([f"### {case.title}", "", *_HEAD, *map(_row, broken)]) if broken else ""


_UNTRIED = re.compile("NotImplementedError|functorch transforms")


def check(case: Case, laws: Iterable[str | Law] = EXAMINED, reach: float | None = None) -> Report:
    """The report about a manifold as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of geomstats, about logarithms that do not converge
        return rm.check_manifold(case.make(), laws=laws, reach=reach)


_HEAD = ("| law | off by | allowed | for |", "|---|---|---|---|")


def _row(row: Row) -> str:
    numbers = f"{_number(row.residual)} | {_number(row.tolerance)}"
    return f"| `{row.law}` | {numbers} | {_cell(row.reason or row.counterexample)} |"


def _known_row(known: Known) -> str:
    row = known.find()
    found = "holds" if row.ok else _cell(row.reason) if row.reason else f"off by {_number(row.residual)}"
    return f"| {known.what} | {known.where} | `{known.law}` | {found} |"


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{value:.1e}"


def _cell(text: str | None) -> str:
    """Short, and on one line of a table."""
    text = re.sub(r"\s+", " ", text or "")
    return (text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…").replace("|", "\\|")


_WIDTH = 110


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


_TEMPLATE = """# Neighbours, examined

What the laws of {{doc}}`verify` find in other libraries. The manifolds are taken as they are and called as their
users call them, in float64: `from_geoopt(..., repair=False)` and `from_geomstats(..., repair=False)` of
`rmatch.interop` hand out their functions with nothing supplied. {laws} laws are about what the libraries supply
themselves. The page is made by `python -m tools.examine_peers --write`, here with {versions}.

Most of what is broken is broken next to a place where a formula divides by zero: equal points, opposite points, equal
eigenvalues. The safeguards there, clamps and tables of small numbers, cost digits or derivatives. It matters where
points are close or far: late in a flow, in the tails of a tree, at a badly conditioned matrix. Some of it is larger:
a logarithm that is no inverse, a transport that does not keep lengths. (geoopt promises no more than a vector
transport, of which parallel transport is the one that these laws are about.)

| manifold | laws that hold | cannot be tried | broken |
|---|---|---|---|
{summary}

A law cannot be tried where it needs a method that is not implemented, or a derivative that torch cannot take of it.
Where single rows differ from a batch by 1e-12 it is torch's matrix exponential, not the library that calls it.

## What was known before

These were found by hand, in measurements and in reading. Each is found by a law that knows nothing of it.

| what is wrong | where | law | what it says |
|---|---|---|---|
{known}

Research code that is in no package had the log-determinant of the metric of positive definite matrices with the wrong
sign, and an inner product that was one entry and not the trace: both are in the gallery of the tests, and are
rejected.

## Law by law

In the last laws and in `derivatives-are-finite`, it is methods and derivatives that are counted.

{details}
"""


if __name__ == "__main__":
    main()

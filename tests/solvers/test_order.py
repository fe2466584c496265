"""Fixed-step solvers: the classical order on the manifold, for the points and for the log-density."""

import itertools
import math

import pytest
import torch

from rmatch.manifolds import Manifold, Sphere, Torus
from rmatch.solvers import RK4, Euler, FixedStep, Midpoint
from rmatch.solvers._checks import State
from rmatch.solvers._system import System
from rmatch.solvers.tableaux import DORMAND_PRINCE, EULER, MIDPOINT, RUNGE_KUTTA_4, Tableau
from tests.solvers.flows import FLOWS, climb, points, rotation

TABLEAUX = {"euler": EULER, "midpoint": MIDPOINT, "rk4": RUNGE_KUTTA_4, "dormand-prince": DORMAND_PRINCE}


class FixedDormandPrince(FixedStep):
    """The 5(4) pair without its step control, to see its order."""

    def tableau(self) -> Tableau:
        return DORMAND_PRINCE


@pytest.mark.parametrize("name", TABLEAUX)
def test_the_rows_of_a_tableau_sum_to_its_nodes(name: str) -> None:
    tableau = TABLEAUX[name]
    for node, row in zip(tableau.nodes, tableau.stages, strict=True):
        assert math.fsum(row) == pytest.approx(node, abs=1e-14)


@pytest.mark.parametrize("name", TABLEAUX)
def test_a_tableau_integrates_powers_of_time_up_to_its_order(name: str) -> None:
    """Σ b_i c_i^{q-1} = 1/q for q up to the order; the embedded weights do so up to one less."""
    tableau = TABLEAUX[name]
    embedded = None
    if tableau.error_weights is not None:
        embedded = [b - e for b, e in zip(tableau.weights, tableau.error_weights, strict=True)]
    for q in range(1, tableau.order + 1):
        terms = [b * c ** (q - 1) for b, c in zip(tableau.weights, tableau.nodes, strict=True)]
        assert math.fsum(terms) == pytest.approx(1 / q, abs=1e-14)
        if embedded is not None and q < tableau.order:
            terms = [b * c ** (q - 1) for b, c in zip(embedded, tableau.nodes, strict=True)]
            assert math.fsum(terms) == pytest.approx(1 / q, abs=1e-14)


def test_the_tableau_of_dormand_and_prince_is_that_of_scipy() -> None:
    from scipy.integrate import RK45

    for row, theirs in zip(DORMAND_PRINCE.stages[:6], RK45.A.tolist(), strict=True):
        assert [*row, *[0.0] * (5 - len(row))] == pytest.approx(theirs, abs=1e-15)
    assert list(DORMAND_PRINCE.weights[:6]) == pytest.approx(RK45.B.tolist(), abs=1e-15)
    assert list(DORMAND_PRINCE.error_weights or ()) == pytest.approx((-RK45.E).tolist(), abs=1e-15)


def test_the_last_stage_of_dormand_and_prince_starts_the_next_step() -> None:
    assert DORMAND_PRINCE.first_same_as_last
    assert not RUNGE_KUTTA_4.first_same_as_last


@pytest.mark.parametrize(
    ("solver", "order", "steps"),
    [(Euler, 1, (64, 128)), (Midpoint, 2, (32, 64)), (RK4, 4, (16, 32)), (FixedDormandPrince, 5, (16, 32))],
)
@pytest.mark.parametrize("name", FLOWS)
def test_halving_the_step_divides_the_error_by_two_to_the_order(
    solver: type[FixedStep], order: int, steps: tuple[int, int], name: str
) -> None:
    flow = FLOWS[name]
    x = points(flow.manifold)
    errors: list[list[float]] = []
    for n in steps:
        solution = solver(n).solve(flow.manifold, flow.field, x, 0.2, 1.1, divergence="exact")
        assert solution.log_density_change is not None
        errors.append(
            [
                float(flow.manifold.dist(solution.point, flow.carry(x, 0.2, 1.1)).max()),
                float((solution.log_density_change - flow.log_density(x, 0.2, 1.1)).abs().max()),
            ]
        )
    for coarse, fine in zip(*errors, strict=True):
        if coarse > 1e-12:  # a constant field, or a divergence of zero or linear in t, has no error to halve
            assert math.log2(coarse / fine) > order - 0.25


@pytest.mark.parametrize("solver", [Euler(40), Midpoint(10), RK4(5)], ids=repr)
def test_fixed_steps_count_their_evaluations(solver: FixedStep) -> None:
    calls = itertools.count()

    def field(t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        next(calls)
        return rotation.field(t, x)

    solution = solver.solve(Sphere(2), field, points(Sphere(2)), 0.0, 1.0)
    assert solution.evaluations == next(calls) == solver.steps * len(solver.tableau().nodes)
    assert (solution.steps, solution.rejected) == (solver.steps, 0)


def test_every_stage_is_taken_at_a_point_of_the_manifold() -> None:
    seen: list[torch.Tensor] = []

    def field(t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return 5 * climb.field(t, x)

    for solver in (Euler(1), Midpoint(1), RK4(1), FixedDormandPrince(1)):
        solver.solve(Sphere(2), field, points(Sphere(2)), 0.0, 1.0)
    assert all(Sphere(2).check_point(x, tolerance=1e-14) is None for x in seen)


def test_a_step_of_the_pair_ends_where_its_last_stage_was_taken() -> None:
    system = System(Sphere(2), climb.field, None, 1, None)
    step = system.step(DORMAND_PRINCE, 0.3, 0.5, State(points(Sphere(2)), None))
    assert torch.equal(step.slopes[-1].velocity, climb.field(torch.tensor(0.8, dtype=torch.float64), step.state.point))


@pytest.mark.parametrize("manifold", [Sphere(2), Torus(2)], ids=repr)
def test_fixed_steps_work_inside_vmap(manifold: Manifold) -> None:
    flow = climb if isinstance(manifold, Sphere) else FLOWS["swing"]
    x = points(manifold)

    def carry(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        solution = RK4(4).solve(manifold, flow.field, y, 0.0, 1.0, divergence="exact")
        assert solution.log_density_change is not None
        assert math.isnan(solution.constraint_violation)
        return solution.point, solution.log_density_change

    whole = RK4(4).solve(manifold, flow.field, x, 0.0, 1.0, divergence="exact")
    point, change = torch.vmap(carry)(x)
    torch.testing.assert_close(point, whole.point, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(change, whole.log_density_change, rtol=1e-13, atol=1e-13)

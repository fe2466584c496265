"""Schedules: increasing from 0 to 1, with the right rate."""

import pytest
import torch

import rmatch as rm
from rmatch.paths import Cosine, Linear, Polynomial, Schedule

SCHEDULES = [Linear(), Cosine(), Polynomial(1.0), Polynomial(2.5)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_schedules_increase_from_zero_to_one(schedule: Schedule) -> None:
    kappa = schedule.kappa(torch.linspace(0, 1, 101, dtype=torch.float64))
    assert kappa[0] == 0
    assert kappa[-1] == pytest.approx(1.0, abs=1e-15)
    assert (kappa.diff() > 0).all()


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_rate_is_the_derivative_of_kappa(schedule: Schedule) -> None:
    t = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    derivative = torch.func.jvp(schedule.kappa, (t,), (torch.ones_like(t),))[1]
    rate = torch.as_tensor(schedule.rate(t), dtype=torch.float64).expand(50)
    torch.testing.assert_close(rate, derivative, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("power", [0.5, float("nan")])
def test_a_power_below_one_is_refused(power: float) -> None:
    with pytest.raises(rm.OptionError, match="at least 1"):
        Polynomial(power)

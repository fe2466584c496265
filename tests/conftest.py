"""What every test starts from: one thread per process, fixed seeds, and hypothesis profiles that repeat."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings

# One thread: the tests run in parallel processes, and sums then add up in the same order everywhere.
torch.set_num_threads(1)

# `pytest --hypothesis-profile=deep -m "slow or not slow"` looks for new counterexamples; the default repeats itself.
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=40, print_blob=True)
settings.register_profile(
    "deep", deadline=None, max_examples=2000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")


@pytest.fixture(autouse=True)
def repeatable() -> Iterator[None]:
    """Seed torch's global generator, and fail a test that leaves another default dtype behind."""
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    yield
    after = torch.get_default_dtype()
    torch.set_default_dtype(before)
    assert after == before, f"the test changed torch's default dtype from {before} to {after}"

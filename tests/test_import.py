"""`import rmatch` is light and leaves the process as it was."""

import json
import subprocess
import sys

import pytest

PROBE = """
import json, random, sys
import numpy, torch

random.seed(3); numpy.random.seed(3); torch.manual_seed(3)

def state():
    return {
        "default dtype": str(torch.get_default_dtype()),
        "default device": str(torch.get_default_device()),
        "grad mode": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "distribution validation": torch.distributions.Distribution._validate_args,
        "random": repr(random.getstate()),
        "numpy": repr(numpy.random.get_state()),
        "torch": torch.random.get_rng_state().tolist(),
        "numpy errors": numpy.geterr(),
        "warnings": repr(__import__("warnings").filters),
        "logging": [len(logging.root.handlers), logging.root.level],
        "excepthook": repr(sys.excepthook),
        "environment": dict(__import__("os").environ),
        "path": list(sys.path),
    }

import logging, torch.distributions
before, modules = state(), set(sys.modules)
import rmatch
for name in rmatch.__all__:  # each is imported when it is first used
    getattr(rmatch, name)
after = state()
added = {name for name in sys.modules if name not in modules}
print(json.dumps({"changed": [key for key in before if before[key] != after[key]], "added": sorted(added)}))
"""

HEAVY = {
    "matplotlib", "scipy", "sklearn", "polars", "pandas", "rich", "cyclopts", "hypothesis", "pytest", "geomstats",
    "geoopt", "MDAnalysis", "airportsdata", "safetensors", "mpmath", "PIL",
}  # fmt: skip


@pytest.fixture(scope="module")
def probe() -> dict[str, list[str]]:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_import_brings_in_nothing_heavy(probe: dict[str, list[str]]) -> None:
    """The modules, and not the seconds: what is not imported takes no time on any machine."""
    roots = {name.split(".")[0] for name in probe["added"]}
    assert not roots & HEAVY


def test_import_brings_in_no_part_of_torch_that_is_slow_to_load(probe: dict[str, list[str]]) -> None:
    slow = ("torch._dynamo", "torch._inductor", "torch.testing", "torch.utils.tensorboard", "torch.distributed.fsdp")
    assert not [name for name in probe["added"] if name.startswith(slow)]


def test_import_changes_no_global_state(probe: dict[str, list[str]]) -> None:
    assert probe["changed"] == []


def test_import_alone_does_not_even_load_torch() -> None:
    """So `rmatch --help` is there at once."""
    code = "import sys, rmatch.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_every_public_name_is_there_and_an_unknown_one_is_not() -> None:
    import rmatch

    public = {name: getattr(rmatch, name) for name in rmatch.__all__}
    assert set(public) <= set(dir(rmatch))
    assert not [
        name for name, value in public.items() if getattr(value, "__module__", "rmatch").split(".")[0] != "rmatch"
    ]
    with pytest.raises(AttributeError, match="Spere"):
        rmatch.Spere  # noqa: B018

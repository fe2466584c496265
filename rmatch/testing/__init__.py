"""For the test suite of whoever writes a manifold: the laws as tests, and hypothesis strategies for the inputs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rmatch.testing.laws import manifold_laws

if TYPE_CHECKING:
    from rmatch.testing import strategies

__all__ = ["manifold_laws", "strategies"]


def __getattr__(name: str) -> object:
    """Import `strategies`, and hypothesis with it, when it is first used."""
    if name == "strategies":
        return import_module("rmatch.testing.strategies")
    raise AttributeError(f"module 'rmatch.testing' has no attribute {name!r}")

"""Forward-mode derivatives make torch 2.13 compile its own rules with torch.jit.script, and warn about that once."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit.script` is deprecated:DeprecationWarning")

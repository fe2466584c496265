"""A log-density that a user wrote in a Python file, as `rmatch train --objective reverse-kl` learns it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rmatch._errors import InputError, OptionError, RmatchError
from rmatch._typing import ScalarFunction
from rmatch.cli._user_file import import_file, open_user_file
from rmatch.distributions import Distribution
from rmatch.objectives.reverse_kl import log_density_at
from rmatch.training import DataSource, DensitySource, Run

_DRAWS = 256  # points of the law that the flow starts from, on which a density is tried
_PROBES = 16  # of them, whose values the run's configuration holds
_ALONE = 1e-3  # relative: float32 sums in another order for another number of points


class UserDensity:
    """A function of points `(batch, *point_shape)` in float32 that returns `(batch,)`; what it raises says where.

    Args:
        function: The function.
        name: What to call it, such as `xy.py:log_density`.
        path: The file.
        expression: What stands after the file's name.
    """

    def __init__(self, function: ScalarFunction, name: str, path: Path, expression: str) -> None:
        self.function = function
        self.path = path
        self.expression = expression
        self.__name__ = name

    def __call__(self, x: Tensor) -> Tensor:
        """The log-density at points."""
        try:
            return self.function(x)
        except RmatchError:
            raise
        except Exception as error:  # whatever the user's function raises
            raise InputError(
                f"{self.__name__} raised {type(error).__name__} at points of shape {tuple(x.shape)}: {error}"
            ) from error

    def source(self, base: Distribution) -> DensitySource:
        """What a run's configuration holds of the density."""
        return DensitySource(self.__name__, str(self.path.resolve()), self.expression, self._probe(base))

    def require(self, source: DensitySource, base: Distribution) -> None:
        """Raise DataError where this is no longer the density that a run learned."""
        source.require_same(self._probe(base))

    def _probe(self, base: Distribution) -> tuple[float, ...]:
        with torch.no_grad():
            return tuple(log_density_at(self, base.manifold, _draws(base)[:_PROBES]).tolist())


def load_density(text: str) -> UserDensity:
    """The log-density that a text such as `xy.py:log_density` or `xy.py:Lattice(2, 4)` names.

    Raises:
        OptionError: The text names no function, there is no such file, or nothing in it has that name.
        InputError: The file cannot be imported.
    """
    file = open_user_file(text)
    if file is None:
        raise OptionError(f"{_which(text)}; write FILE.py:FUNCTION, for example xy.py:log_density")

    def is_function(value: object) -> bool:
        return callable(value) and file.defines(value)

    value = file.value(is_function)
    if isinstance(value, type) and file.call.arguments is None:
        raise OptionError(f"{text!r} is a class; make the function by calling it, for example {text}()")
    if file.call.arguments is not None:
        value = file.call.of(value, text)
    if not callable(value):
        raise OptionError(f"{text!r} is of type {type(value).__name__}, not a function of points; name a function")
    expression = text.rpartition(".py:")[2].strip()
    function: Any = value
    return UserDensity(function, f"{file.path.name}:{expression}", file.path, expression)


def density_of(run: Run) -> UserDensity:
    """The density that a run learned, loaded again.

    Raises:
        OptionError: The file is gone, or the function in it.
        InputError: The file cannot be imported.
        DataError: The density has changed.
    """
    return reload_density(run.config.data, run.config.base)


def reload_density(source: DataSource | DensitySource, base: Distribution) -> UserDensity:
    """The density of a configuration; see `density_of`."""
    if not isinstance(source, DensitySource):
        raise OptionError(f"a run on the data {source.name} learned no density")
    density = load_density(f"{source.path}:{source.function}")
    density.require(source, base)
    return density


def require_density(density: UserDensity, base: Distribution) -> None:
    """Try a log-density on points of the law that the flow starts from, before any training.

    Raises:
        ShapeError: It does not return one number for each point.
        InputError: It raises something, returns what is not finite, cannot be differentiated, or its value at a point
            depends on the other points.
    """
    manifold, name = base.manifold, density.__name__
    x = _draws(base).requires_grad_()
    value = log_density_at(density, manifold, x, positive=True)
    alone = log_density_at(density, manifold, x[:1], positive=True)
    among, single = float(value[0].detach()), float(alone[0].detach())
    if not abs(single - among) <= _ALONE * (1 + abs(among)):
        raise InputError(
            f"{name} is {among:.6g} at {x[0].detach().tolist()} among {len(x)} points but {single:.6g} there "
            "alone; it must be the same function of each point, whatever else is in the batch"
        )
    slope = torch.autograd.grad(value.sum(), x, allow_unused=True)[0] if value.requires_grad else None
    if slope is None:
        if float(value.detach().std()) == 0.0:  # a constant needs no gradient
            return
        raise InputError(
            f"{name} cannot be differentiated; compute it from the points by torch alone, without detach or numpy"
        )
    bad = ~slope.isfinite().reshape(len(x), -1).all(-1)
    if bool(bad.any()):
        raise InputError(f"the derivative of {name} is not finite at {x[int(bad.nonzero()[0])].detach().tolist()}")


def _draws(base: Distribution) -> Tensor:
    return base.sample((_DRAWS,), generator=torch.Generator().manual_seed(0), dtype=torch.float32)


def _which(text: str) -> str:
    """What is missing in a text that names no function."""
    path = Path(text)
    if path.suffix != ".py":
        return f"--objective reverse-kl learns a density, not {text!r}"
    if not path.is_file():
        return f"no such file: {path}, and no function is named"
    module = import_file(path)
    names = [
        key
        for key, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__ and not key.startswith("_")
    ]
    return f"say which function of {text} to learn" + (f"; there are: {', '.join(names)}" if names else "")

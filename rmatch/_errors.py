"""Named errors: each carries one clear line that says what is wrong, where, and what to do."""

from __future__ import annotations


class RmatchError(Exception):
    """Base class of every error that rmatch raises on purpose."""


class InputError(RmatchError, ValueError):
    """Something that the caller handed in cannot be used."""


class DataError(InputError):
    """A table of data is missing, empty or malformed; the text names the file, the row and the column."""


class PointError(InputError):
    """A tensor does not hold points of the manifold."""


class TangentError(InputError):
    """A tensor does not hold tangent vectors at the given points."""


class ShapeError(InputError):
    """A tensor has the wrong shape."""


class OptionError(InputError):
    """An option is unknown, or its value is out of range."""


class CheckpointError(InputError):
    """A saved run is missing, cut short, or belongs to something else."""


class SolverError(RmatchError, RuntimeError):
    """An integration did not reach its end; the text says why and which argument to change."""


class TrainingError(RmatchError, RuntimeError):
    """Training could not go on, for example because the loss is not finite."""


class DependencyError(RmatchError, ImportError):
    """An optional package is not installed; the text gives the command that installs it."""


class LawError(RmatchError, AssertionError):
    """A law of geometry does not hold; the text names it, its residual and the simplest counterexample."""


class OutputError(RmatchError, OSError):
    """A file could not be written; what was there before is untouched."""

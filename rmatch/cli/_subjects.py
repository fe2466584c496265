"""What `rmatch verify` examines: a member by its name, a class in a file, or a manifold of another library."""

from __future__ import annotations

import importlib
from typing import Any

from rmatch._errors import DependencyError, OptionError
from rmatch._names import did_you_mean
from rmatch.cli._user_file import Call, UserFile, open_user_file, parse_call
from rmatch.manifolds import Manifold, parse_manifold

MEMBERS = (
    "euclidean:2",
    "sphere:2",
    "sphere:3",
    "torus:2",
    "torus:3",
    "poincare:2",
    "lorentz:2",
    "spd:2",
    "spd:3",
    "so3",
    "product:sphere2,torus1",
)
"""What is examined when nothing is said."""

_USUAL_SIZE = 2


def build_subject(text: str, *, repair: bool = True) -> Manifold:
    """The manifold that a text names.

    Args:
        text: As `rmatch verify` takes it.
        repair: Whether what a manifold of another library lacks or gets wrong is supplied.

    Raises:
        OptionError: There is none of this name, or it cannot be made of the arguments.
        InputError: The file cannot be imported.
        DependencyError: The other library is not installed.
    """
    head, colon, rest = text.partition(":")
    if colon and head in ("geomstats", "geoopt"):
        return _foreign(head, parse_call(rest, text), repair)
    file = open_user_file(text)
    if file is not None:
        return _from_file(file, text)
    spec = parse_manifold(text)
    return spec.build(_USUAL_SIZE if spec.known_size is None and spec.family != "product" else None)


def _from_file(file: UserFile, text: str) -> Manifold:
    def is_manifold(value: object) -> bool:
        if isinstance(value, type):
            return issubclass(value, Manifold) and file.defines(value)
        return isinstance(value, Manifold)

    value = file.value(is_manifold)
    if file.call.arguments is not None or (callable(value) and not isinstance(value, Manifold)):
        value = file.call.of(value, text)
    if not isinstance(value, Manifold):
        raise OptionError(f"{text!r} is a {type(value).__name__}, not a manifold; derive it from rmatch.Manifold")
    return value


def _foreign(library: str, call: Call, repair: bool) -> Manifold:
    from rmatch.interop import from_geomstats, from_geoopt, import_geomstats

    text = f"{library}:{call.name}"
    if library == "geomstats":
        import_geomstats()
        return from_geomstats(call.of(_geomstats_class(call.name, text), text), repair=repair)
    try:
        geoopt = importlib.import_module("geoopt")
    except ImportError as error:
        raise DependencyError("geoopt is not installed; install it with: pip install geoopt") from error
    shape = call.options.pop("shape", None)
    if shape is None:
        raise OptionError(f"{text!r}: geoopt's manifolds do not know their points; say geoopt:{call.name}(shape=(3,))")
    made = call.of(_member(geoopt.manifolds, call.name, text), text)
    return from_geoopt(made, shape if isinstance(shape, tuple) else (shape,), repair=repair)


def _member(module: Any, name: str, text: str) -> Any:
    if name.startswith("_") or not isinstance(getattr(module, name, None), type):
        names = [name for name, value in vars(module).items() if isinstance(value, type)]
        raise OptionError(f"{text!r}: there is no such class{did_you_mean(name, names)}")
    return getattr(module, name)


def _geomstats_class(name: str, text: str) -> Any:
    """A class of geomstats.geometry by its name; each lies in a module of its own."""
    import pkgutil

    geometry = importlib.import_module("geomstats.geometry")
    for module in pkgutil.iter_modules(geometry.__path__):
        if module.name.replace("_", "") in (name.lower(), name.lower().removesuffix("space")):
            return _member(importlib.import_module(f"geomstats.geometry.{module.name}"), name, text)
    for module in pkgutil.iter_modules(geometry.__path__):
        found = getattr(importlib.import_module(f"geomstats.geometry.{module.name}"), name, None)
        if isinstance(found, type) and found.__module__.endswith(f".{module.name}"):
            return found
    raise OptionError(f"{text!r}: geomstats has no such class in geomstats.geometry")

"""What `rmatch verify` examines: a member by its name, a class in a file, or a manifold of another library."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from rmatch._errors import DependencyError, InputError, OptionError
from rmatch._names import did_you_mean
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


class Call(NamedTuple):
    """A name with arguments that are written out, such as `Stiefel(3, 2)`; without parentheses None."""

    name: str
    arguments: tuple[Any, ...] | None
    options: dict[str, Any]


def build_subject(text: str) -> Manifold:
    """The manifold that a text names.

    Raises:
        OptionError: There is none of this name, or it cannot be made of the arguments.
        InputError: The file cannot be imported.
        DependencyError: The other library is not installed.
    """
    head, colon, rest = text.partition(":")
    if colon and head in ("geomstats", "geoopt"):
        return _foreign(head, parse_call(rest, text))
    path, colon, rest = text.rpartition(".py:")
    if colon:
        return _from_file(Path(f"{path}.py"), parse_call(rest, text), text)
    spec = parse_manifold(text)
    return spec.build(_USUAL_SIZE if spec.known_size is None and spec.family != "product" else None)


def parse_call(text: str, whole: str) -> Call:
    """A name, or a call of it with literal arguments; nothing in the text is ever evaluated.

    Raises:
        OptionError: The text is something else.

    Example:
        >>> from rmatch.cli._subjects import parse_call
        >>> parse_call("Stiefel(3, p=2)", "geomstats:Stiefel(3, p=2)")
        Call(name='Stiefel', arguments=(3,), options={'p': 2})
    """
    problem = f"{whole!r}: write a name, or a name with numbers, for example Stiefel(3, 2); got {text!r}"
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Name):
            return Call(node.id, None, {})
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            raise OptionError(problem)
        arguments = tuple(ast.literal_eval(argument) for argument in node.args)
        options = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
    except (SyntaxError, ValueError) as error:
        raise OptionError(problem) from error
    return Call(node.func.id, arguments, options)


def _from_file(path: Path, call: Call, text: str) -> Manifold:
    module = _import_file(path)
    if not hasattr(module, call.name):
        names = [name for name, value in vars(module).items() if _is_manifold(value, module)]
        hint = did_you_mean(call.name, names) or (f"; there are: {', '.join(names)}" if names else "")
        raise OptionError(f"{path} has no {call.name!r}{hint}")
    value = getattr(module, call.name)
    if call.arguments is not None or (callable(value) and not isinstance(value, Manifold)):
        value = _called(value, call, text)
    if not isinstance(value, Manifold):
        raise OptionError(f"{text!r} is a {type(value).__name__}, not a manifold; derive it from rmatch.Manifold")
    return value


def _is_manifold(value: object, module: ModuleType) -> bool:
    """Whether it is a manifold, or a class of them that the file defines."""
    if isinstance(value, type):
        return issubclass(value, Manifold) and value.__module__ == module.__name__
    return isinstance(value, Manifold)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise OptionError(f"no such file: {path}")
    spec = importlib.util.spec_from_file_location(f"_verified_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # so that the file can import what lies beside it
    sys.modules[spec.name] = module  # dataclasses and pickles look for it there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's file raises
        raise InputError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    return module


def _called(value: Any, call: Call, text: str) -> Any:
    try:
        return value(*(call.arguments or ()), **call.options)
    except Exception as error:  # whatever the constructor raises
        raise OptionError(f"{text!r} cannot be made: {type(error).__name__}: {error}") from error


def _foreign(library: str, call: Call) -> Manifold:
    from rmatch.interop import from_geomstats, from_geoopt, import_geomstats

    text = f"{library}:{call.name}"
    if library == "geomstats":
        import_geomstats()
        return from_geomstats(_called(_geomstats_class(call.name, text), call, text))
    try:
        geoopt = importlib.import_module("geoopt")
    except ImportError as error:
        raise DependencyError("geoopt is not installed; install it with: pip install geoopt") from error
    shape = call.options.pop("shape", None)
    if shape is None:
        raise OptionError(f"{text!r}: geoopt's manifolds do not know their points; say geoopt:{call.name}(shape=(3,))")
    made = _called(_member(geoopt.manifolds, call.name, text), call, text)
    return from_geoopt(made, shape if isinstance(shape, tuple) else (shape,))


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

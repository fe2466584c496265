"""What a user wrote in a Python file and names on the command line: `file.py:name` or `file.py:name(2, 4)`."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from rmatch._errors import InputError, OptionError
from rmatch._names import did_you_mean


class Call(NamedTuple):
    """A name with arguments that are written out, such as `Stiefel(3, 2)`; without parentheses None."""

    name: str
    arguments: tuple[Any, ...] | None
    options: dict[str, Any]

    def of(self, value: Any, text: str) -> Any:
        """What `value` gives when it is called with the arguments.

        Raises:
            OptionError: It raised something.
        """
        try:
            return value(*(self.arguments or ()), **self.options)
        except Exception as error:  # whatever the user's code raises
            raise OptionError(f"{text!r} cannot be made: {type(error).__name__}: {error}") from error


class UserFile(NamedTuple):
    """A Python file that was imported, and the name in it that the user gave."""

    path: Path
    module: ModuleType
    call: Call

    def value(self, is_wanted: Callable[[object], bool]) -> Any:
        """What has the name; `is_wanted` says which other values may have been meant.

        Raises:
            OptionError: Nothing has the name.
        """
        name = self.call.name
        if not hasattr(self.module, name):
            names = [key for key, value in vars(self.module).items() if is_wanted(value) and not key.startswith("_")]
            hint = did_you_mean(name, names) or (f"; there are: {', '.join(names)}" if names else "")
            raise OptionError(f"{self.path} has no {name!r}{hint}")
        return getattr(self.module, name)

    def defines(self, value: Any) -> bool:
        """Whether a class or function was written in this file."""
        return getattr(value, "__module__", None) == self.module.__name__


def open_user_file(text: str) -> UserFile | None:
    """Import the file that a text such as `file.py:name` speaks of, or None for a text that speaks of no file.

    Raises:
        OptionError: There is no such file, or what follows it is neither a name nor a call.
        InputError: The file cannot be imported.
    """
    path, colon, rest = text.rpartition(".py:")
    if not colon:
        return None
    call = parse_call(rest, text)
    file = Path(f"{path}.py")
    return UserFile(file, import_file(file), call)


def parse_call(text: str, whole: str) -> Call:
    """A name, or a call of it with literal arguments; nothing in the text is ever evaluated.

    Raises:
        OptionError: The text is something else.

    Example:
        >>> from rmatch.cli._user_file import parse_call
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


def import_file(path: Path) -> ModuleType:
    """Run a Python file as a module.

    Raises:
        OptionError: There is no such file.
        InputError: It is no Python file, or raises something.
    """
    if not path.is_file():
        raise OptionError(f"no such file: {path}")
    spec = importlib.util.spec_from_file_location(f"_user_{path.stem}", path)
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

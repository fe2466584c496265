"""Manifolds by name, as on the command line: `sphere:2`, `spd:3:log-euclidean`, `product:sphere2,torus1`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rmatch._errors import OptionError
from rmatch._names import did_you_mean
from rmatch.manifolds.base import Manifold
from rmatch.manifolds.euclidean import Euclidean
from rmatch.manifolds.lorentz import Lorentz
from rmatch.manifolds.poincare import PoincareBall
from rmatch.manifolds.product import Product
from rmatch.manifolds.spd import SPD
from rmatch.manifolds.special_orthogonal import SpecialOrthogonal
from rmatch.manifolds.sphere import Sphere
from rmatch.manifolds.torus import Torus

__all__ = ["FAMILIES", "ManifoldSpec", "parse_manifold"]

# Per family: the class, the size when none is said, and the options with their defaults.
_MEMBERS: dict[str, tuple[type[Manifold], int | None, dict[str, Any]]] = {
    "sphere": (Sphere, 2, {"radius": 1.0}),
    "torus": (Torus, None, {"period": (2 * math.pi,)}),
    "poincare": (PoincareBall, None, {"curvature": -1.0}),
    "lorentz": (Lorentz, None, {"curvature": -1.0}),
    "spd": (SPD, None, {"metric": "affine-invariant"}),
    "so3": (SpecialOrthogonal, 3, {}),
    "euclidean": (Euclidean, None, {}),
}
_PRODUCT = "product"
_METRICS = ("affine-invariant", "log-euclidean")
FAMILIES = (*_MEMBERS, _PRODUCT)


@dataclass(frozen=True)
class ManifoldSpec:
    """What a text such as `spd:3:log-euclidean` says about a manifold; `parse_manifold` makes one.

    Args:
        family: One of `FAMILIES`.
        size: The argument n of the class (a sphere's dimension, the rows of an SPD matrix); `None` when it is not said.
        options: The class' other arguments where they are not the defaults, sorted by name.
        words: Other words in the text, for those who told the parser about them.
        factors: Of a product.
    """

    family: str
    size: int | None = None
    options: tuple[tuple[str, Any], ...] = ()
    words: tuple[str, ...] = ()
    factors: tuple[ManifoldSpec, ...] = ()

    @classmethod
    def of(cls, manifold: Manifold) -> ManifoldSpec:
        """The text's content for a manifold that there is.

        Raises:
            OptionError: The manifold is of no family.
        """
        if isinstance(manifold, Product):
            return cls(_PRODUCT, factors=tuple(cls.of(factor) for factor in manifold.factors))
        for family, (member, _, defaults) in _MEMBERS.items():
            if type(manifold) is member:
                held = {name: _held(manifold, name) for name in defaults}
                return cls(family, _size(manifold), _unusual(family, held))
        raise OptionError(f"{manifold!r} has no name on the command line; there are: {', '.join(FAMILIES)}")

    @property
    def known_size(self) -> int | None:
        """The size, or the family's usual one; `None` where data decide."""
        return self.size if self.family == _PRODUCT or self.size is not None else _MEMBERS[self.family][1]

    def build(self, size: int | None = None) -> Manifold:
        """The manifold.

        Args:
            size: For a family whose size the text leaves open.

        Raises:
            OptionError: The size is open and none is given, or the class refuses an argument.

        Example:
            >>> from rmatch.manifolds import parse_manifold
            >>> parse_manifold("sphere:2").build(), parse_manifold("torus").build(3)
            (Sphere(2), Torus(3))
        """
        if self.family == _PRODUCT:
            return Product(*(factor.build() for factor in self.factors))
        n = self.known_size if size is None else size
        if n is None:
            raise OptionError(f"say the size of {self.family}, for example {self.family}:2")
        given = dict(self.options)
        if "period" in given:
            period = given.pop("period")
            given["periods"] = period[0] if len(period) == 1 else period
        member: Any = _MEMBERS[self.family][0]
        return member(n, **given)

    def covers(self, other: ManifoldSpec) -> bool:
        """Whether everything that this says is true of the other, which may say more."""
        return (
            self.family == other.family
            and self.known_size in (None, other.known_size)
            and self.options == other.options
            and set(self.words) <= set(other.words)
            and len(self.factors) == len(other.factors)
            and all(mine.covers(theirs) for mine, theirs in zip(self.factors, other.factors, strict=True))
        )

    def with_words(self, *words: str) -> ManifoldSpec:
        """The same manifold with these words."""
        return replace(self, words=words)

    def __str__(self) -> str:
        """The text, without a size that is the usual one."""
        if self.family == _PRODUCT:
            return f"{_PRODUCT}:{','.join(map(str, self.factors))}"
        size = () if self.size in (None, _MEMBERS[self.family][1]) else (str(self.size),)
        return ":".join((self.family, *size, *(_written(*option) for option in self.options), *self.words))


def parse_manifold(text: str, words: Collection[str] = ()) -> ManifoldSpec:
    """What a text says about a manifold.

    A family (`sphere`, `torus`, `poincare`, `lorentz`, `spd`, `so3`, `euclidean`), then after colons, in any order, its
    size, a metric of `spd`, and `radius=`, `period=` (of all angles, or one for each with / between) or `curvature=`.
    The size may also follow the name at once. A product lists its factors: `product:sphere2,torus1`.

    Args:
        text: The text, in any case.
        words: Words beside these that the caller understands; they are kept in `words`.

    Raises:
        OptionError: A part is unknown or repeated; the text lists what there is, and what may have been meant.

    Example:
        >>> from rmatch.manifolds import parse_manifold
        >>> spec = parse_manifold("product:sphere2,spd:3:log-euclidean,torus:period=24")
        >>> [(factor.family, factor.size, factor.options) for factor in spec.factors]
        [('sphere', 2, ()), ('spd', 3, (('metric', 'log-euclidean'),)), ('torus', None, (('period', (24.0,)),))]
    """
    head, _, rest = text.strip().casefold().partition(":")
    if head != _PRODUCT:
        return _parse_factor(text, words)
    factors = [part.strip() for part in rest.split(",")]
    if len(factors) < 2 or not all(factors):
        raise OptionError(f"manifold {text!r}: a product lists its factors, for example product:sphere2,torus1")
    return ManifoldSpec(_PRODUCT, factors=tuple(_parse_factor(part, words) for part in factors))


def _parse_factor(text: str, words: Collection[str]) -> ManifoldSpec:
    name, *parts = (part.strip() for part in text.strip().casefold().split(":"))
    family, size = _family(name, text)
    options: dict[str, Any] = {}
    kept: list[str] = []
    for part in parts:
        key, equals, value = part.partition("=")
        if part.isdecimal() and size is None:
            size = int(part)
        elif equals:
            _set(options, family, key.strip(), value.strip(), text)
        elif family == "spd" and part in _METRICS:
            _set(options, family, "metric", part, text)
        elif part in words and part not in kept:
            kept.append(part)
        else:
            raise OptionError(f"manifold {text!r}: {_refusal(part, family, words, kept)}")
    if family == "so3" and size not in (None, 3):
        raise OptionError(f"manifold {text!r}: rotations are of 3 dimensions here; say so3")
    return ManifoldSpec(family, size, _unusual(family, options), tuple(kept))


def _refusal(part: str, family: str, words: Collection[str], kept: Collection[str]) -> str:
    """Why a part of a text is none."""
    if part in kept:
        return f"{part!r} is given twice"
    if part.isdecimal():
        return f"a second size {part!r}; give one, as in {family}:2"
    known = [*(_METRICS if family == "spd" else ()), *words]
    return f"{part!r} is unknown" + (did_you_mean(part, known) or (f"; there are: {', '.join(known)}" if known else ""))


def _family(name: str, text: str) -> tuple[str, int | None]:
    """The family and the size in a name such as `sphere2`."""
    if name in _MEMBERS:
        return name, None
    match = re.fullmatch(r"(.*?)(\d+)", name)
    if match and match[1] in _MEMBERS and match[1] != "so3":
        return match[1], int(match[2])
    if name == _PRODUCT:
        raise OptionError(f"{text!r} stands within a product; list all factors side by side, product:sphere2,torus1")
    what = f"unknown manifold {name!r}" + ("" if name == text.strip().casefold() else f" in {text!r}")
    choices = ", ".join(FAMILIES[:-1]) + ", product:sphere2,torus1 and the like"
    raise OptionError(f"{what}; there are: {choices}{did_you_mean(match[1] if match else name, FAMILIES)}")


def _set(options: dict[str, Any], family: str, key: str, value: str, text: str) -> None:
    """Put one option's value where it belongs."""
    known = _MEMBERS[family][2]
    if key not in known:
        hint = did_you_mean(key, known) or (
            f"; its options are: {', '.join(known)}" if known else "; it has no options"
        )
        raise OptionError(f"manifold {text!r}: {family} has no option {key!r}{hint}")
    if key in options:
        raise OptionError(f"manifold {text!r}: {key} is given twice")
    if key == "metric":
        if value not in _METRICS:
            raise OptionError(f"manifold {text!r}: no metric {value!r}; there are: {', '.join(_METRICS)}")
        options[key] = value
        return
    try:
        numbers = [float(part) for part in value.split("/")]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)) or (key != "period" and len(numbers) > 1):
        raise OptionError(f"manifold {text!r}: {key}={value} is not a number")
    options[key] = tuple(numbers) if key == "period" else numbers[0]


def _unusual(family: str, options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The options that are not the defaults, in one order."""
    defaults = _MEMBERS[family][2]
    return tuple((name, value) for name, value in sorted(options.items()) if value != defaults[name])


def _size(manifold: Manifold) -> int:
    """The argument n: rows of a matrix, else the dimension."""
    return manifold.point_shape[0] if len(manifold.point_shape) == 2 else manifold.dim


def _held(manifold: Any, name: str) -> Any:
    """The value that a manifold has of an option."""
    if name != "period":
        return manifold.metric_name if name == "metric" else getattr(manifold, name)
    periods = tuple(float(period) for period in manifold.periods)
    return periods[:1] if len(set(periods)) == 1 else periods


def _written(name: str, value: Any) -> str:
    """One option as `parse_manifold` reads it, to the last digit."""
    if name == "metric":
        return value
    return f"{name}={'/'.join(map(repr, value)) if name == 'period' else repr(value)}"

"""Type hints, by what they are made of."""

from __future__ import annotations

import functools
import operator
from typing import Any, List, Optional, Tuple

from .standard import BadValue


def hint(obj: Any) -> Optional[Tuple[str, List[Any]]]:
    """Return what a type hint is made of: (kind, arguments), or None for what is none."""
    import typing

    name = getattr(obj, "_name", None) or getattr(obj, "__name__", None)
    if isinstance(name, str) and getattr(typing, name, None) is obj:
        return "typing", [name]
    if isinstance(obj, typing.TypeVar):
        return "TypeVar", [obj.__name__, list(obj.__constraints__), obj.__bound__]
    if isinstance(obj, typing.ForwardRef):
        return "ForwardRef", [obj.__forward_arg__]
    origin, arguments = typing.get_origin(obj), list(typing.get_args(obj))
    if origin is None or not arguments:
        return None
    name = getattr(obj, "_name", None)
    if type(obj).__module__ == "types" and type(obj).__name__ == "UnionType":
        return "union", arguments
    named = getattr(typing, name, None) if isinstance(name, str) and name != "Optional" else None
    return "alias", [named or origin, arguments]


def made_hint(kind: str, arguments: List[Any]) -> Any:
    """Return a type hint, or raise BadValue where it is none here."""
    try:
        return make_hint(kind, arguments)
    except Exception as error:
        raise BadValue("no type hint: %s: %s" % (type(error).__name__, error)) from None


def make_hint(kind: str, arguments: List[Any]) -> Any:
    """Return the type hint of a kind that is made of some arguments."""
    import typing

    if kind == "alias":
        origin, parts = arguments
        return origin[tuple(parts) if len(parts) != 1 else parts[0]]
    if kind == "union":
        return functools.reduce(operator.or_, arguments)
    if kind == "TypeVar":
        return type_variable(arguments[0], tuple(arguments[1]), arguments[2])
    if kind == "ForwardRef":
        return typing.ForwardRef(arguments[0])
    return getattr(typing, arguments[0])


@functools.lru_cache(maxsize=None)
def type_variable(name: str, constraints: Tuple[Any, ...], bound: Any) -> Any:
    """Return a type variable: equal ones are one, for classes and their bases must name the same."""
    import typing

    return typing.TypeVar(name, *constraints, bound=bound)


HINTS = ("typing", "TypeVar", "ForwardRef", "alias", "union")

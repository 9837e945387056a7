"""Evaluates the checks of a trace: operations from fixed lists, over values; nothing else can be expressed."""

from __future__ import annotations

import builtins
import operator
import os
import pathlib
import time
from types import MappingProxyType
from typing import Any, Callable, Dict, Mapping

from .checks import CLOCKS, FUNCTIONS, METHODS, MOCK_CHECKS, PATH_FUNCTIONS
from .standard import BadValue
from .values import Json

OPERATORS: Dict[str, Callable[..., Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "is": operator.is_, "is not": operator.is_not, "in": lambda a, b: a in b, "not in": lambda a, b: a not in b,
    "not": operator.not_, "neg": operator.neg, "+": operator.add, "-": operator.sub, "*": operator.mul,
    "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
    "list": lambda *items: list(items), "tuple": lambda *items: items, "set": lambda *items: set(items),
    "dict": dict, "concat": lambda *parts: "".join(parts),
}  # fmt: skip


def evaluate(
    tree: Json,
    decode: Callable[[Json], Any],
    read: Callable[[str], Any],
    clocks: Mapping[int, float] = MappingProxyType({}),
) -> Any:
    """Return what a tree gives.

    ``decode`` makes its values, ``read`` finds its attributes of the subject's modules, ``clocks`` are the readings
    of the clock that it may name.

    Raises:
        BadValue: the tree is not of the format.
        Exception: what the operation itself raises.
    """
    if not isinstance(tree, dict):
        raise BadValue("a check must be an object")

    def inner(part: Json) -> Any:
        return evaluate(part, decode, read, clocks)

    if "v" in tree:
        return decode(tree["v"])
    if "read" in tree:
        return read(tree["read"])
    if "clock" in tree:
        if tree["clock"] not in clocks:
            raise BadValue("no reading %s of the clock" % tree["clock"])
        return clocks[tree["clock"]]
    if "get" in tree:
        return got(tree, inner)
    if "op" in tree:
        return operated(tree, inner)
    if "call" in tree:
        if tree["call"] == "iter" and len(tree["args"]) != 1:
            raise BadValue("iter() of a check takes one argument: with two it calls the first")
        return function_named(tree["call"])(*[inner(part) for part in tree["args"]])
    if "method" in tree:
        name = tree["method"]
        if name not in METHODS | MOCK_CHECKS:
            raise BadValue("no method of a check: %s" % name)
        target, *arguments = [inner(part) for part in tree["args"]]
        result = getattr(target, name)(*arguments, **{key: inner(part) for key, part in tree.get("kwargs", {}).items()})
        return True if name in MOCK_CHECKS else result
    raise BadValue("unknown check %s" % sorted(tree))


def got(tree: Json, inner: Callable[[Json], Any]) -> Any:
    """Return an attribute, an item or a slice."""
    target = inner(tree["get"])
    if "a" in tree:
        return getattr(target, tree["a"])
    if "k" in tree:
        return target[inner(tree["k"])]
    return target[slice(*[inner(part) for part in tree["s"]])]


def operated(tree: Json, inner: Callable[[Json], Any]) -> Any:
    """Return the result of an operator; ``and``, ``or`` and ``if`` leave out what Python's do."""
    name, parts = tree["op"], tree["args"]
    if name == "if":
        test, then, other = parts
        return inner(then if inner(test) else other)
    if name in ("and", "or"):
        value: Any = name == "and"
        for part in parts:
            value = inner(part)
            if bool(value) != (name == "and"):
                return value
        return value
    if name not in OPERATORS:
        raise BadValue("no operator %s" % name)
    return OPERATORS[name](*[inner(part) for part in parts])


def function_named(name: str) -> Any:
    """Return a function of the lists."""
    if name in FUNCTIONS:
        return getattr(builtins, name)
    if name == "Path":
        return pathlib.Path
    if name == "os.listdir":
        return os.listdir
    if name in CLOCKS:
        return getattr(time, name[5:])
    if name.startswith("os.path.") and name[8:] in PATH_FUNCTIONS:
        return getattr(os.path, name[8:])
    raise BadValue("no function of a check: %s" % name)

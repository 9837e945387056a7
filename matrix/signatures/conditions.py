"""Whether a condition in a source file holds, as far as reading tells."""

import ast
import os
import sys
from collections.abc import Callable

from matrix.signatures.model import Guard

# What a failed import raises, and what catches it too.
IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
FACTS: dict[str, object] = {
    "TYPE_CHECKING": False,
    "typing.TYPE_CHECKING": False,
    "sys.version_info": sys.version_info[:3],
    "sys.version_info.major": sys.version_info.major,
    "sys.version_info.minor": sys.version_info.minor,
    "sys.version_info[0]": sys.version_info.major,
    "sys.version_info[1]": sys.version_info.minor,
    "sys.version_info[:2]": sys.version_info[:2],
    "sys.platform": sys.platform,
    "sys.implementation.name": sys.implementation.name,
    "os.name": os.name,
    **{f"sys.platform.startswith('{name}')": sys.platform.startswith(name) for name in ("linux", "darwin", "win")},
    "__debug__": True,
    "__name__": "",
}
COMPARISONS: dict[type[ast.cmpop], Callable[[object, object], object]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,  # type: ignore[operator]
    ast.LtE: lambda a, b: a <= b,  # type: ignore[operator]
    ast.Gt: lambda a, b: a > b,  # type: ignore[operator]
    ast.GtE: lambda a, b: a >= b,  # type: ignore[operator]
    ast.In: lambda a, b: a in b,  # type: ignore[operator]
    ast.NotIn: lambda a, b: a not in b,  # type: ignore[operator]
}


class _UndecidedError(Exception):
    """The condition asks for something that only running tells."""


def decide(guard: Guard, try_works: Callable[[int], bool | None]) -> bool | None:
    """Tell whether what stands under the guard runs; None where it may or may not.

    ``try_works`` tells whether the imports in the ``try`` at a line work. What else a ``try`` may run into is not
    considered: its body counts as what holds.
    """
    if guard.branch in {"if", "else"}:
        holds = evaluate(guard.test)
        return holds if guard.branch == "if" or holds is None else not holds
    if guard.branch == "loop":
        return None
    works = try_works(guard.line)
    if guard.branch in {"try", "no-exception"}:
        return works
    catches = any(name in guard.test for name in IMPORT_ERRORS)
    return None if works is None else not works and catches


def evaluate(test: str) -> bool | None:
    """Return what a condition on the Python version, the platform or type checking comes to, None for all others."""
    try:
        return bool(_value(ast.parse(test, mode="eval").body))
    except (_UndecidedError, SyntaxError, TypeError, ValueError):
        return None


def _value(node: ast.expr) -> object:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Tuple):
        return tuple(_value(element) for element in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _value(node.operand)
    if isinstance(node, ast.BoolOp):
        return _combine(node)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        return COMPARISONS[type(node.ops[0])](_value(node.left), _value(node.comparators[0]))
    return _fact(ast.unparse(node))


def _fact(text: str) -> object:
    """Return what is known by its source."""
    if text not in FACTS:
        raise _UndecidedError(text)
    return FACTS[text]


def _combine(node: ast.BoolOp) -> bool:
    """Evaluate ``and`` and ``or``: one that is known can decide what the others leave open."""
    stops_at = isinstance(node.op, ast.Or)
    undecided = None
    for operand in node.values:
        try:
            if bool(_value(operand)) is stops_at:
                return stops_at
        except _UndecidedError as error:
            undecided = error
    if undecided:
        raise undecided
    return not stops_at

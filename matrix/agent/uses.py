"""What the top of a file of the suite does with names: without those that it uses, the file does not load."""

from __future__ import annotations

import ast
from typing import Iterator, List, Set, Union

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def used_at_top(tree: ast.Module) -> Set[str]:
    """Return the names that are called, asked or decided by while a file is imported.

    One that is only handed on, as an argument or an item, is needed by whoever looks into it.
    """
    return {name for statement in tree.body for node in executed(statement) for name in used(node)}


def executed(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the expressions that a statement executes in any case; bodies of ``if``, ``try`` and loops may not be."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield from decorated(statement)
    elif isinstance(statement, ast.ClassDef):
        yield from decorated(statement)
        for part in statement.body:
            yield from executed(part)
    elif isinstance(statement, (ast.If, ast.While)):
        yield Truth(statement.test)
        yield from walk(statement.test)
    elif isinstance(statement, (ast.Expr, ast.Assign, ast.AugAssign, ast.Assert)):
        yield from walk(statement)


class Truth(ast.AST):
    """An expression whose truth is asked."""

    def __init__(self, value: ast.expr) -> None:
        """Keep it."""
        super().__init__()
        self.value = value


def decorated(statement: Union[Function, ast.ClassDef]) -> Iterator[ast.AST]:
    """Yield what decorates a function or a class, its bases, and its defaults."""
    for decorator in statement.decorator_list:
        yield Truth(decorator)  # it is called
        yield from walk(decorator)
    if isinstance(statement, ast.ClassDef):
        for base in statement.bases:
            yield Truth(base)
            yield from walk(base)
    else:
        for default in [*statement.args.defaults, *filter(None, statement.args.kw_defaults)]:
            yield from walk(default)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what stands in it, but in no function or comprehension."""
    yield node
    for inner in ast.iter_child_nodes(node):
        if not isinstance(inner, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.IfExp)):
            yield from walk(inner)


def used(node: ast.AST) -> Iterator[str]:
    """Yield the names that an operation cannot do without."""
    operands: List[ast.AST] = []
    if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred, Truth)):
        operands = [node.value]
    elif isinstance(node, ast.Call):
        operands = [node.func]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        operands = [node.operand]
    elif isinstance(node, ast.BoolOp):
        operands = [node.values[0]]
    for operand in operands:
        if isinstance(operand, ast.Name):
            yield operand.id

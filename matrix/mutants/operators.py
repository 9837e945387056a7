"""The operators: each gives, for a node of a syntax tree, what may stand in its place."""

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any

# What an operator gives for a node: what to put in its place.
Operator = Callable[[ast.AST], Iterator[ast.AST]]
Function = ast.FunctionDef | ast.AsyncFunctionDef

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


def negate_condition(node: ast.AST) -> Iterator[ast.AST]:
    """Negate what ``if``, ``while``, ``assert`` and ``x if c else y`` ask."""
    if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
        yield replaced(node, test=ast.UnaryOp(ast.Not(), node.test))


def swap_comparison(node: ast.AST) -> Iterator[ast.AST]:
    """Turn a comparison to its neighbour, such as ``==`` to ``!=``, ``<`` to ``<=``, ``in`` to ``not in``."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            operators = [*node.ops[:index], COMPARISONS[type(operator)](), *node.ops[index + 1 :]]
            yield replaced(node, ops=operators)


def swap_operator(node: ast.AST) -> Iterator[ast.AST]:
    """Turn ``and`` to ``or``, ``+`` to ``-`` …, and leave ``not`` out."""
    if isinstance(node, ast.BoolOp):
        yield replaced(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in ARITHMETIC:
        yield replaced(node, op=ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand


def change_constant(node: ast.AST) -> Iterator[ast.AST]:
    """Change a constant: a number by one, a truth value to the other, a text by a letter."""
    if isinstance(node, ast.Constant):
        match node.value:
            case bool():
                yield ast.Constant(not node.value)
            case int() | float():
                yield ast.Constant(node.value + 1)
            case str():
                yield ast.Constant(node.value + "x")
            case bytes():
                yield ast.Constant(node.value + b"x")


def drop_statement(node: ast.AST) -> Iterator[ast.AST]:
    """Drop a statement that calls, assigns, raises or deletes."""
    calls = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
    if calls or isinstance(node, ast.Assign | ast.AugAssign | ast.Raise | ast.Delete):
        yield ast.Pass()


def return_none(node: ast.AST) -> Iterator[ast.AST]:
    """Return None instead of a value."""
    if isinstance(node, ast.Return) and not (node.value is None or is_none(node.value)):
        yield ast.Return(ast.Constant(None))


def rename_parameter(node: ast.AST) -> Iterator[ast.AST]:
    """Give a parameter another name: callers that name it no longer can."""
    if isinstance(node, Function):
        for parameter in parameters(node):
            changed = copy.deepcopy(node)
            twin = next(other for other in parameters(changed) if other.arg == parameter.arg)
            twin.arg = f"{parameter.arg}_renamed"
            old_name = ast.Assign([ast.Name(parameter.arg, ast.Store())], ast.Name(twin.arg, ast.Load()))
            changed.body.insert(1 if ast.get_docstring(changed, clean=False) is not None else 0, old_name)
            yield changed


def reorder_parameters(node: ast.AST) -> Iterator[ast.AST]:
    """Swap two neighbours among the positional parameters, defaults staying with their parameters."""
    if isinstance(node, Function):
        names = node.args.args
        required = len(names) - len(node.args.defaults)  # less than zero if positional-only ones have defaults too
        for index in range(first_parameter(node), len(names) - 1):
            if index + 1 == required:  # one with a default may not come before one without
                continue
            changed = copy.deepcopy(node)
            swap(changed.args.args, index)
            if index >= required:
                swap(changed.args.defaults, index - required)
            yield changed


def change_default(node: ast.AST) -> Iterator[ast.AST]:
    """Change a default, or None to False; then make the parameter required, where the grammar lets it."""
    if not isinstance(node, Function):
        return
    for index, default in enumerate(node.args.defaults):
        others = [ast.Constant(value=False)] if is_none(default) else change_constant(default)
        for other in others:
            changed = copy.deepcopy(node)
            changed.args.defaults[index] = other  # type: ignore[call-overload] # operators on expressions give some
            yield changed
    if node.args.defaults:
        changed = copy.deepcopy(node)
        del changed.args.defaults[0]
        yield changed


def remove_definition(node: ast.AST) -> Iterator[ast.AST]:
    """Remove a method or a function."""
    if isinstance(node, Function):
        yield ast.Pass()


def remove_decorator(node: ast.AST) -> Iterator[ast.AST]:
    """Remove one decorator."""
    if isinstance(node, Function | ast.ClassDef):
        for index in range(len(node.decorator_list)):
            yield replaced(node, decorator_list=node.decorator_list[:index] + node.decorator_list[index + 1 :])


def raise_other(node: ast.AST) -> Iterator[ast.AST]:
    """Raise an exception of another type."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call | ast.Name):
        old = ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
        other = ast.Name("LookupError" if old == "RuntimeError" else "RuntimeError", ast.Load())
        arguments = node.exc.args if isinstance(node.exc, ast.Call) else []
        yield replaced(node, exc=ast.Call(other, arguments, []))


def catch_other(node: ast.AST) -> Iterator[ast.AST]:
    """Catch an exception of a type that is not raised."""
    if isinstance(node, ast.ExceptHandler):
        yield replaced(node, type=ast.Name("ZeroDivisionError", ast.Load()))


def drop_keyword(node: ast.AST) -> Iterator[ast.AST]:
    """Leave a keyword argument out of a call."""
    if isinstance(node, ast.Call):
        for index in range(len(node.keywords)):
            yield replaced(node, keywords=node.keywords[:index] + node.keywords[index + 1 :])


def swap_arguments(node: ast.AST) -> Iterator[ast.AST]:
    """Swap the first two positional arguments of a call."""
    if (
        isinstance(node, ast.Call)
        and len(node.args) > 1
        and not any(isinstance(item, ast.Starred) for item in node.args)
    ):
        yield replaced(node, args=[node.args[1], node.args[0], *node.args[2:]])


def make_sync(node: ast.AST) -> Iterator[ast.AST]:
    """Make a coroutine function, that only awaits, a plain function."""
    if isinstance(node, ast.AsyncFunctionDef):
        kinds = (ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)
        if not any(isinstance(other, kinds) for child in node.body for other in ast.walk(child)):
            changed = Unawaited().visit(copy.deepcopy(node))
            yield ast.FunctionDef(**dict(ast.iter_fields(changed)))


class Unawaited(ast.NodeTransformer):
    """Puts what is awaited in the place of its ``await``."""

    def visit_Await(self, node: ast.Await) -> ast.AST:
        """Return what is awaited."""
        return self.visit(node.value)  # type: ignore[no-any-return]


OPERATORS: dict[str, Operator] = {
    "negated-condition": negate_condition,
    "swapped-comparison": swap_comparison,
    "swapped-operator": swap_operator,
    "changed-constant": change_constant,
    "dropped-statement": drop_statement,
    "return-none": return_none,
    "renamed-parameter": rename_parameter,
    "reordered-parameters": reorder_parameters,
    "changed-default": change_default,
    "removed-definition": remove_definition,
    "removed-decorator": remove_decorator,
    "other-exception": raise_other,
    "other-handler": catch_other,
    "dropped-keyword": drop_keyword,
    "swapped-arguments": swap_arguments,
    "made-sync": make_sync,
}


def replaced(node: ast.AST, **fields: object) -> ast.AST:
    """Return a shallow copy of a node with other fields."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def swap(items: list[Any], index: int) -> None:
    """Swap an item with the next."""
    items[index : index + 2] = reversed(items[index : index + 2])


def is_none(node: ast.AST) -> bool:
    """Tell whether a node is the constant None."""
    return isinstance(node, ast.Constant) and node.value is None


def first_parameter(node: Function) -> int:
    """Return the index of the first positional parameter that callers give: not ``self`` or ``cls``."""
    return 1 if node.args.args and node.args.args[0].arg in ("self", "cls") else 0


def parameters(node: Function) -> list[ast.arg]:
    """Return the parameters that a caller may name."""
    return [*node.args.args[first_parameter(node) :], *node.args.kwonlyargs]

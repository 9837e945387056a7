"""Which tests a change can matter to: those that execute the statement, or the function, that it is in."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from matrix.mutants.operators import Function
from matrix.mutants.sites import Site, walk

# (test, profile); the test "" is what no single test does: imports, and fixtures that tests share.
Key = tuple[str, str]
# A function's file, relative to the folder that the package lies in, and the first line of its code.
Start = tuple[str, int]
# Operators that change what a function is called with, and nothing for who neither calls it nor asks for its code.
OF_PARAMETERS = frozenset({"renamed-parameter", "reordered-parameters", "changed-default"})
SCOPING = (ast.Assign, ast.AugAssign, ast.Delete)  # without one of these a name may be another function's


@dataclass(frozen=True, slots=True)
class Where:
    """Where a change is felt: in a function, of whose lines one of ``lines`` is executed then, if they are known."""

    file: str
    first: int
    lines: range | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What tests give without a change, and the functions and the lines (by file) that each executes meanwhile."""

    outcomes: Mapping[Key, str]
    entered: Mapping[Key, frozenset[Start]] = field(default_factory=dict)
    lines: Mapping[Key, Mapping[str, frozenset[int]]] = field(default_factory=dict)

    def affected(self, where: Where | None) -> set[Key]:
        """Return the tests that a change can matter to; all, where it is in no function."""
        if where is None:
            return set(self.outcomes)
        feeling = {key for key in {*self.entered, *self.lines} if self.feels(key, where)}
        shared = {profile for test, profile in feeling if not test}
        return {key for key in self.outcomes if key[1] in shared or key in feeling}

    def feels(self, key: Key, where: Where) -> bool:
        """Tell whether a test executes what a change is in."""
        if where.lines is None:
            return (where.file, where.first) in self.entered.get(key, ())
        return not self.lines.get(key, {}).get(where.file, frozenset()).isdisjoint(where.lines)

    def reached(self) -> dict[str, frozenset[int]]:
        """Return the lines that any test executes, by file."""
        found: dict[str, set[int]] = {}
        for files in self.lines.values():
            for name, lines in files.items():
                found.setdefault(name, set()).update(lines)
        return {name: frozenset(lines) for name, lines in found.items()}


def where_felt(source: str, site: Site) -> Where | None:
    """Return where a change is felt.

    None where it may matter without a call of a function: at a module's or a class's level, where a definition is
    taken away or made another by its decorators.
    """
    tree = ast.parse(source)
    node = next(place.node for number, place in enumerate(walk(tree)) if number == site.node)
    functions = [function for function in ast.walk(tree) if isinstance(function, Function)]
    if site.operator in OF_PARAMETERS and isinstance(node, Function):
        return Where(site.file, first_line(node))
    if any(function is node or within(node, outside_of_body(function)) for function in functions):
        return None
    around = [function for function in functions if within(node, function.body)]  # the inner ones come later
    if not around or isinstance(node, ast.ClassDef):
        return None
    return Where(site.file, first_line(around[-1]), lines_of(around[-1], node, site))


def lines_of(function: ast.AST, node: ast.AST, site: Site) -> range | None:
    """Return the lines of the innermost statement in a function that a node is in; a compound one's are its head's.

    None where the change makes something else of the whole function.
    """
    yields = any(isinstance(part, ast.Yield | ast.YieldFrom | ast.Await) for part in ast.walk(node))
    if yields or (site.operator == "dropped-statement" and isinstance(node, SCOPING)):
        return None
    inner = [
        part
        for part in ast.walk(function)
        if isinstance(part, ast.stmt | ast.ExceptHandler) and part is not function and within(node, [part])
    ]
    around = inner[-1]
    body = getattr(around, "body", None)
    if isinstance(around, ast.Try | Function | ast.ClassDef | ast.Match):
        return None
    last = body[0].lineno - 1 if isinstance(body, list) else around.end_lineno or around.lineno
    return range(around.lineno, max(last, around.lineno) + 1)


def within(node: ast.AST, roots: Iterable[ast.AST]) -> bool:
    """Tell whether a node is one of some, or in one."""
    return any(node is part for root in roots for part in ast.walk(root))


def first_line(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the line that the code of a function begins at: the first decorator's, if it has any."""
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])


def outside_of_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.AST]:
    """Return a definition's decorators and parameters."""
    return [function.args, *function.decorator_list]

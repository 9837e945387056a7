"""Which tests a change can matter to: those that execute the function in whose body it is."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from matrix.mutants.operators import Function
from matrix.mutants.sites import Site, walk

# (test, profile); the test "" is what no single test does: imports, and fixtures that tests share.
Key = tuple[str, str]
# A function's file, relative to the folder that the package lies in, and the first line of its code.
Start = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What tests give without a change, and the functions that each executes meanwhile."""

    outcomes: Mapping[Key, str]
    entered: Mapping[Key, frozenset[Start]] = field(default_factory=dict)

    def affected(self, start: Start | None) -> set[Key]:
        """Return the tests that a change in the body of a function can matter to; all, where it is in no body."""
        if start is None:
            return set(self.outcomes)
        shared = {profile for (test, profile), starts in self.entered.items() if not test and start in starts}
        return {key for key in self.outcomes if key[1] in shared or start in self.entered.get(key, ())}


def function_around(source: str, site: Site) -> Start | None:
    """Return the innermost function in whose body a site is.

    None where a change may matter without a call of a function: at a module's or a class's level, in a definition
    itself, its decorators and its parameters.
    """
    tree = ast.parse(source)
    node = next(place.node for number, place in enumerate(walk(tree)) if number == site.node)
    around = None
    for function in ast.walk(tree):
        if not isinstance(function, Function):
            continue
        if function is node or any(node is part for part in outside_of_body(function)):
            return None
        if any(node is part for statement in function.body for part in ast.walk(statement)):
            around = function  # the walk comes to the inner ones later
    if around is None or isinstance(node, ast.ClassDef):
        return None
    return site.file, min([around.lineno, *(decorator.lineno for decorator in around.decorator_list)])


def outside_of_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.AST]:
    """Return the nodes of a definition's decorators and parameters."""
    return [part for root in (function.args, *function.decorator_list) for part in ast.walk(root)]

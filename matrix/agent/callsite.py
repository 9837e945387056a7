"""What the caller's source says of a call: how it was spelled, what was expected of it, what became of its result.

A frame's instruction has a position in the source (Python 3.11 and later), and the position leads to the node of the
syntax tree. Only the caller's file is read; nothing of it enters a trace but names, forms and comparisons as data.
"""

from __future__ import annotations

import ast
import collections
import types
from typing import Any, Deque, Dict, Iterator, List, Optional, Set, Tuple, Union

Position = Tuple[int, int, int, int]
# Nodes without a place of their own: operators, and whether a name is read or written.
MARKS = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)


class Source:
    """The syntax tree of one file, with its nodes by position and each node's parent."""

    def __init__(self, filename: str) -> None:
        """Read and parse ``filename``; a file that cannot be read has no nodes."""
        self.nodes: Dict[Position, List[ast.AST]] = {}
        self.ends: Dict[Tuple[int, int], List[ast.Call]] = {}
        self.parents: Dict[ast.AST, ast.AST] = {}
        self.imports: List[Union[ast.Import, ast.ImportFrom]] = []
        self.statements: Dict[Tuple[int, int], ast.stmt] = {}
        self.origins: Dict[str, str] = {}  # names that the file imports from somewhere: ``module:name``
        self.given: Dict[Tuple[ast.AST, str], List[ast.expr]] = {}
        self.chains: Dict[ast.AST, List[Tuple[str, ...]]] = {}
        try:
            with open(filename, "rb") as file:
                tree = ast.parse(file.read(), filename)
        except (OSError, SyntaxError, ValueError):
            return
        pending: Deque[ast.AST] = collections.deque([tree])
        while pending:
            node = pending.popleft()
            for child in ast.iter_child_nodes(node):
                if not isinstance(child, MARKS):
                    self.parents[child] = node
                    pending.append(child)
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self.imports.append(node)
            if isinstance(node, (ast.expr, ast.stmt)):
                self.nodes.setdefault(position_of(node), []).append(node)
            if isinstance(node, ast.stmt):
                self.statements.setdefault((node.lineno, node.col_offset), node)
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    self.origins.setdefault(alias.asname or alias.name, "%s:%s" % (node.module, alias.name))
            if isinstance(node, ast.Call):
                self.ends.setdefault((node.end_lineno or 0, node.end_col_offset or 0), []).append(node)

    def find(self, position: Position) -> Optional[ast.AST]:
        """Return the expression at ``position``; a call of a method may begin at the method's name (gh-93418)."""
        found = self.nodes.get(position, [])
        for kind in (ast.Call, ast.expr, ast.stmt):
            for node in found:
                if isinstance(node, kind):
                    return node
        calls = self.ends.get((position[1], position[3]), [])
        return calls[0] if calls else None

    def reads(self, node: ast.AST) -> List[Tuple[str, ...]]:
        """Return the dotted names that are read in an expression or a statement, the longest each."""
        if node not in self.chains:
            inner: set[ast.AST] = set()
            found = self.chains[node] = []
            for part in ast.walk(node):
                if not isinstance(part, ast.Attribute) or part in inner or not isinstance(part.ctx, ast.Load):
                    continue
                inner.update(n for n in ast.walk(part) if n is not part)
                chain = chain_of(part)
                if chain is not None:
                    found.append(chain)
        return self.chains[node]

    def values_of(self, function: ast.AST, name: str) -> List[ast.expr]:
        """Return the calls and awaited calls that a function assigns to a name as they are."""
        if (function, name) not in self.given:
            self.given[function, name] = [
                node.value.value if isinstance(node.value, ast.Await) else node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
            ]
        return self.given[function, name]

    def ancestors(self, node: ast.AST) -> Iterator[Tuple[ast.AST, ast.AST]]:
        """Yield (child, parent) from ``node`` up to the module."""
        while node in self.parents:
            yield node, self.parents[node]
            node = self.parents[node]

    def statement(self, node: ast.AST) -> ast.AST:
        """Return the statement that ``node`` stands in."""
        while not isinstance(node, ast.stmt) and node in self.parents:
            node = self.parents[node]
        return node

    def function(self, node: ast.AST) -> ast.AST:
        """Return the function (or module) that ``node`` stands in."""
        for _, parent in self.ancestors(node):
            if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Module)):
                return parent
        return node


def position_of(node: Any) -> Position:
    """Return (line, end line, column, end column), as ``code.co_positions`` has it."""
    return (node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0)


class Site:
    """One place of a caller's source from which a call was made."""

    __slots__ = (
        "awaits", "chain", "expected", "keywords", "later", "name", "node", "positional", "rest", "source", "spread",
        "usage",
    )  # fmt: skip

    def __init__(self, source: Source, node: Optional[ast.AST]) -> None:
        """Read off ``node`` how the call is spelled."""
        self.source, self.node = source, node
        self.positional: Optional[int] = None  # how many there are, and which keywords, beside what is starred
        self.keywords: Optional[Tuple[str, ...]] = None
        self.rest: List[ast.expr] = []
        self.spread: List[ast.expr] = []
        self.name = ""
        self.chain: Optional[Tuple[str, ...]] = None
        self.usage = "whole"
        self.later: Optional[Set[str]] = None
        self.expected: List[Tuple[List[ast.expr], Optional[ast.expr]]] = []
        self.awaits: List[Awaited] = []
        if node is None:
            return
        self.expected = list(self.catching())
        self.awaits = list(self.awaiting())
        function = node.func if isinstance(node, ast.Call) else node
        self.chain = chain_of(function)
        self.name = function.attr if isinstance(function, ast.Attribute) else (self.chain or ("",))[-1]
        if isinstance(node, ast.Call):
            self.rest = [argument.value for argument in node.args if isinstance(argument, ast.Starred)]
            self.spread = [keyword.value for keyword in node.keywords if keyword.arg is None]
            self.positional = len(node.args) - len(self.rest)
            self.keywords = tuple(keyword.arg for keyword in node.keywords if keyword.arg is not None)
        self.usage = usage_of(source, node)

    def read_later(self) -> Set[str]:
        """Return the names that the caller's function may read once the call is over."""
        if self.later is None:
            self.later = set() if self.node is None else names_after(self.source, self.node)
        return self.later

    def catching(self) -> Iterator[Tuple[List[ast.expr], Optional[ast.expr]]]:
        """Yield what the caller is ready to catch: (expressions of exception types, pattern of the message)."""
        if self.node is None:
            return
        for child, parent in self.source.ancestors(self.node):
            if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                return
            if isinstance(parent, (ast.With, ast.AsyncWith)) and child in parent.body:
                for item in parent.items:
                    yield from raises_of(item.context_expr)
            elif isinstance(parent, ast.Try) and child in parent.body and parent.handlers:
                for handler in parent.handlers:
                    yield types_of(handler.type), None
            elif isinstance(parent, ast.Call):
                yield from raises_of(parent)

    def awaiting(self) -> Iterator["Awaited"]:
        """Yield the warnings that the caller awaits: by the ``with`` statements that it stands in."""
        for child, parent in self.source.ancestors(self.node) if self.node is not None else ():
            if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                return
            if isinstance(parent, ast.With) and child in parent.body:
                for item in parent.items:
                    yield from warns_of(item)


# Expressions of the types of warnings, the pattern of the text, and whether the caller looks at all of them.
Awaited = Tuple[List[ast.expr], Optional[ast.expr], bool]


def warns_of(item: ast.withitem) -> Iterator[Awaited]:
    """Yield what ``pytest.warns(…)``, ``self.assertWarns(…)`` or ``warnings.catch_warnings(…)`` awaits."""
    node = item.context_expr
    name = (chain_of(node.func) or ("",))[-1] if isinstance(node, ast.Call) else ""
    if not isinstance(node, ast.Call):
        return
    match = next((keyword.value for keyword in node.keywords if keyword.arg == "match"), None)
    if name in ("warns", "assertWarns") and node.args:
        yield types_of(node.args[0]), match, item.optional_vars is not None
    elif name == "catch_warnings":
        yield [], None, True


def raises_of(node: ast.AST) -> Iterator[Tuple[List[ast.expr], Optional[ast.expr]]]:
    """Yield what ``pytest.raises(…)``, ``self.assertRaises(…)`` or ``suppress(…)`` expects."""
    if not isinstance(node, ast.Call):
        return
    name = (chain_of(node.func) or ("",))[-1]
    if name in ("raises", "assertRaises", "assertRaisesRegex") and node.args:
        match = next((keyword.value for keyword in node.keywords if keyword.arg == "match"), None)
        if name == "assertRaisesRegex" and len(node.args) > 1:
            match = node.args[1]
        yield types_of(node.args[0]), match
    elif name == "suppress":
        yield list(node.args), None


def types_of(node: Optional[ast.expr]) -> List[ast.expr]:
    """Return the expressions of the exception types that a clause names; none means any."""
    if node is None:
        return []
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def meant(name: str, frame: types.FrameType) -> Any:
    """Return what a name holds in a frame, None for one that holds nothing."""
    for names in (frame.f_locals, frame.f_globals, frame.f_builtins):
        if name in names:
            return names[name]
    return None


def chain_of(node: ast.AST) -> Optional[Tuple[str, ...]]:
    """Return ``("oras", "utils", "read_json")`` for ``oras.utils.read_json``, None for what is no dotted name."""
    names: List[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    names.append(node.id)
    return tuple(reversed(names))


def names_after(source: Source, node: ast.AST) -> Set[str]:
    """Return the names that are read behind a statement in its function; in a loop, all that are read there."""
    loops = [parent for _, parent in source.ancestors(node) if isinstance(parent, (ast.For, ast.While, ast.AsyncFor))]
    end: int = -1 if loops else source.statement(node).end_lineno or 0  # type: ignore[attr-defined]
    return {
        part.id
        for part in ast.walk(source.function(node))
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and part.lineno > end
    }


def usage_of(source: Source, node: ast.AST) -> str:
    """Say what became of a call's result: ``none``, ``checked`` (by comparisons we saw, or later calls), ``whole``."""
    if isinstance(source.parents.get(node), ast.Await):
        node = source.parents[node]
    for child, parent in source.ancestors(node):
        if isinstance(parent, ast.Assert):
            return "checked"
        if isinstance(parent, ast.Expr):
            return "none" if child is node else "checked" if is_assertion(child) else usage_in(child, node)
        if isinstance(parent, (ast.Assign, ast.AnnAssign)) and child is node:
            return usage_of_names(source, parent)
        if isinstance(parent, ast.withitem) and child is node:
            return "none" if parent.optional_vars is None else "whole"
        if isinstance(parent, ast.Attribute) and isinstance(source.parents.get(parent), ast.Call):
            outer = source.parents[parent]
            if isinstance(outer, ast.Call) and outer.func is parent and child is node:
                return "checked"  # the receiver of a further call, which is judged by itself
        if isinstance(parent, ast.stmt):
            return "whole"
    return "whole"


def usage_in(statement: ast.AST, node: ast.AST) -> str:
    """Say what an expression statement does with the result of ``node`` inside it."""
    if isinstance(statement, ast.Call) and node in statement.args:
        return "whole"
    return "checked" if isinstance(statement, ast.Await) else "whole"


def is_assertion(node: ast.AST) -> bool:
    """Say whether an expression is one of unittest's assertions."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ASSERTIONS


def usage_of_names(source: Source, assignment: ast.AST) -> str:
    """Say how the names are used that a result was assigned to, anywhere in their function."""
    targets = assignment.targets if isinstance(assignment, ast.Assign) else [assignment.target]  # type: ignore[attr-defined]
    names = {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    plain = all(isinstance(n, (ast.Name, ast.Tuple, ast.expr_context)) for t in targets for n in ast.walk(t))
    if not plain:
        return "whole"
    uses = [
        node
        for node in ast.walk(source.function(assignment))
        if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load)
    ]
    if not uses:
        return "none"
    if any(isinstance(target, ast.Tuple) for target in targets):
        return "whole"  # what was unpacked are values of their own: no check on one leads back to the result
    return "checked" if all(is_seen(source, use) for use in uses) else "whole"


def is_seen(source: Source, use: ast.AST) -> bool:
    """Say whether a use of a result is one that the trace holds by itself.

    It is where it stands in an assertion, is the receiver or a part of an argument of a call (a call of the subject is
    an event; what a call of something else does with it is compared as its effect or not at all), or is subscripted
    for one.
    """
    outermost: Optional[ast.AST] = None
    for child, parent in source.ancestors(use):
        if isinstance(parent, ast.Assert) or (isinstance(parent, ast.Expr) and is_assertion(child)):
            return True
        if isinstance(parent, ast.stmt):
            break
        outermost = outermost or parent
    call = source.parents.get(outermost) if outermost is not None else None
    return isinstance(outermost, ast.Attribute) and isinstance(call, ast.Call) and call.func is outermost


# unittest's assertions, as the comparison that each makes of its first arguments.
ASSERTIONS = {
    "assertEqual": "==",
    "assertEquals": "==",
    "assertListEqual": "==",
    "assertDictEqual": "==",
    "assertTupleEqual": "==",
    "assertSetEqual": "==",
    "assertMultiLineEqual": "==",
    "assertSequenceEqual": "==",
    "assertNotEqual": "!=",
    "assertIn": "in",
    "assertNotIn": "not in",
    "assertIs": "is",
    "assertIsNot": "is not",
    "assertLess": "<",
    "assertLessEqual": "<=",
    "assertGreater": ">",
    "assertGreaterEqual": ">=",
    "assertTrue": "true",
    "assertFalse": "not",
    "assertIsNone": "is None",
    "assertIsNotNone": "is not None",
    "assertIsInstance": "isinstance",
}

SOURCES: Dict[str, Source] = {}
SITES: Dict[Tuple[int, int], Site] = {}
# By the code's id, since hashing a code object goes through all of its constants; each code is kept alive here.
POSITIONS: Dict[int, Tuple[types.CodeType, List[Any]]] = {}


def source_of(filename: str) -> Source:
    """Return the parsed file, once."""
    if filename not in SOURCES:
        SOURCES[filename] = Source(filename)
    return SOURCES[filename]


def site_of(frame: types.FrameType) -> Site:
    """Return the place that ``frame`` is at."""
    key = (id(frame.f_code), frame.f_lasti)
    site = SITES.get(key)
    if site is None:
        site = SITES[key] = make_site(frame.f_code, frame.f_lasti)
    return site


def make_site(code: types.CodeType, instruction: int) -> Site:
    """Return the place of an instruction; a code without source has one without a node."""
    source = source_of(code.co_filename)
    if id(code) not in POSITIONS:
        POSITIONS[id(code)] = (code, list(code.co_positions()) if hasattr(code, "co_positions") else [])
    index = instruction // 2
    positions = POSITIONS[id(code)][1]
    if not 0 <= index < len(positions) or None in positions[index]:
        return Site(source, None)
    node = source.find(positions[index])
    # The body of a coroutine begins when it is awaited.
    return Site(source, node.value if isinstance(node, ast.Await) else node)

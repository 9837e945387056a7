"""Where a package can be changed, which of these places are taken, and the change itself."""

import ast
import copy
import random
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from matrix.mutants.operators import OPERATORS, Function

SKIPPED_FIELDS = {"annotation", "returns", "ctx", "type_params", "type_ignores"}
SHOWN = 80  # characters at most of a statement before and after


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """One place where one operator can change one file, in one of its ways.

    ``file`` is relative to the folder that the package lies in, ``node`` the node's number in a walk of the file;
    ``function`` is the qualified name of the function or class around it, empty at the module's level.
    """

    file: str
    line: int
    node: int
    operator: str
    variant: int
    function: str
    change: str

    @property
    def name(self) -> str:
        """A short name, the same as long as the file is."""
        return f"{self.file}:{self.line}:{self.operator}:{self.node}.{self.variant}"


@dataclass(frozen=True, slots=True)
class Place:
    """A node in its tree: ``holder.field`` is it, or has it at ``index``."""

    node: ast.AST
    holder: ast.AST
    field: str
    index: int | None
    function: str

    def put(self, other: ast.AST) -> None:
        """Put another node in its place."""
        if self.index is None:
            setattr(self.holder, self.field, other)
        else:
            getattr(self.holder, self.field)[self.index] = other


def walk(node: ast.AST, function: str = "") -> Iterator[Place]:
    """Yield the places of a tree in the order of the source, without docstrings, annotations and defaults."""
    for field, value in ast.iter_fields(node):
        if field in SKIPPED_FIELDS or (isinstance(node, ast.arguments) and field in ("defaults", "kw_defaults")):
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or is_docstring(child):
                continue
            inner = function
            if isinstance(child, Function | ast.ClassDef):
                inner = f"{function}.{child.name}".lstrip(".")
            yield Place(child, node, field, index if isinstance(value, list) else None, inner)
            yield from walk(child, inner)


def is_docstring(node: ast.AST) -> bool:
    """Tell whether a node is a text that stands by itself."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def find_sites(file: str, source: str, lines: Iterable[int]) -> Iterator[Site]:
    """Yield all sites of a file that are on executed ``lines``; a definition is where its body is."""
    executed = frozenset(lines)
    for number, place in enumerate(walk(ast.parse(source))):
        if executed.isdisjoint(extent(place.node)):
            continue
        for name, operator in OPERATORS.items():
            for variant, other in enumerate(operator(place.node)):
                line = getattr(place.node, "lineno", 0)
                yield Site(file, line, number, name, variant, place.function, change(place.node, other))


def extent(node: ast.AST) -> range:
    """Return the lines that a node is judged by: its own, a definition's body's, the head of a compound statement."""
    if isinstance(node, Function):
        return range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)
    if isinstance(node, ast.If | ast.While):
        return range(node.lineno, (node.test.end_lineno or node.lineno) + 1)
    if isinstance(node, ast.expr | ast.stmt) and not hasattr(node, "body"):
        return range(node.lineno, (node.end_lineno or node.lineno) + 1)
    line = getattr(node, "lineno", 0)
    return range(line, line + 1)


def change(before: ast.AST, after: ast.AST) -> str:
    """Say in one line what became of a node, from shortly before the first difference on."""
    old, new = head(before), head(after)
    same = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
    start = max(0, same - SHOWN // 4) if max(len(old), len(new)) > SHOWN else 0
    return " -> ".join(("…" if start else "") + shorten(text[start:]) for text in (old, new))


def head(node: ast.AST) -> str:
    """Return a node's source in one line, of a compound statement what stands before its body."""
    if isinstance(getattr(node, "body", None), list):
        node = copy.copy(node)
        for name in ("body", "orelse"):
            if hasattr(node, name):
                setattr(node, name, [ast.Pass()] if name == "body" else [])
    lines = ast.unparse(ast.fix_missing_locations(node)).splitlines()
    shown = " ".join(line.strip() for line in lines if line.strip())
    return shown.removesuffix(" pass")


def shorten(text: str) -> str:
    """Return a text that is not too long for a table."""
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def mutate(source: str, site: Site) -> str:
    """Return a file's source with the change of ``site``; the rest is the same program, without comments."""
    tree = ast.parse(source)
    place = next(place for number, place in enumerate(walk(tree)) if number == site.node)
    for variant, other in enumerate(OPERATORS[site.operator](place.node)):
        if variant == site.variant:
            place.put(other)
            break
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def compiles(source: str) -> bool:
    """Tell whether Python takes a source."""
    try:
        compile(source, "<mutant>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def choose(sources: Mapping[str, str], reached: Mapping[str, Iterable[int]], count: int, seed: int) -> list[Site]:
    """Choose sites by chance, the same for the same ``seed``, spread over operators and functions.

    ``sources`` are the package's files, ``reached`` the numbers of their lines that are executed. The operators take
    turns; each takes a site of a function that has been taken least often. What does not compile is no mutant.
    """
    sites = [
        site for file, source in sorted(sources.items()) for site in find_sites(file, source, reached.get(file, ()))
    ]
    chance = random.Random(seed)  # noqa: S311 (nothing secret about it)
    waiting: dict[str, list[Site]] = {}
    for site in chance.sample(sites, len(sites)):
        waiting.setdefault(site.operator, []).append(site)
    turns = deque(sorted(waiting))
    taken: Counter[tuple[str, str]] = Counter()
    chosen: list[Site] = []
    while turns and len(chosen) < count:
        operator = turns.popleft()
        site = min(waiting[operator], key=lambda site: taken[site.file, site.function])
        waiting[operator].remove(site)
        if compiles(mutate(sources[site.file], site)):
            taken[site.file, site.function] += 1
            chosen.append(site)
        if waiting[operator]:
            turns.append(operator)
    return chosen

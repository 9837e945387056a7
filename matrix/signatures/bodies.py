"""What the body of a function tells without running it: what it calls, sets, yields, and whether it wraps."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
# What may run never, or more than once.
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.Match)
MAYBE = (ast.IfExp, ast.BoolOp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BARE, CALLED, UPDATES = "bare", "called", "updates"


def dotted(node: ast.AST | None) -> str | None:
    """Return ``a.b.c`` of a name or an attribute of names, None for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (root := dotted(node.value)) is not None:
        return f"{root}.{node.attr}"
    return None


def walk_scope(nodes: Iterable[ast.AST]) -> list[ast.AST]:
    """Return the nodes and all below them, except what stands in a nested function, class or lambda."""
    found: list[ast.AST] = []
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, SCOPES):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements of a body but its docstring."""
    first = body[0] if body else None
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return body[1:] if documented else body


@dataclass(frozen=True, slots=True)
class Body:
    """A function with the nodes of its own scope, which are walked once for all questions."""

    function: Function
    nodes: list[ast.AST]

    @classmethod
    def of(cls, function: Function) -> "Body":
        """Walk a function's body."""
        return cls(function, walk_scope(function.body))

    @property
    def first(self) -> str | None:
        """The name of its first positional parameter."""
        positional = [*self.function.args.posonlyargs, *self.function.args.args]
        return positional[0].arg if positional else None

    @property
    def functions(self) -> list[Function]:
        """The functions that stand in it."""
        return [node for node in self.nodes if isinstance(node, Function)]

    @property
    def returned(self) -> list[str | None]:
        """What its ``return`` statements give, None for what is not a name."""
        return [dotted(node.value) for node in self.nodes if isinstance(node, ast.Return)]

    @property
    def is_generator(self) -> bool:
        """Whether it yields."""
        return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in self.nodes)


def assigned_on_self(body: Body) -> dict[str, int]:
    """Return the attributes that a method sets on its first parameter, with the first line of each."""
    lines: dict[str, int] = {}
    for node in body.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and dotted(node.value) == body.first:
            lines[node.attr] = min(node.lineno, lines.get(node.attr, node.lineno))
    return lines


def declared_global(body: Body) -> dict[str, int]:
    """Return the names that a function declares ``global``, with their lines."""
    return {name: node.lineno for node in body.nodes if isinstance(node, ast.Global) for name in node.names}


def calls_always(body: Body, *, method: bool) -> tuple[str, ...]:
    """Return the dotted names that the body calls however it is called, until it branches off or ends.

    A method's first parameter is written ``self``; names that the function binds itself are left out.
    """
    receiver = body.first if method else None
    local = _local_names(body) - {receiver}
    found: dict[str, None] = {}
    for name in _certain_calls(body.function.body):
        root, _, rest = name.partition(".")
        if root == receiver and rest:
            found[f"self.{rest}"] = None
        elif root not in local and root != receiver:
            found[name] = None
    return tuple(found)


def _local_names(body: Body) -> set[str | None]:
    """Return the names of parameters, and those that the body assigns, imports or defines."""
    arguments = body.function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    local: set[str | None] = {argument.arg for argument in every if argument is not None}
    for node in body.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            local.add(node.id)
        elif isinstance(node, Function | ast.ClassDef | ast.ExceptHandler):
            local.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            local.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    return local


def _certain_calls(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, BRANCHES):
            heads = [getattr(statement, name, None) for name in ("test", "iter", "subject")]
            yield from (name for head in heads for name in _calls_in(head))
            if any(isinstance(node, (ast.Return, ast.Raise)) for node in walk_scope([statement])):
                return
        elif isinstance(statement, (ast.With, ast.AsyncWith)):
            for item in statement.items:
                yield from _calls_in(item.context_expr)
            # What a context manager does with an exception, or whether it enters at all, is not known.
            return
        elif not isinstance(statement, SCOPES):
            yield from _calls_in(statement)
            if isinstance(statement, (ast.Return, ast.Raise)):
                return


def _calls_in(node: ast.AST | None) -> Iterator[str]:
    if node is None or isinstance(node, (*SCOPES, *MAYBE)):
        return
    if isinstance(node, ast.Call) and (name := dotted(node.func)) is not None:
        yield name
    for child in ast.iter_child_nodes(node):
        yield from _calls_in(child)


def decorator_forms(body: Body) -> str | None:
    """Tell how a function, used as a decorator, leaves signatures as they are.

    ``bare``: as ``@decorator``; ``called``: as ``@decorator(...)``; both, separated by a space. ``updates``: it makes
    the object that it belongs to look like its argument (``functools.update_wrapper(self, function)``), so that a
    class with it can be a decorator. None: not known to.
    """
    inner = {function.name: Body.of(function) for function in body.functions}
    forms = [BARE] if _wraps(body) else []
    if any(name in inner and _wraps(inner[name]) for name in body.returned):
        forms.append(CALLED)
    positional = [argument.arg for argument in body.function.args.args]
    if any([dotted(call.args[0]), dotted(call.args[1])] == positional[:2] for call in _updates(body)):
        forms.append(UPDATES)
    return " ".join(forms) or None


def _wraps(body: Body) -> bool:
    """Tell whether it gives back its first parameter, or a wrapper of it that passes everything on."""
    if body.first is None or not body.returned or body.is_generator:
        return False
    good = {body.first} | {function.name for function in body.functions if _is_wrapper(function, body.first)}
    updated = {dotted(call.args[0]) for call in _updates(body) if dotted(call.args[1]) == body.first}
    inner = {function.name for function in body.functions if takes_all(function)}
    return all(name in good | (updated & inner) for name in body.returned)


def _is_wrapper(function: Function, wrapped: str) -> bool:
    """Tell whether it is decorated with ``functools.wraps(wrapped)`` and takes whatever it is given."""
    calls = [node for node in function.decorator_list if isinstance(node, ast.Call) and node.args]
    names = [(dotted(call.func) or "", dotted(call.args[0])) for call in calls]
    return takes_all(function) and any(name.rpartition(".")[2] == "wraps" and of == wrapped for name, of in names)


def takes_all(function: Function) -> bool:
    """Tell whether it has ``*args`` and ``**kwargs``."""
    return function.args.vararg is not None and function.args.kwarg is not None


def _updates(body: Body) -> list[ast.Call]:
    """Return the calls of ``update_wrapper(wrapper, wrapped)``."""
    calls = [node for node in body.nodes if isinstance(node, ast.Call) and len(node.args) > 1]
    return [call for call in calls if (dotted(call.func) or "").rpartition(".")[2] == "update_wrapper"]

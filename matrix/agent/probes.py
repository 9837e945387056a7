"""Probes in function bodies, put in when a module is imported, by rewriting its syntax tree.

A probed body tells the recorder that it began, what it returns, what it raises, and (generators) when it is suspended
and resumed. No frame is added and no name is bound: the probes are found among the builtins under names that no
program can spell, so that ``locals()``, ``dir()``, tracebacks, ``warnings.warn(stacklevel=…)`` and the depth of
recursion are as without them. Modules of the suite get the same probes (their functions are called back by the
subject) and one after each assertion.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import sys
import types
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

FunctionNode = Union[ast.FunctionDef, ast.AsyncFunctionDef]
ENTER, LEAVE, RAISED, YIELD, RESUME, DID = "@enter", "@leave", "@raised", "@yield", "@resume", "@did"
CAUGHT, THROUGH, TEXT = "@caught", "@through", "@text"
GIVEN, COPIED = "@given", "@copied"
COPYING = {"copy", "deepcopy", "dumps", "loads"}  # functions that may copy what they are given


class Definition:
    """A function as its source defines it."""

    __slots__ = (
        "defaults",
        "generated",
        "ident",
        "kind",
        "kwarg",
        "kwonly",
        "line",
        "module",
        "names",
        "positional",
        "posonly",
        "qualname",
        "suite",
        "vararg",
    )

    def __init__(self, ident: int, module: str, qualname: str, node: Any, kind: str, suite: bool) -> None:
        """Read the parameters off ``node``."""
        arguments = node.args
        self.ident, self.module, self.qualname, self.kind, self.suite = ident, module, qualname, kind, suite
        self.line = node.lineno
        self.generated = qualname.startswith("<generated>")  # made of text by the subject
        self.posonly = len(arguments.posonlyargs)
        self.positional = [a.arg for a in arguments.posonlyargs + arguments.args]
        self.kwonly = [a.arg for a in arguments.kwonlyargs]
        self.defaults = len(arguments.defaults)
        self.vararg = arguments.vararg.arg if arguments.vararg else None
        self.kwarg = arguments.kwarg.arg if arguments.kwarg else None
        self.names = self.positional + [n for n in [self.vararg] if n] + self.kwonly + [n for n in [self.kwarg] if n]

    @property
    def function(self) -> str:
        """Return the definition path."""
        return "%s.%s" % (self.module, self.qualname)


class Rewriter(ast.NodeTransformer):
    """Puts the probes into one module's tree."""

    def __init__(self, module: str, define: Callable[[Any, str, str, str], int], suite: bool, filename: str) -> None:
        """Make one; ``define(node, module, qualname, kind)`` gives each function its number."""
        self.module, self.define, self.suite, self.filename = module, define, suite, filename
        self.scope: List[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Go into a class body; decorators and bases stand outside it."""
        node.decorator_list = [self.visit(n) for n in node.decorator_list]
        node.bases = [self.visit(n) for n in node.bases]
        node.keywords = [self.visit(n) for n in node.keywords]
        self.scope.append(node.name)
        node.body = self.statements(node.body)
        self.scope.pop()
        return node

    def visit_FunctionDef(self, node: FunctionNode) -> ast.AST:
        """Put the probes into a function."""
        node.decorator_list = [self.visit(n) for n in node.decorator_list]
        node.args = self.visit(node.args)
        qualname = ".".join([*self.scope, node.name])
        kind = kind_of(node)
        ident = self.define(node, self.module, qualname, kind)
        self.scope.extend([node.name, "<locals>"])
        body = self.statements(node.body)
        del self.scope[-2:]
        body = [Points(kind, ident).visit(statement) for statement in body]
        head: List[ast.stmt] = []
        if body and is_docstring(body[0]):
            head.append(body.pop(0))
        flat = [n for statement in body for n in (statement if isinstance(statement, list) else [statement])]
        enter = ast.Expr(probe(ENTER, ast.Constant(ident), *(ast.Name(n, ast.Load()) for n in names_of(node.args))))
        last: ast.AST = flat[-1] if flat else node
        leave = ast.Expr(probe(LEAVE, ast.Constant(ident), ast.Constant(None)))
        raised = ast.Expr(probe(RAISED, ast.Constant(ident)))
        place(enter, node.body[0] if node.body else node)
        place(leave, last, end=True)
        handler = ast.ExceptHandler(ast.Name("BaseException", ast.Load()), None, [raised, ast.Raise(None, None)])
        handler.type = ast.Name("@BaseException", ast.Load())
        wrapped = ast.Try([enter, *flat, leave], [handler], [], [])
        place(wrapped, node.body[0] if node.body else node)
        place(handler, last, end=True)
        node.body = [*head, wrapped]
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        """Put the probes into a lambda: a call with what it gave as its second argument."""
        node.args = self.visit(node.args)
        qualname = ".".join([*self.scope, "<lambda>"])
        if any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(node.body)):
            return node
        ident = self.define(node, self.module, qualname, "lambda")
        self.scope.extend(["<lambda>", "<locals>"])
        body = self.visit(node.body)
        del self.scope[-2:]
        enter = probe(ENTER, ast.Constant(ident), *(ast.Name(n, ast.Load()) for n in names_of(node.args)))
        node.body = place(probe(LEAVE + "2", ast.Constant(ident), enter, body), node.body)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Let text that the subject makes functions of get probes as well; tell what a suite may copy."""
        self.generic_visit(node)
        if self.suite:
            return copying(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in ("compile", "exec") and node.args and not isinstance(node.args[0], ast.Starred):
            text = probe(TEXT, ast.Name(name, ast.Load()), node.args[0], ast.Constant(self.module))
            node.args[0] = place(text, node.args[0])
        return node

    def statements(self, body: Sequence[Any]) -> List[Any]:
        """Return the rewritten nodes; in a suite the statements of interest are each followed by a word of it."""
        made: List[Any] = []
        for node in body:
            told = [self.told(node)] if self.suite and is_told(node) else []
            made += [self.visit(node) if isinstance(node, ast.AST) else node, *told]
        return made

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Go on into whatever has no probes of its own."""
        for field, old in ast.iter_fields(node):
            if isinstance(old, list):
                old[:] = self.statements(old)
            elif isinstance(old, ast.AST):
                setattr(node, field, self.visit(old))
        return node

    def told(self, statement: ast.AST) -> ast.stmt:
        """Return the statement that tells the recorder that ``statement`` was executed."""
        position = (statement.lineno, statement.col_offset)  # type: ignore[attr-defined]
        did = ast.Expr(probe(DID, *(ast.Constant(value) for value in (self.filename, *position))))
        placed: ast.stmt = place(did, statement, end=True)
        return placed


class Points(ast.NodeTransformer):
    """Puts probes at the returns and yields of one function, not of those inside it."""

    def __init__(self, kind: str, ident: int) -> None:
        """Make one for the function of this kind and number."""
        self.kind, self.ident = kind, ident

    def probe(self, name: str, *arguments: ast.expr) -> ast.Call:
        """Return the call of a probe of this function."""
        return probe(name, ast.Constant(self.ident), *arguments)

    def skip(self, node: ast.AST) -> ast.AST:
        """Leave functions and classes inside alone."""
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_ClassDef = skip

    def visit_Return(self, node: ast.Return) -> Any:
        """Tell what is returned; an async generator may not return a value."""
        self.generic_visit(node)
        if self.kind == "async generator":
            leave = place(ast.Expr(self.probe(LEAVE, ast.Constant(None))), node)
            return [leave, node]
        node.value = place(self.probe(LEAVE, node.value or ast.Constant(None)), node)
        return node

    def visit_Yield(self, node: ast.Yield) -> Any:
        """Tell what is yielded, and what was sent."""
        self.generic_visit(node)
        node.value = place(self.probe(YIELD, node.value or ast.Constant(None)), node)
        return place(self.probe(RESUME, node), node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> Any:
        """Tell what another iterator yields in this one's place."""
        self.generic_visit(node)
        node.value = place(self.probe(THROUGH, node.value), node)
        return node

    def visit_Try(self, node: Any) -> Any:
        """Tell that an exception arrived, which may have been thrown in."""
        self.generic_visit(node)
        if self.kind == "function":
            return node
        for body in [*(handler.body for handler in node.handlers), node.finalbody]:
            if body:
                body.insert(0, place(ast.Expr(self.probe(CAUGHT)), body[0]))
        return node

    visit_TryStar = visit_Try


def probe(name: str, *arguments: ast.expr) -> ast.Call:
    """Return the call of a probe."""
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def copying(node: ast.Call) -> ast.AST:
    """Return a call with probes around it and its first argument, where its name is that of a function that copies.

    It has no other, but for the protocol of a pickle.
    """
    names = ast.unparse(node.func) if isinstance(node.func, (ast.Name, ast.Attribute)) else ""
    copies = names.rpartition(".")[2] in COPYING and all(part.isidentifier() for part in names.split("."))
    most = 2 if names.endswith("dumps") else 1
    if (
        not copies
        or not 1 <= len(node.args) <= most
        or node.keywords
        or any(isinstance(argument, ast.Starred) for argument in node.args)
    ):
        return node
    place_of: Any = (node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0)
    position = ast.Constant(place_of)
    node.args[0] = place(probe(GIVEN, position, ast.Constant(names), node.args[0]), node.args[0])
    made: ast.AST = place(probe(COPIED, position, node), node)
    return made


def place(node: Any, like: Any, end: bool = False) -> Any:
    """Give ``node`` and what it holds the position of ``like`` (its last line with ``end``)."""
    line = (like.end_lineno if end else like.lineno) or like.lineno
    column = like.col_offset
    pending: List[Any] = [node]
    while pending:
        part = pending.pop()
        if "lineno" in part._attributes:
            if hasattr(part, "lineno"):
                continue  # the program's own, or placed before: so is what it holds
            part.lineno = part.end_lineno = line
            part.col_offset = part.end_col_offset = column
        pending += ast.iter_child_nodes(part)
    return node


def names_of(arguments: ast.arguments) -> List[str]:
    """Return the names of the parameters: positional, ``*``, keyword-only, ``**``."""
    names = [a.arg for a in arguments.posonlyargs + arguments.args]
    names += [arguments.vararg.arg] if arguments.vararg else []
    names += [a.arg for a in arguments.kwonlyargs]
    return names + ([arguments.kwarg.arg] if arguments.kwarg else [])


def kind_of(node: FunctionNode) -> str:
    """Return ``function``, ``generator``, ``coroutine`` or ``async generator``."""
    finder = Yields()
    for statement in node.body:
        finder.visit(statement)
    if isinstance(node, ast.AsyncFunctionDef):
        return "async generator" if finder.found else "coroutine"
    return "generator" if finder.found else "function"


class Yields(ast.NodeVisitor):
    """Looks for a ``yield`` of one function itself."""

    found = False

    def skip(self, node: ast.AST) -> None:
        """Leave functions and classes inside alone."""

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_ClassDef = skip

    def visit_Yield(self, node: ast.AST) -> None:
        """Note it."""
        self.found = True

    visit_YieldFrom = visit_Yield


def is_docstring(node: ast.AST) -> bool:
    """Say whether a first statement is the docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def is_told(node: ast.AST) -> bool:
    """Say whether the recorder is told of a statement: an assertion, or a simple one that may read the subject."""
    if isinstance(node, ast.Assert):
        return True
    return isinstance(node, (ast.Expr, ast.Assign)) and not is_docstring(node)


class Loader(importlib.machinery.SourceFileLoader):
    """Loads a module with probes; compiled files are neither read nor written."""

    def __init__(
        self, name: str, path: str, compile_: Callable[[bytes, str, str], Any], after: Callable[[str], None]
    ) -> None:
        """Make one that compiles with ``compile_(source, path, name)`` and says ``after(name)`` it was executed."""
        super().__init__(name, path)
        self.compile_, self.after = compile_, after

    def get_code(self, fullname: str) -> Any:
        """Return the code of the probed module."""
        path = self.get_filename(fullname)
        return self.compile_(self.get_data(path), path, fullname)

    def exec_module(self, module: types.ModuleType) -> None:
        """Execute the module and say so."""
        super().exec_module(module)
        self.after(module.__name__)


class Finder(importlib.abc.MetaPathFinder):
    """Finds modules as Python does, and gives those of interest a loader that probes them."""

    def __init__(
        self,
        wants: Callable[[str, str], bool],
        places: Callable[[str, Sequence[str]], Sequence[str]],
        compile_: Callable[[bytes, str, str], Any],
        after: Callable[[str], None],
    ) -> None:
        """Make one; ``wants(name, path)`` chooses the modules, of those in ``places(name, folders)``."""
        self.wants, self.places, self.compile_, self.after = wants, places, compile_, after

    def find_spec(self, fullname: str, path: Optional[Sequence[str]], target: Any = None) -> Any:
        """Return the usual spec with our loader, or None for what is not of interest."""
        places = self.places(fullname, sys.path if path is None else path)
        if not places or importlib.machinery.PathFinder.find_spec(fullname, places, target) is None:
            return None  # to look everywhere, and let Python do the same again, is half of what a recorder costs
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not importlib.machinery.SourceFileLoader or not spec.origin:
            return None
        if not self.wants(fullname, spec.origin):
            return None
        spec.loader = Loader(fullname, spec.origin, self.compile_, self.after)
        spec.cached = None
        return spec


def install(probes: Dict[str, Any]) -> None:
    """Put the probes where probed code finds them."""
    import builtins

    vars(builtins).update(probes)
    vars(builtins)["@BaseException"] = BaseException


def rewrite(source: Any, path: str, name: str, define: Callable[[Any, str, str, str], int], suite: bool) -> Any:
    """Return the probed tree of a module, from its source or its tree."""
    tree = source if isinstance(source, ast.AST) else ast.parse(source, path)
    return Rewriter(name, define, suite, path).visit(tree)

"""One Python file, read and never imported: what it binds to which names, under which conditions.

griffe's own visitor keeps one definition for each name and none that stands in a function, so fallbacks
(``try``/``except ImportError``), conditional definitions, nested functions and lambdas would be lost. The walk is
therefore ours; griffe gives the parameters, and the order of base classes (see `lookup`).
"""

import ast
import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from griffe import ParameterKind, get_parameters

from matrix.signatures import model
from matrix.signatures.archives import File
from matrix.signatures.bodies import (
    Body,
    Function,
    assigned_on_self,
    calls_always,
    declared_global,
    decorator_forms,
    dotted,
    walk_scope,
    without_docstring,
)
from matrix.signatures.model import Definition, Guard, Import, Parameter, Source

KINDS = {
    ParameterKind.positional_only: model.POSITIONAL_ONLY,
    ParameterKind.positional_or_keyword: model.POSITIONAL,
    ParameterKind.var_positional: model.VAR_POSITIONAL,
    ParameterKind.keyword_only: model.KEYWORD_ONLY,
    ParameterKind.var_keyword: model.VAR_KEYWORD,
}
VARIADIC = {model.VAR_POSITIONAL, model.VAR_KEYWORD}
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def read_source(file: File) -> Source:
    """Return what the file holds; one that this Python cannot parse gives a source with its reason in ``error``."""
    digest = file.key[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in somebody's string is not ours to report
            tree = ast.parse(file.data, filename=file.path)
            reader = Reader(file.module, file.package)
            reader.read(tree.body, Scope())
    except SyntaxError as error:
        return Source(file.module, file.package, digest, error=f"line {error.lineno or 0}: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Source(file.module, file.package, digest, error=str(error) or type(error).__name__)
    definitions = tuple(sorted(reader.definitions, key=lambda definition: definition.line))
    return Source(
        file.module, file.package, digest, definitions, tuple(reader.imports), read_exports(tree), reader.bodies
    )


def read_exports(tree: ast.Module) -> tuple[str, ...] | None:
    """Return the texts that are put into ``__all__`` at the top of a file, None where there is none.

    Only literals are read: what is added from another module's ``__all__`` is looked up where it is used.
    """
    names: list[str] | None = None
    for statement in tree.body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(dotted(target) == "__all__" for target in targets):
            kept = names if isinstance(statement, ast.AugAssign) else None
            names = [*(kept or []), *_texts(getattr(statement, "value", None))]
        elif isinstance(call, ast.Call) and dotted(call.func) in {"__all__.extend", "__all__.append"}:
            names = [*(names or []), *(text for argument in call.args for text in _texts(argument))]
    return None if names is None else tuple(names)


def _texts(node: ast.AST | None) -> list[str]:
    """Return the texts in a literal; another module's ``__all__`` is written ``module.__all__``."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    name = dotted(node)
    if name is not None:
        return [name] if name.endswith(".__all__") else []
    return [text for child in ast.iter_child_nodes(node) for text in _texts(child)] if node is not None else []


def read_parameters(arguments: ast.arguments) -> tuple[Parameter, ...]:
    """Return the parameters in order, defaults and annotations as source."""
    parameters = []
    for name, annotation, griffe_kind, default in get_parameters(arguments):
        kind = KINDS[griffe_kind]
        value = None if kind in VARIADIC else _source(default)
        parameters.append(Parameter(name, kind, value, _source(annotation)))
    return tuple(parameters)


def _source(node: ast.AST | str | None) -> str | None:
    return ast.unparse(node) if isinstance(node, ast.AST) else None


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a statement stands: ``prefix`` goes before names, ``kind`` is ``module``, ``class`` or ``function``."""

    prefix: str = ""
    kind: str = "module"
    guards: tuple[Guard, ...] = ()

    def under(self, branch: str, test: ast.AST | str | None, line: int) -> "Scope":
        """Return the same scope under one more condition."""
        text = test if isinstance(test, str) else _source(test) or ""
        return Scope(self.prefix, self.kind, (*self.guards, Guard(branch, text, line)))


@dataclass(slots=True)
class Reader:
    """Collects what one file defines, scope by scope."""

    module: str
    package: bool
    definitions: list[Definition] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    bodies: dict[str, str] = field(default_factory=dict)

    def read(self, statements: list[ast.stmt], scope: Scope) -> None:
        """Read the statements of one scope."""
        for statement in statements:
            if isinstance(statement, Function):
                self._function(statement, scope)
            elif isinstance(statement, ast.ClassDef):
                self._class(statement, scope)
            elif isinstance(statement, (ast.Import, ast.ImportFrom)):
                self._import(statement, scope)
            else:
                self._bindings(statement, scope)
                for body, inside in _branches(statement, scope):
                    self.read(body, inside)

    def _add(self, node: ast.AST, scope: Scope, name: str, kind: str, **facts: object) -> None:
        line = getattr(node, "lineno", 0)
        end = getattr(node, "end_lineno", None) or line
        self.definitions.append(Definition(scope.prefix + name, kind, line, end, scope.guards, **facts))  # type: ignore[arg-type]

    def _body(self, statements: list[ast.stmt]) -> str:
        text = "\n".join(map(ast.unparse, without_docstring(statements)))
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        self.bodies[digest] = text
        return digest

    def _function(self, node: Function, scope: Scope) -> None:
        decorators = tuple(map(ast.unparse, node.decorator_list))
        body = Body.of(node)
        self._add(
            node, scope, node.name, model.FUNCTION,
            parameters=read_parameters(node.args), decorators=decorators, annotation=_source(node.returns),
            body=self._body(node.body), is_async=isinstance(node, ast.AsyncFunctionDef), is_generator=body.is_generator,
            is_overload=any(decorator.rpartition(".")[2] == "overload" for decorator in decorators),
            wraps=decorator_forms(body), calls=calls_always(body, method=scope.kind == "class"),
        )  # fmt: skip
        if scope.kind == "class":
            for name, line in assigned_on_self(body).items():
                self._set_later(scope.prefix + name, line, on_instance=True)
        for name, line in declared_global(body).items():
            self._set_later(name, line, on_instance=False)
        inside = Scope(f"{scope.prefix}{node.name}.<locals>.", "function", scope.guards)
        self._lambdas(walk_scope([node.args]), scope)
        self._lambdas(body.nodes, inside)
        self.read(node.body, inside)

    def _set_later(self, qualname: str, line: int, *, on_instance: bool) -> None:
        """Add an attribute that some function sets when it runs."""
        self.definitions.append(Definition(qualname, model.ATTRIBUTE, line, line, on_instance=on_instance))

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        keywords = [f"{keyword.arg or '**'}={ast.unparse(keyword.value)}" for keyword in node.keywords]
        self._add(
            node, scope, node.name, model.CLASS, bases=(*map(ast.unparse, node.bases), *keywords),
            decorators=tuple(map(ast.unparse, node.decorator_list)),
        )  # fmt: skip
        self.read(node.body, Scope(f"{scope.prefix}{node.name}.", "class", scope.guards))

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        deferred = scope.kind == "function"
        for name in node.names:
            if isinstance(node, ast.Import):
                bound, target = name.asname or name.name.partition(".")[0], name.name
                self.imports.append(Import(target, None, node.lineno, scope.guards, deferred))
                target = target if name.asname else bound
            else:
                module = self.absolute(node.module, node.level)
                bound, target = name.asname or name.name, f"{module}.{name.name}"
                self.imports.append(Import(module, name.name, node.lineno, scope.guards, deferred))
            if deferred:
                continue
            if bound == "*":
                self._add(node, scope, "*", model.STAR, target=target.removesuffix(".*"))
            else:
                self._add(node, scope, bound, model.ALIAS, target=target)

    def absolute(self, module: str | None, level: int) -> str:
        """Return the module that ``from ...module import`` names; one above the top begins with a dot."""
        if level == 0:
            return module or ""
        parts = self.module.split(".")
        up = level - 1 if self.package else level
        base = parts[: max(0, len(parts) - up)]
        return ".".join([*base, *([module] if module else [])]) if base else f".{module or ''}"

    def _bindings(self, statement: ast.stmt, scope: Scope) -> None:
        """Add the names that an assignment, a loop, a ``with``, a ``del`` or a walrus binds in this scope."""
        if scope.kind == "function":
            return  # its locals are nobody else's, and its lambdas are already there
        nodes = walk_scope(_heads(statement))
        value = getattr(statement, "value", None)
        named = isinstance(statement, (ast.Assign, ast.AnnAssign)) and not _unpacked(statement)
        self._lambdas([node for node in nodes if not (named and node is value)], scope)
        if isinstance(statement, ast.AnnAssign) and value is None and scope.kind == "module":
            return  # a bare annotation binds nothing
        for node in nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del):
                self._add(node, scope, node.id, model.DELETED)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self._bind(node, statement, scope)

    def _bind(self, name: ast.Name, statement: ast.stmt, scope: Scope) -> None:
        single = isinstance(statement, (ast.Assign, ast.AnnAssign)) and not _unpacked(statement)
        value = getattr(statement, "value", None) if single else None
        annotation = _source(getattr(statement, "annotation", None))
        if isinstance(value, ast.Lambda):
            body = self._body([ast.Expr(value.body)])
            self._add(statement, scope, name.id, model.LAMBDA, parameters=read_parameters(value.args), body=body)
        else:
            self._add(statement, scope, name.id, model.ATTRIBUTE, value=_source(value), annotation=annotation)

    def _lambdas(self, nodes: list[ast.AST], scope: Scope) -> None:
        """Add the lambdas among the nodes: no name is bound to them."""
        for node in nodes:
            if isinstance(node, ast.Lambda):
                body = self._body([ast.Expr(node.body)])
                self._add(node, scope, "<lambda>", model.LAMBDA, parameters=read_parameters(node.args), body=body)


def _branches(statement: ast.stmt, scope: Scope) -> Iterator[tuple[list[ast.stmt], Scope]]:
    """Yield the blocks of a compound statement, each under its condition; a simple statement has none."""
    line = statement.lineno
    if isinstance(statement, ast.If):
        yield statement.body, scope.under("if", statement.test, line)
        yield statement.orelse, scope.under("else", statement.test, line)
    elif isinstance(statement, (ast.Try, ast.TryStar)):
        yield statement.body, scope.under("try", "", line)
        for handler in statement.handlers:
            yield handler.body, scope.under("except", handler.type or "BaseException", line)
        yield statement.orelse, scope.under("no-exception", "", line)
        yield statement.finalbody, scope
    elif isinstance(statement, (ast.For, ast.AsyncFor, ast.While)):
        yield statement.body, scope.under("loop", "", line)
        yield statement.orelse, scope.under("loop", "", line)
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        yield statement.body, scope
    elif isinstance(statement, ast.Match):
        for case in statement.cases:
            yield case.body, scope.under("loop", case.pattern, line)


def _heads(statement: ast.stmt) -> list[ast.AST]:
    """Return the parts of a statement that are not blocks of statements."""
    blocks = (ast.stmt, ast.ExceptHandler, ast.match_case)
    return [child for child in ast.iter_child_nodes(statement) if not isinstance(child, (*blocks, Comprehension))]


def _unpacked(statement: ast.Assign | ast.AnnAssign) -> bool:
    """Tell whether the value is taken apart, so that no target has all of it."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return not all(isinstance(target, ast.Name) for target in targets)

"""Which parameters a call meets: decorators seen through, constructors found, the receiver taken off."""

import ast
import builtins
import inspect
from dataclasses import dataclass, replace

from matrix.signatures import model
from matrix.signatures.bodies import BARE, CALLED, UPDATES, dotted
from matrix.signatures.generated import FIELD_BASES, dataclass_options, field_parameters, is_dataclass
from matrix.signatures.lookup import Namespace
from matrix.signatures.model import Definition, Parameter
from matrix.signatures.modules import Answer, Found, Unknown

# Decorators that leave the parameters as they are, by where they come from.
KEEPERS = {
    "abc.abstractmethod", "atexit.register", "contextlib.asynccontextmanager", "contextlib.contextmanager",
    "functools.cache", "functools.cached_property", "functools.lru_cache", "functools.singledispatch",
    "functools.total_ordering", "types.coroutine", "typing.final", "typing.no_type_check", "typing.override",
    "typing.runtime_checkable", "typing_extensions.deprecated", "typing_extensions.final",
    "typing_extensions.override", "warnings.deprecated",
}  # fmt: skip
BINDERS = {"builtins.staticmethod", "builtins.classmethod", "builtins.property", "abc.abstractproperty"}
ANYTHING = (Parameter("args", model.VAR_POSITIONAL), Parameter("kwargs", model.VAR_KEYWORD))
# Their own metaclasses take calls of the class to something else.
OPAQUE_BASES = {"enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "enum.IntFlag", "typing.TypedDict"}


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters that a caller sees, and how it gets at the function: the receiver is not among them."""

    parameters: tuple[Parameter, ...]
    access: str
    is_async: bool = False

    def __str__(self) -> str:
        """Return the parameters as they stand in a ``def``."""
        return model.show_parameters(self.parameters)


def signature_of(names: Namespace, found: Found, *, on_class: bool = False) -> Signature | Unknown:
    """Return the signature of what was found, or why reading does not tell.

    ``on_class``: a method is taken from the class and not from an instance, so that it wants its receiver.
    """
    definition = found.definition
    if definition is None:
        return Unknown(f"{found.path} is a module")
    answers = [
        _one(names, replace(found, definition=one, others=()), on_class=on_class) for one in (definition, *found.others)
    ]
    known = {answer.parameters for answer in answers if isinstance(answer, Signature)}
    if len(answers) > 1 and (len(known) != 1 or not all(isinstance(answer, Signature) for answer in answers)):
        return Unknown(f"{found.path} is defined in {len(answers)} ways, under conditions")
    return answers[0]


def _one(names: Namespace, found: Found, *, on_class: bool) -> Signature | Unknown:
    definition = found.definition
    if definition is None or found.module == "builtins":
        return _builtin(found)
    if definition.kind == model.CLASS:
        return _constructor(names, found)
    if definition.kind in {model.FUNCTION, model.LAMBDA}:
        return _function(names, found, definition, on_class=on_class)
    if definition.kind == model.ALIAS:
        answer = names.follow(found)
        if isinstance(answer, Found) and answer.definition is not definition:
            return signature_of(names, answer, on_class=on_class)
    return Unknown(f"{found.path} is made at run time: {definition.value or definition.target}")


def _builtin(found: Found) -> Signature | Unknown:
    """Ask the interpreter about its own names: they are here anyway."""
    name = found.path.removeprefix("builtins.")
    target = getattr(builtins, name.partition(".")[0], None)
    try:
        parameters = inspect.signature(target).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return Unknown(f"{name} is built in and tells no signature")
    kinds = dict(zip(inspect._ParameterKind, model.PARAMETER_KINDS, strict=True))  # noqa: SLF001 # their order is documented
    read = [
        Parameter(one.name, kinds[one.kind], None if one.default is one.empty else repr(one.default))
        for one in parameters
    ]
    return Signature(tuple(read), "function")


def _function(names: Namespace, found: Found, definition: Definition, *, on_class: bool) -> Signature | Unknown:
    parameters = definition.parameters
    for source in reversed(definition.decorators):
        answer = _decorated(names, found.module, source, parameters)
        if isinstance(answer, Unknown):
            return answer
        parameters = answer
    access = definition.access or "function"
    bound = access == "classmethod" or (access in {"method", "property"} and not on_class)
    if definition.name == "__new__" and found.owner is not None:
        bound = not on_class
    return Signature(without_receiver(parameters) if bound else parameters, access, definition.is_async)


def without_receiver(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """Take off the first parameter, which the receiver fills; ``*args`` takes it and stays."""
    positional = parameters and parameters[0].kind in {model.POSITIONAL, model.POSITIONAL_ONLY}
    return parameters[1:] if positional else parameters


def _decorated(
    names: Namespace, module: str, source: str, parameters: tuple[Parameter, ...]
) -> tuple[Parameter, ...] | Unknown:
    """Return the parameters after one decorator."""
    tree = ast.parse(source, mode="eval").body
    called = isinstance(tree, ast.Call)
    name = dotted(tree.func if isinstance(tree, ast.Call) else tree)
    changed = Unknown(f"signature unknown: decorated with @{source}")
    if name is None:
        return changed
    if name.rpartition(".")[2] in {"setter", "getter", "deleter"}:
        return parameters
    answer = names.expression(module, name)
    path = _path(names, module, name, answer)
    if path in KEEPERS | BINDERS:
        return parameters
    if path == "functools.wraps" and isinstance(tree, ast.Call) and tree.args:
        return _wrapped(names, module, dotted(tree.args[0])) or changed
    return parameters if isinstance(answer, Found) and keeps(names, answer, called=called) else changed


def _path(names: Namespace, module: str, name: str, answer: Answer) -> str | None:
    """Return where a decorator comes from; what is not read (the standard library's C parts) by its import."""
    if isinstance(answer, Found) and not names.owns(answer.module):
        return answer.path.replace("_collections_abc", "collections.abc")
    root, _, rest = name.partition(".")
    imported = names.scope(module).get(root)
    target = imported[0].target if imported and imported[0].kind == model.ALIAS else None
    return None if target is None or names.owns(target) else f"{target}.{rest}".rstrip(".")


def _wrapped(names: Namespace, module: str, name: str | None) -> tuple[Parameter, ...] | None:
    answer = names.expression(module, name) if name else None
    signature = signature_of(names, answer, on_class=True) if isinstance(answer, Found) else None
    return signature.parameters if isinstance(signature, Signature) else None


def keeps(names: Namespace, decorator: Found, *, called: bool) -> bool:
    """Tell whether a decorator of the release's own leaves signatures as they are."""
    definition = decorator.definition
    if definition is None or decorator.others:
        return False
    if definition.kind == model.FUNCTION:
        return (CALLED if called else BARE) in (definition.wraps or "").split()
    if definition.kind != model.CLASS or called:
        return False
    order, gap = names.mro(decorator)
    scopes = [
        names.scope(one.module, one.definition.qualname) for one in order if one.definition and one.module != "builtins"
    ]
    makers = [scope["__init__"][0] for scope in scopes if "__init__" in scope]
    calls = [scope["__call__"][0] for scope in scopes if "__call__" in scope]
    takes_all = bool(calls) and {model.VAR_POSITIONAL, model.VAR_KEYWORD} <= {one.kind for one in calls[0].parameters}
    return gap is None and takes_all and any(UPDATES in (maker.wraps or "").split() for maker in makers)


# Constructors


def _constructor(names: Namespace, found: Found) -> Signature | Unknown:
    order, gap = names.mro(found)
    for position, owner in enumerate(order):
        if owner.definition is None:
            continue
        if owner.path in OPAQUE_BASES or any(base.startswith("metaclass=") for base in owner.definition.bases):
            if owner.path not in {"abc.ABC", "typing.Protocol", "typing.Generic"}:
                return Unknown(f"{found.path} has a metaclass")
            continue
        answer = _own_constructor(names, owner, order[position:])
        if answer is not None:
            return answer
    if gap:
        return Unknown(gap)
    return Signature((), "constructor")


def _own_constructor(names: Namespace, owner: Found, order: list[Found]) -> Signature | Unknown | None:
    """Return what a class itself says about how it is made, None where it leaves that to its bases."""
    definition = owner.definition
    if definition is None:
        return None
    if owner.module == "builtins":
        return _from_builtin(owner)
    scope = names.scope(owner.module, definition.qualname)
    for name in ("__init__", "__new__"):
        if name in scope:
            answer = signature_of(names, Found(owner.module, scope[name][0], tuple(scope[name][1:]), owner))
            return replace(answer, access="constructor") if isinstance(answer, Signature) else answer
    options = dataclass_options(names, owner)
    if isinstance(options, Unknown):
        return options
    if options is not None or any(base in FIELD_BASES for base in names.bases(owner)):
        fields = field_parameters(names, order, options or {})
        return fields if isinstance(fields, Unknown) else Signature(fields, "constructor")
    others = [one for one in definition.decorators if not is_dataclass(names, owner.module, one)]
    unknown = [source for source in others if not _harmless(names, owner.module, source)]
    return Unknown(f"signature unknown: {owner.path} is decorated with @{unknown[0]}") if unknown else None


def _harmless(names: Namespace, module: str, source: str) -> bool:
    return not isinstance(_decorated(names, module, source, ()), Unknown)


def _from_builtin(owner: Found) -> Signature | Unknown | None:
    target = getattr(builtins, owner.path.removeprefix("builtins."), None)
    if target is object:
        return None
    if isinstance(target, type) and issubclass(target, BaseException):
        return Signature(ANYTHING, "constructor")
    return _builtin(owner)

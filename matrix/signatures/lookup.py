"""What a dotted path leads to in a release: through aliases, star imports, conditions and base classes."""

import ast
import builtins
from collections.abc import Iterable
from dataclasses import dataclass, field

from griffe import c3linear_merge

from matrix.signatures import model
from matrix.signatures.conditions import decide
from matrix.signatures.model import Definition, Import
from matrix.signatures.modules import Answer, Found, ImportFails, Missing, Modules, Unknown

# An alias of an alias of an alias ...: nothing that is imported in earnest goes further.
MAX_HOPS = 20


@dataclass(slots=True)
class Namespace(Modules):
    """One release's names."""

    _scopes: dict[tuple[str, str], dict[str, list[Definition]]] = field(default_factory=dict)
    _importing: dict[str, ImportFails | None] = field(default_factory=dict)

    # Imports

    def importable(self, module: str) -> bool | None:
        """Tell whether importing the module finds it with only the declared dependencies installed."""
        available = self.is_available(module)
        if not available or self.is_module(module):
            return available
        if self.owns(module):
            return False
        # `os.path` and `six.moves` are no files, and can be imported all the same.
        answer = self.resolve(module)
        return True if isinstance(answer, Found) else None if isinstance(answer, Unknown) else False

    def import_failure(self, module: str) -> ImportFails | None:
        """Return why importing the module fails, None where it does not or is not known to.

        What it imports in turn counts, and so do the packages that it lies in.
        """
        if module in self._importing:
            return self._importing[module]
        self._importing[module] = None  # a cycle of imports is none of our business
        parent = module.rpartition(".")[0]
        failure = self.import_failure(parent) if parent else None
        source = self.release.modules.get(module)
        for item in source.imports if source and failure is None else ():
            failure = failure or self._item_failure(module, item)
        self._importing[module] = failure
        return failure

    def _item_failure(self, importer: str, item: Import) -> ImportFails | None:
        if item.deferred or any(guard.branch in {"try", "except"} for guard in item.guards):
            return None
        if self.decide_all(importer, item.guards) is not True:
            return None
        if self.importable(item.module) is False:
            return ImportFails(item.module, importer)
        if not self.owns(item.module):
            return None
        failure = self.import_failure(item.module)
        submodule = f"{item.module}.{item.name}"
        if failure is None and item.name and submodule in self.release.modules:
            failure = self.import_failure(submodule)
        if failure is None and item.name not in {None, "*"} and importer != item.module:
            answer = self.attribute(Found(item.module), item.name or "")
            return ImportFails(submodule, importer) if isinstance(answer, Missing) else None
        return failure

    # Conditions

    def decide_all(self, module: str, guards: Iterable[model.Guard]) -> bool | None:
        """Tell whether all conditions hold: False where one does not, None where one is not known."""
        answers = [decide(guard, lambda line: self._try_works(module, line)) for guard in guards]
        return False if False in answers else None if None in answers else True

    def _try_works(self, module: str, line: int) -> bool | None:
        """Tell whether the imports in the ``try`` at that line work."""
        source = self.source(module)
        imports = [item for item in source.imports if not item.deferred] if source else []
        inside = [
            item for item in imports if any(guard.branch == "try" and guard.line == line for guard in item.guards)
        ]
        answers = [self._import_works(item) for item in inside]
        return False if False in answers else None if None in answers else True

    def _import_works(self, item: Import) -> bool | None:
        found = self.importable(item.module)
        if found and self.owns(item.module) and item.name not in {None, "*"}:
            return not isinstance(self.attribute(Found(item.module), item.name or ""), Missing)
        return found

    # Names

    def scope(self, module: str, owner: str = "") -> dict[str, list[Definition]]:
        """Return what each name of a module, or of a class in it, may be when everything has run."""
        key = (module, owner)
        if key not in self._scopes:
            self._scopes[key] = {}  # while a star import goes in circles
            source = self.source(module)
            inside = [one for one in source.definitions if one.owner == owner] if source else []
            self._scopes[key] = self._settle(module, inside)
        return self._scopes[key]

    def _settle(self, module: str, definitions: list[Definition]) -> dict[str, list[Definition]]:
        names: dict[str, list[Definition]] = {}
        for one in definitions:
            holds = None if one.on_instance else self.decide_all(module, one.guards)
            if holds is False or one.is_overload or one.name == "<lambda>":
                continue
            if one.kind == model.STAR:
                names.update(self._star(one.target or "", module))
            elif one.on_instance or (one.decorators and one.decorators[-1].endswith((".setter", ".deleter"))):
                names.setdefault(one.name, [one])
            elif holds is None:
                names.setdefault(one.name, []).append(one)
            else:
                names[one.name] = [one]
        return {name: found for name, found in names.items() if any(one.kind != model.DELETED for one in found)}

    def _star(self, target: str, importer: str) -> dict[str, list[Definition]]:
        """Return the names that ``from target import *`` brings, as aliases."""
        names = self.exported(target) if target != importer else []
        return {name: [Definition(name, model.ALIAS, 0, 0, target=f"{target}.{name}")] for name in names}

    def exported(self, module: str) -> list[str]:
        """Return the names in ``__all__``, or all that do not begin with an underscore."""
        source = self.source(module)
        if source is None:
            return []
        if source.exports is None:
            return [name for name in self.scope(module) if not name.startswith("_")]
        names: list[str] = []
        for name in source.exports:
            if name.endswith(".__all__"):
                other = self.expression(module, name.removesuffix(".__all__"))
                names.extend(self.exported(other.path) if isinstance(other, Found) and other.kind == "module" else [])
            else:
                names.append(name)
        return names

    def resolve(self, path: str, hops: int = 0) -> Answer:
        """Return what ``package.module:Class.method`` (or all with dots) leads to."""
        if hops > MAX_HOPS:
            return Unknown(f"{path} is an alias of itself")
        module, separator, rest = path.partition(":")
        parts = module.split(".") if not separator else []
        names = [name for name in rest.split(".") if name]
        if not separator:
            count = next((n for n in range(len(parts), 0, -1) if self.is_module(".".join(parts[:n]))), 0)
            module, names = ".".join(parts[:count]), parts[count:]
            if not count:
                known = self.is_module(parts[0])
                return Missing(path) if known is False else Unknown(f"{parts[0]} is not installed here")
        elif not self.is_module(module):
            return Missing(module) if self.owns(module) else Unknown(f"{module} is not installed here")
        if "<locals>" in names:
            return self.nested(module, ".".join(names))
        answer: Answer = Found(module)
        for name in names:
            if not isinstance(answer, Found):
                break
            answer = self.attribute(answer, name, hops)
        return answer

    def nested(self, module: str, qualname: str) -> Answer:
        """Return what stands in a function, by its qualified name: nothing leads there but reading."""
        source = self.source(module)
        found = [one for one in source.definitions if one.qualname == qualname] if source else []
        return Found(module, found[0], tuple(found[1:])) if found else Missing(f"{module}.{qualname}")

    def attribute(self, holder: Found, name: str, hops: int = 0) -> Answer:
        """Return what ``holder.name`` is."""
        if holder.definition is None:
            return self._module_attribute(holder.module, name, hops)
        if holder.kind == model.CLASS:
            return self.member(holder, name)
        return Unknown(f"{holder.path} is made at run time")

    def _module_attribute(self, module: str, name: str, hops: int) -> Answer:
        found = self.scope(module).get(name)
        if found:
            return self.follow(Found(module, found[0], tuple(found[1:])), hops)
        if self.is_module(f"{module}.{name}"):
            return Found(f"{module}.{name}")
        return self._absent(module, name)

    def _absent(self, module: str, name: str) -> Missing | Unknown:
        """Tell whether a name that a module's source does not have is certainly not there."""
        path, source = f"{module}.{name}", self.source(module)
        stars = [one.target or "" for one in source.definitions if one.kind == model.STAR] if source else []
        reasons = {
            f"{module} cannot be read: {source and source.error}": source is not None and source.error is not None,
            # C parts, `globals()` and the like: what is not in a dependency's source may be there all the same.
            f"{path} is not in the source of {module}": not self.owns(module),
            f"{module} makes its names at run time (__getattr__)": "__getattr__" in self.scope(module),
            f"{module} takes all names from what is not read": any(
                self.source(target) is None and not self.owns(target) for target in stars
            ),
        }
        reason = next((reason for reason, holds in reasons.items() if holds), None)
        return Missing(path) if reason is None else Unknown(reason)

    def follow(self, found: Found, hops: int = 0) -> Answer:
        """Return what an alias, or an attribute that only names something else, stands for."""
        definition = found.definition
        if definition is None or found.others:
            return found
        if definition.kind == model.ALIAS:
            target = definition.target or ""
            return (
                Unknown(f"{found.path} is imported from above the top")
                if target.startswith(".")
                else self.resolve(target, hops + 1)
            )
        if definition.kind == model.ATTRIBUTE and definition.value and hops < MAX_HOPS:
            other = self.expression(found.module, definition.value, hops + 1)
            if isinstance(other, Found) and other.kind in {model.FUNCTION, model.CLASS, model.LAMBDA}:
                return other
        return found

    def expression(self, module: str, source: str, hops: int = 0) -> Answer:
        """Return what a dotted name means at the top of a module; builtins are in ``builtins``."""
        parts = source.split(".")
        if not all(part.isidentifier() for part in parts):
            return Unknown(f"{source} is made at run time")
        if parts[0] not in self.scope(module) and hasattr(builtins, parts[0]):
            return Found("builtins", Definition(source, model.CLASS, 0, 0))
        answer = self._module_attribute(module, parts[0], hops)
        for part in parts[1:]:
            if not isinstance(answer, Found):
                break
            answer = self.attribute(answer, part, hops)
        return answer

    # Classes

    def mro(self, found: Found) -> tuple[list[Found], str | None]:
        """Return a class with the classes that it inherits from, in order, and what is not known of them."""
        return self._mro(found, ())

    def _mro(self, found: Found, above: tuple[str, ...]) -> tuple[list[Found], str | None]:
        if found.module == "builtins" or found.path in above or found.definition is None:
            return [found], None
        orders: list[list[Found]] = []
        gap: str | None = None
        for base in self.bases(found):
            answer = self.expression(found.module, base)
            if isinstance(answer, Found) and answer.kind == model.CLASS:
                order, inner_gap = self._mro(answer, (*above, found.path))
                orders.append(order)
                gap = gap or inner_gap
            else:
                gap = gap or f"{found.path} inherits from {base}, which is not known"
        try:
            merged = c3linear_merge(*orders, [order[0] for order in orders]) if orders else []
        except ValueError:
            merged, gap = [], f"the bases of {found.path} have no order"
        return [found, *merged], gap

    def bases(self, found: Found) -> list[str]:
        """Return the dotted names of the bases; ``Generic[T]`` counts as ``Generic``."""
        definition = found.definition
        sources = definition.bases if definition else ()
        return [source.partition("[")[0] for source in sources if not _is_keyword(source)]

    def member(self, holder: Found, name: str) -> Answer:
        """Return what an attribute of a class or its instances is, looked up through its bases."""
        order, gap = self.mro(holder)
        for owner in order:
            if owner.module == "builtins":
                if hasattr(getattr(builtins, owner.path.removeprefix("builtins."), None), name) and name not in vars(
                    object
                ):
                    return Found("builtins", Definition(name, model.ATTRIBUTE, 0, 0), owner=owner)
                continue
            found = self.scope(owner.module, owner.definition.qualname if owner.definition else "").get(name)
            if found:
                return self._member_found(owner, found)
        if gap:
            return Unknown(gap)
        if name in vars(object):
            return Found("builtins", Definition(f"object.{name}", model.ATTRIBUTE, 0, 0), owner=holder)
        dynamic = "__getattr__", "__getattribute__"
        if any(
            method in self.scope(one.module, one.definition.qualname)
            for one in order
            if one.definition
            for method in dynamic
        ):
            return Unknown(f"{holder.path} makes its attributes at run time (__getattr__)")
        return Missing(f"{holder.path}.{name}")

    def _member_found(self, owner: Found, found: list[Definition]) -> Answer:
        answer = Found(owner.module, found[0], tuple(found[1:]), owner)
        if found[0].kind == model.ALIAS:
            return self.follow(answer)
        value = found[0].value
        if value and not found[1:] and value.isidentifier():
            siblings = self.scope(owner.module, owner.definition.qualname if owner.definition else "")
            if value in siblings and siblings[value][0] is not found[0]:
                return Found(owner.module, siblings[value][0], tuple(siblings[value][1:]), owner)
        return answer


def _is_keyword(source: str) -> bool:
    """Tell ``metaclass=M`` from a base."""
    try:
        call = ast.parse(f"_({source})", mode="eval").body
    except SyntaxError:
        return True
    return isinstance(call, ast.Call) and bool(call.keywords)

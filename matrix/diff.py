"""What changed between two releases, from their signatures alone."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from matrix.likeness import Body, Item, follow, kind_of
from matrix.signatures import model
from matrix.signatures.callables import Signature, signature_of
from matrix.signatures.lookup import Namespace
from matrix.signatures.model import Parameter
from matrix.signatures.modules import Found, Missing

TESTS = {"tests", "test", "conftest"}
SHOWN_KINDS = {model.FUNCTION, model.LAMBDA, model.CLASS, model.ATTRIBUTE}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference at ``path`` (a definition path of the older release; of the newer one where it was added).

    ``breaking`` tells that calls which worked may not any more; ``guess`` that likeness alone says so; ``tests`` are
    those that call it, where a trace was asked.
    """

    kind: str
    path: str
    detail: str = ""
    breaking: bool = False
    guess: bool = False
    tests: tuple[str, ...] = ()


def items(names: Namespace) -> dict[str, Item]:
    """Return what a release defines by path: classes, functions, methods and attributes, tests left out."""
    found: dict[str, Item] = {}
    for module, source in sorted(names.release.modules.items()):
        if TESTS.isdisjoint(module.split(".")):
            owners = ["", *dict.fromkeys(one.qualname for one in source.definitions if one.kind == model.CLASS)]
            for owner in owners:
                if "<locals>" not in owner:
                    found |= {item.path: item for item in _items_in(names, module, owner)}
    return found


def _items_in(names: Namespace, module: str, owner: str) -> Iterator[Item]:
    holder = (
        Found(module, names.scope(module, owner.rpartition(".")[0]).get(owner.rpartition(".")[2], [None])[0])
        if owner
        else None
    )
    for definitions in names.scope(module, owner).values():
        first = definitions[0]
        dunder = first.name.startswith("__") and first.kind == model.ATTRIBUTE
        found = Found(module, first, tuple(definitions[1:]), holder)
        # A class is told by the parameters that it is made with.
        if dunder or first.name in {"__init__", "__new__"}:
            continue
        if first.kind in SHOWN_KINDS and (first.kind != model.ATTRIBUTE or not _is_second_name(names, found)):
            yield Item(f"{module}.{first.qualname}", found)
        elif not owner and _is_offered(names, module, found):
            yield Item(f"{module}.{found.definition.name if found.definition else ''}", found)


def _is_second_name(names: Namespace, found: Found) -> bool:
    """Tell whether an attribute only names something else, as ``again = run`` does."""
    answer = names.resolve(found.path)
    return isinstance(answer, Found) and answer.definition != found.definition


def _is_offered(names: Namespace, module: str, found: Found) -> bool:
    """Tell whether a package offers something of its own under a second name, as packages do in ``__init__``."""
    source = names.source(module)
    answer = names.follow(found)
    own = isinstance(answer, Found) and answer.definition is not None and names.owns(answer.module)
    return (
        own
        and source is not None
        and source.package
        and not str(found.definition and found.definition.name).startswith("_")
    )


def compare(before: Namespace, after: Namespace, body: Body) -> list[Change]:
    """Return what changed, sorted by path; ``body`` gives the source of a function's body by its digest."""
    old, new = items(before), items(after)
    gone = {path: item for path, item in old.items() if is_absent(after, path)}
    fresh = {path: item for path, item in new.items() if is_absent(before, path)}
    followed = follow(gone, fresh, body)
    changes: list[Change] = []
    for path, item in old.items():
        if item.owner in gone and item.owner not in followed:
            continue  # told with its class
        target = followed.get(path) or _landed(after, path)
        changes += _difference(before, after, item, target, certain=path not in followed or _same(item, followed[path]))
    taken = {item.path for item in followed.values()}
    changes += [
        Change("added", path, _shown(after, item))
        for path, item in fresh.items()
        if path not in taken and (item.owner not in fresh or item.owner in taken)
    ]
    return sorted(set(changes), key=lambda change: (change.path, change.kind, change.detail))


def is_absent(names: Namespace, path: str) -> bool:
    """Tell whether a release certainly does not have a path; a top-level package that it does not bring counts."""
    answer = names.resolve(path)
    return isinstance(answer, Missing) or (not isinstance(answer, Found) and not names.owns(path))


def _landed(after: Namespace, path: str) -> Item | None:
    answer = after.resolve(path)
    return Item(answer.path, answer) if isinstance(answer, Found) and answer.definition else None


def _difference(before: Namespace, after: Namespace, item: Item, target: Item | None, *, certain: bool) -> list[Change]:
    """Return the changes of one item, which is now ``target`` (None: it is gone, or reading does not tell)."""
    if target is None:
        gone = is_absent(after, item.path)
        return [Change("removed", item.path, _shown(before, item), breaking=True)] if gone else []
    if target.found.module == "builtins":
        return []
    changes = []
    still = isinstance(after.resolve(item.path), Found)
    origin = before.follow(item.found)
    if target.path != item.path and (not isinstance(origin, Found) or origin.path == item.path):
        same_name = target.definition.name == item.definition.name
        kind = "moved" if same_name else "renamed"
        if kind == "moved" and _is_exception(before, item.found):
            kind = "exception moved"
        told_with_owner = not still and same_name and target.owner != item.owner and item.definition.owner != ""
        if not told_with_owner:
            detail = f"to {target.path}" + (", the old name leads there" if still else "")
            changes.append(Change(kind, item.path, detail, breaking=not still, guess=not certain))
    return changes + _inside(before, after, item, target)


def _inside(before: Namespace, after: Namespace, item: Item, target: Item) -> list[Change]:
    """Return what changed in the thing itself; a second name of something has nothing of its own."""
    old, new = item.definition, target.definition
    if before.follow(item.found) != item.found:
        return []
    kinds = [kind_of(old), kind_of(new)]
    if kinds[0] != kinds[1]:
        return [Change("kind", item.path, f"was {kinds[0]}, is {kinds[1]}", breaking=True)]
    changes = []
    if old.is_async != new.is_async:
        changes.append(
            Change("async", item.path, "became async" if new.is_async else "is no longer async", breaking=True)
        )
    if old.kind == model.CLASS:
        changes += _bases(before, after, item, target)
    if old.kind == model.ATTRIBUTE or kinds[0] == "property":
        return changes
    signatures = [signature_of(before, item.found), signature_of(after, target.found)]
    if isinstance(signatures[0], Signature) and isinstance(signatures[1], Signature):
        changes += parameter_changes(item.path, signatures[0].parameters, signatures[1].parameters)
    return changes


def _bases(before: Namespace, after: Namespace, item: Item, target: Item) -> list[Change]:
    old, new = (
        [_base(names, one.found, base) for base in names.bases(one.found)]
        for names, one in ((before, item), (after, target))
    )
    lost = [base for base in old if base not in new]
    gained = [base for base in new if base not in old]
    if not lost and not gained:
        return []
    detail = "; ".join(f"{word} {', '.join(names)}" for word, names in (("lost", lost), ("gained", gained)) if names)
    return [Change("bases", item.path, detail, breaking=bool(lost))]


def _base(names: Namespace, found: Found, base: str) -> str:
    """Return where a base class is defined, however it is spelled."""
    answer = names.expression(found.module, base)
    return answer.path if isinstance(answer, Found) else base


def parameter_changes(path: str, old: tuple[Parameter, ...], new: tuple[Parameter, ...]) -> list[Change]:
    """Return how the parameters of a function changed."""
    before, after = {one.name: one for one in old}, {one.name: one for one in new}
    renamed = _renamed(old, new)
    changes = [
        Change("parameter renamed", path, f"{one} is now {other}", breaking=True) for one, other in renamed.items()
    ]
    takes_any = any(one.kind == model.VAR_KEYWORD for one in new)
    for name, one in before.items():
        if name in renamed:
            changes += _parameter(path, one, after[renamed[name]])
        elif name not in after:
            loose = takes_any and one.kind in {model.KEYWORD_ONLY, model.POSITIONAL}
            changes.append(Change("parameter removed", path, str(one), breaking=not loose))
        else:
            changes += _parameter(path, one, after[name])
    required = {
        one.name for one in new if one.default is None and one.kind not in {model.VAR_POSITIONAL, model.VAR_KEYWORD}
    }
    added = [name for name in after if name not in before and name not in renamed.values()]
    changes += [Change("parameter added", path, str(after[name]), breaking=name in required) for name in added]
    both = set(_places(old)) & set(_places(new))
    order = [[name for name in _places(some) if name in both] for some in (old, new)]
    if order[0] != order[1] or _pushed(old, new, added):
        detail = f"{model.show_parameters(old)} is now {model.show_parameters(new)}"
        changes.append(Change("parameter reordered", path, detail, breaking=True))
    return changes


def _renamed(old: tuple[Parameter, ...], new: tuple[Parameter, ...]) -> dict[str, str]:
    """Return parameters that stand where another of the same kind and default stood: the same under another name."""
    names = {one.name for one in old}, {one.name for one in new}
    if len(old) != len(new):
        return {}
    pairs = [
        (one, other)
        for one, other in zip(old, new, strict=True)
        if one.name not in names[1] and other.name not in names[0]
    ]
    return {one.name: other.name for one, other in pairs if (one.kind, one.default) == (other.kind, other.default)}


def _places(parameters: tuple[Parameter, ...]) -> list[str]:
    """Return the names of what can be given by position, in order."""
    return [one.name for one in parameters if one.kind in {model.POSITIONAL, model.POSITIONAL_ONLY}]


def _pushed(old: tuple[Parameter, ...], new: tuple[Parameter, ...], added: list[str]) -> bool:
    """Tell whether a new parameter stands before an old one, so that positional arguments land elsewhere."""
    places = _places(new)
    kept = [places.index(name) for name in _places(old) if name in places]
    return any(name in places and kept and places.index(name) < max(kept) for name in added)


def _parameter(path: str, old: Parameter, new: Parameter) -> list[Change]:
    changes = []
    if old.kind != new.kind:
        loosened = new.kind == model.POSITIONAL and old.kind in {model.POSITIONAL_ONLY, model.KEYWORD_ONLY}
        changes.append(
            Change("parameter kind", path, f"{new.name} was {old.kind}, is {new.kind}", breaking=not loosened)
        )
    if old.default == new.default:
        return changes
    if new.default is None:
        return [*changes, Change("parameter required", path, f"{new.name} was optional ({old.default})", breaking=True)]
    was = "was required" if old.default is None else f"was {old.default}"
    return [*changes, Change("default", path, f"{new.name}={new.default} {was}")]


def _same(item: Item, target: Item) -> bool:
    """Tell whether it is certainly the same thing: same name, and for functions the same body."""
    return item.definition.name == target.definition.name and item.definition.body == target.definition.body


def _is_exception(names: Namespace, found: Found) -> bool:
    if found.kind != model.CLASS:
        return False
    order, _ = names.mro(found)
    return any(one.path in {"builtins.Exception", "builtins.BaseException"} for one in order) or found.path.endswith(
        ("Error", "Exception")
    )


def _shown(names: Namespace, item: Item) -> str:
    """Return the parameters of what can be called."""
    if item.definition.kind == model.ATTRIBUTE or item.definition.access == "property":
        return ""
    signature = signature_of(names, item.found)
    return str(signature) if isinstance(signature, Signature) else ""


# What of it is used


def used(changes: Iterable[Change], uses: Mapping[str, Iterable[str]], broken: Iterable[str]) -> list[Change]:
    """Keep the changes of what a trace calls, with the tests that call it.

    ``uses`` are definition paths of the older release with their tests. A change of parameters breaks only what is in
    ``broken``: functions with a recorded call that does not bind any more.
    """
    broken = set(broken)
    kept = []
    for change in changes:
        touched = [
            path
            for path in uses
            if path == change.path or path.startswith(f"{change.path}.") or path == f"{change.path}.__init__"
        ]
        if touched and change.kind != "added":
            tests = tuple(sorted({test for path in touched for test in uses[path]}))
            about_parameters = change.kind.startswith("parameter")
            breaking = change.breaking and (not about_parameters or not broken.isdisjoint(touched))
            kept.append(replace(change, breaking=breaking, tests=tests))
    return kept

"""Which of the things that are gone from a release are there under another name, or elsewhere."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from matrix.signatures import model
from matrix.signatures.model import Definition
from matrix.signatures.modules import Found

Body = Callable[[str], str]
# Two bodies are of one function if this share of their lines is the same. Over all releases of oras, what moved is the
# same line for line, and functions that have nothing to do with each other stay below 0.35.
LIKE = 0.65


@dataclass(frozen=True, slots=True)
class Item:
    """Something with a name of its own in a release."""

    path: str
    found: Found

    @property
    def definition(self) -> Definition:
        """Its definition."""
        if self.found.definition is None:  # modules are no items
            raise TypeError(self.path)
        return self.found.definition

    @property
    def owner(self) -> str:
        """The path of the class or module that it stands in."""
        return self.path.rpartition(".")[0]


def kind_of(definition: Definition) -> str:
    """Return what a thing is to those who use it."""
    if definition.kind in {model.FUNCTION, model.LAMBDA}:
        return str(definition.access)
    return definition.kind


def follow(gone: Mapping[str, Item], fresh: Mapping[str, Item], body: Body) -> dict[str, Item]:
    """Return where items went that are not where they were: elsewhere under the same name, or under a like one."""
    followed: dict[str, Item] = {}
    left = dict(fresh)
    for path, item in gone.items():
        if item.owner in gone:
            continue
        same_name = [
            other
            for other in left.values()
            if other.definition.name == item.definition.name and other.owner not in fresh
        ]
        near = [other for other in left.values() if other.owner == item.owner]
        best = _likest(item, [*same_name, *near], gone, fresh, body)
        if best:
            followed[path] = left.pop(best.path)
            followed |= _members(path, best.path, gone, fresh)
    return followed


def _members(path: str, new_path: str, gone: Mapping[str, Item], fresh: Mapping[str, Item]) -> dict[str, Item]:
    """Return what belongs to a class that went elsewhere, by the old paths."""
    moved = {old: f"{new_path}{old.removeprefix(path)}" for old in gone if old.startswith(f"{path}.")}
    return {old: fresh[new] for old, new in moved.items() if new in fresh}


def _likest(
    item: Item, others: Iterable[Item], gone: Mapping[str, Item], fresh: Mapping[str, Item], body: Body
) -> Item | None:
    scored = [(_likeness(item, other, gone, fresh, body), other.path, other) for other in others]
    best = max(scored, key=lambda one: one[:2], default=None)
    return best[2] if best and best[0] >= LIKE else None


def _likeness(item: Item, other: Item, gone: Mapping[str, Item], fresh: Mapping[str, Item], body: Body) -> float:
    old, new = item.definition, other.definition
    if kind_of(old) != kind_of(new):
        return 0.0
    if old.kind == model.CLASS:
        names = [
            {path.removeprefix(f"{one.path}.") for path in all_ if path.startswith(f"{one.path}.")}
            for one, all_ in ((item, gone), (other, fresh))
        ]
        together = names[0] | names[1]
        return len(names[0] & names[1]) / len(together) if together else float(old.name == new.name)
    if old.kind == model.ATTRIBUTE:
        return float(old.name == new.name and old.value == new.value)
    if old.body == new.body and (old.name == new.name or old.parameters == new.parameters):
        return 1.0
    texts = [[*map(str, one.parameters), *body(one.body or "").splitlines()] for one in (old, new)]
    return difflib.SequenceMatcher(None, texts[0], texts[1], autojunk=False).ratio()

"""Which calls and checks of one recording are which of another, made of the same suite on another release.

Both hold the events of docs/trace-format.md. Numbers of calls and definitions differ between the two, so that values
are alike if there is one renaming of numbers by which they are equal.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matrix.compare import Json, normal

Event = Mapping[str, Any]

# What two definitions need not share: their numbers, and their lines, for imports that may fail take more of them.
OWN = {"id", "line"}
DEFINED = {"$stub": "stub", "$class": "class", "$inst": "inst", "$mock": "mock"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """The calls from outside and the checks of one recording, by test in order; its calls and definitions."""

    tests: dict[str, list[Event]] = field(default_factory=dict)
    calls: dict[int, Event] = field(default_factory=dict)
    definitions: dict[tuple[str, int], Event] = field(default_factory=dict)

    @staticmethod
    def of(lines: Iterable[Event]) -> "Recorded":
        """Sort the lines of a recording."""
        made, test = Recorded(), ""
        for line in lines:
            if "def" in line:
                made.definitions[line["def"], line["id"]] = line
            elif line["e"] == "test":
                test = line["id"]
            elif line["e"] == "check" or (line["e"] == "call" and line["tier"] == "boundary" and is_spelled(line)):
                made.tests.setdefault(test, []).append(line)
            if line.get("e") in ("call", "copy"):
                made.calls[line["id"]] = line
        return made


def is_spelled(call: Event) -> bool:
    """Say whether a call is one that the suite spells: descriptors are asked before what they give is called."""
    return str(call["access"].get("name")) != "__get__"


def stands_in(call: Event) -> bool:
    """Say whether an object of the subject's was called that stands in for a function: made by a decorator.

    It was given the object that it was called on, if any, as its first argument.
    """
    access = call["access"]
    return str(access.get("name")) == "__call__" and "$ref" not in access["receiver"]


def align(left: Sequence[Event], right: Sequence[Event]) -> dict[int, int]:
    """Return which events of a test are which of the same test elsewhere, by place: the longest common stretches."""
    matcher = difflib.SequenceMatcher(None, [*map(spelled, left)], [*map(spelled, right)], autojunk=False)
    return {a + step: b + step for a, b, size in matcher.get_matching_blocks() for step in range(size)}


def spelled(event: Event) -> str:
    """Return what the suite's source spells: the last name of what is called, or what is checked in which way."""
    if event["e"] == "copy":
        return str(event["how"])
    if event["e"] == "check":
        return "check " + (event["why"] if event.get("whole") else json.dumps(shape(event["tree"]), sort_keys=True))
    access = event["access"]
    named = (event.get("site") if stands_in(event) else None) or access.get("path") or access.get("name")
    if named is None and "class" in access and isinstance(access["class"], dict):
        named = access["class"].get("$symbol", "a class of the caller's")
    return str(named or "a function that a call gave").rpartition(":")[2].rpartition(".")[2]


def shape(tree: Json) -> Json:
    """Return the tree of a check without the values in it."""
    if isinstance(tree, list):
        return [shape(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    return {key: None if key == "v" else shape(item) for key, item in tree.items()}


@dataclass(frozen=True, slots=True)
class Renaming:
    """Numbers of one recording (``right``) in another (``left``): those of calls, and those of definitions."""

    left: Recorded
    right: Recorded
    calls: dict[int, int] = field(default_factory=dict)
    definitions: dict[tuple[str, int], int] = field(default_factory=dict)

    def pair(self, left: Event, right: Event) -> None:
        """Take two calls for the same, with what stubs were asked and called meanwhile, in order."""
        self.calls[right["id"]] = left["id"]
        for ours, theirs in zip(left.get("stubs", ()), right.get("stubs", ()), strict=False):
            if "id" in ours and "id" in theirs:
                self.calls[theirs["id"]] = ours["id"]
            for one, other in zip(ours.get("events", ()), theirs.get("events", ()), strict=False):
                if one["e"] == other["e"] == "call":
                    self.pair(one, other)

    def given_alike(self, left: Event, right: Event) -> bool:
        """Say whether two calls were made on alike objects with alike arguments, whatever their parameters' names."""
        ours, theirs = given(left), given(right)
        return (
            len(ours[0]) == len(theirs[0])
            and ours[1].keys() == theirs[1].keys()
            and all(self.alike(one, other) for one, other in zip(ours[0], theirs[0], strict=True))
            and all(self.alike(value, theirs[1][name]) for name, value in ours[1].items())
        )

    def alike(self, left: Json, right: Json) -> bool:
        """Say whether two values are equal but for the numbers in them; what has no other number yet gets one."""
        if isinstance(left, list) and isinstance(right, list):
            return len(left) == len(right) and all(self.alike(*pair) for pair in zip(left, right, strict=True))
        if isinstance(left, str) and isinstance(right, str):
            return normal(left) == normal(right)
        if not isinstance(left, dict) or not isinstance(right, dict):
            return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)
        if "$ref" in left and "$ref" in right:
            return left.get("path") == right.get("path") and self.same_call(left["$ref"], right["$ref"])
        for kind, name in DEFINED.items():
            if kind in left and kind in right:
                return self.same_definition(name, left[kind], right[kind])
        ours, theirs = ({normal(key): value for key, value in side.items()} for side in (left, right))
        return ours.keys() == theirs.keys() and all(self.alike(value, theirs[key]) for key, value in ours.items())

    def same_call(self, left: int, right: int) -> bool:
        """Say whether two calls are the same: a shared object may be made more often where files run by themselves."""
        if right not in self.calls:
            one, other = self.left.calls.get(left), self.right.calls.get(right)
            if one is None or other is None or spelled(one) != spelled(other) or not self.given_alike(one, other):
                return False
            self.calls[right] = left
        return self.calls[right] == left

    def same_definition(self, kind: str, left: int, right: int) -> bool:
        """Say whether two definitions are alike in what both tell, and the same wherever they are met."""
        known = self.definitions.get((kind, right))
        if known is not None or left == right == 0:
            return known == left or left == right == 0
        one, other = self.left.definitions.get((kind, left)), self.right.definitions.get((kind, right))
        if one is None or other is None:
            return False
        self.definitions[kind, right] = left  # before it is looked into: it may hold itself
        if not all(self.alike_in_common(one[key], other[key]) for key in (one.keys() & other.keys()) - OWN):
            del self.definitions[kind, right]
            return False
        return True

    def alike_in_common(self, left: Json, right: Json) -> bool:
        """Say whether two values are alike, mappings in the keys of both: another version of ours may tell more."""
        if isinstance(left, dict) and isinstance(right, dict) and not any(key.startswith("$") for key in left):
            return all(self.alike(left[key], right[key]) for key in left.keys() & right.keys())
        return self.alike(left, right)

    def renamed(self, value: Json) -> Json:
        """Return a value of ``right`` with the numbers of ``left``, and below zero those that it has not."""
        if isinstance(value, list):
            return [self.renamed(item) for item in value]
        if not isinstance(value, dict):
            return value
        made = {key: self.renamed(item) for key, item in value.items()}
        if isinstance(value.get("$ref"), int):
            made["$ref"] = self.calls.get(value["$ref"], -value["$ref"])
        for kind, name in DEFINED.items():
            if isinstance(value.get(kind), int):
                made[kind] = self.definitions.get((name, value[kind]), -value[kind])
        return made


def given(call: Event) -> tuple[list[Json], dict[str, Json]]:
    """Return what was given: by position in order, first of all the object; and by name."""
    if call["e"] == "copy":
        return [call["of"]], {}
    names = {argument["name"]: argument["value"] for argument in call["args"] if argument["form"] == "keyword"}
    values = [argument["value"] for argument in passed(call)]
    access = call["access"]
    return [*([access["receiver"]] if "receiver" in access and not stands_in(call) else []), *values], names


def passed(call: Event) -> Iterator[Event]:
    """Yield the arguments that were given by position, as far as is known."""
    return (argument for argument in call["args"] if argument["form"] not in ("defaulted", "keyword"))

"""Compares values of a trace: where two differ, as paths, with what is random about both taken out."""

import json
import re
from collections.abc import Iterator
from typing import Any

Json = Any

# What the standard library's tempfile adds to a name, or makes a name of: eight characters of this alphabet.
RANDOM = re.compile(r"[a-z0-9_]{8}(?=[./]|$)")
# Where in the interpreter's own source, or in memory: ``(_ssl.c:1006)``, ``at 0x7f1e…``, or ``id()`` of something.
PLACE = re.compile(r"\b_?\w+\.c:\d+|\b0x[0-9a-f]{6,}\b|\b(?:1[34][0-9]{13}|9[345][0-9]{12})\b")
# Folders of test runners have names of their own, which a trace keeps.
KEPT = "{tmp}/pytest-of-"


def normal(text: str) -> str:
    """Return a text with the random parts of a temporary name replaced, and places in the interpreter.

    >>> normal("{tmp}/oras.k3j_x9aa.json")
    '{tmp}/oras.{random}.json'
    >>> normal("certificate verify failed (_ssl.c:1006)")
    'certificate verify failed ({place})'
    """
    text = PLACE.sub("{place}", text)
    head, place, rest = text.partition("{tmp}/")
    if not place or (place + rest).startswith(KEPT):
        return text
    return head + place + RANDOM.sub("{random}", rest)


def escaped(key: str) -> str:
    """Return a key as a step of a path."""
    return key.replace("~", "~0").replace("/", "~1")


def differences(recorded: Json, replayed: Json, path: str = "") -> Iterator[str]:
    """Yield the path of each place where two values differ; ``/`` separates steps, the empty path is the whole."""
    # Most are equal to the letter, and that is found sooner: judging takes two thirds of the time.
    if json.dumps(recorded, sort_keys=True) != json.dumps(replayed, sort_keys=True):
        yield from parts(recorded, replayed, path)


def parts(recorded: Json, replayed: Json, path: str) -> Iterator[str]:
    """Yield the differences of two values, part by part."""
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        yield from in_mappings(recorded, replayed, path)
    elif isinstance(recorded, list) and isinstance(replayed, list) and len(recorded) == len(replayed):
        for index, (left, right) in enumerate(zip(recorded, replayed, strict=True)):
            yield from parts(left, right, f"{path}/{index}")
    elif isinstance(recorded, str) and isinstance(replayed, str):
        if normal(recorded) != normal(replayed):
            yield path
    elif recorded != replayed or isinstance(recorded, bool) != isinstance(replayed, bool):
        yield path


def in_mappings(recorded: dict[str, Json], replayed: dict[str, Json], path: str) -> Iterator[str]:
    """Yield the differences of two objects, key by key."""
    left = {normal(key): value for key, value in recorded.items()}
    right = {normal(key): value for key, value in replayed.items()}
    for key in sorted(left.keys() | right.keys()):
        step = f"{path}/{escaped(key)}"
        if key in left and key in right:
            yield from parts(left[key], right[key], step)
        else:
            yield step


# Where the fields of an object lie; every other part of it tells what it is.
FIELDS = {"$obj": "state", "$duck": "attrs", "$exception": "$exception"}


def is_whole(path: str, outcome: Json) -> bool:
    """Say whether the path of a difference leads to all that a call gave, and not to a field of it.

    A date, a text that is a template and a set are one value each.

    >>> is_whole("outcome/return/headers/date", {"return": {"headers": {"date": "Mon"}}})
    False
    >>> is_whole("outcome/return/args/2", {"return": {"$std": "date", "args": [2026, 11, 20]}})
    True
    """
    steps = path.split("/")[1:]
    value: Json = outcome.get(steps[0]) if steps else None
    if len(steps) > 1 and steps[0] == "raise":
        return False  # its type is compared whatever is masked
    for number, step in enumerate(steps[1:], 2):
        kind = next((key for key in value if key.startswith("$")), "") if isinstance(value, dict) else ""
        if not kind:
            return False  # an item of a list or a mapping
        if step == kind in ("$tuple", "$dict") or (kind == "$obj" and step == "data"):
            value = value.get(step)
        else:
            return step != FIELDS.get(kind) or number == len(steps)
    return True

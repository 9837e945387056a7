"""A trace that is well-formed and lies: what it leads to besides the subject is not called, and nothing breaks."""

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from lines import END, HEADER, Json, begins, blob, call, check, pack, stub

from matrix.judging import Judge, sort_reports
from matrix.replaying import replay_trace
from matrix.subject import Subject
from matrix.trace import TraceError, read_trace

SUBJECT = Subject("liar", ("liar",), ("pytest",))
SOURCE = """
import os
from os import mkdir
from subprocess import run as start

class Thing:
    def __init__(self, value=1):
        self.value = value

    def use(self, value=None):
        return self.value if value is None else value

def call(function, *values):
    return function(*values)

def same(*values):
    return values[0] if values else None

def count(limit):
    yield from range(limit)

SIZE = 3
"""


@pytest.fixture
def liar(tmp_path: Path) -> Path:
    """Return a folder with the package."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "liar.py").write_text(SOURCE)
    return tmp_path / "package"


def replay(path: Path, liar: Path) -> dict[int, str]:
    """Return the verdict of each call of a trace."""
    trace = read_trace(path)
    replayed = replay_trace(SUBJECT, "1", Path(sys.executable), path, trace, also=None, overlay=liar)
    calls, _ = Judge(trace).rows("1", sort_reports(replayed.reports))
    return {row.call: row.verdict for row in calls}


def write(folder: Path, *events: Json) -> Path:
    """Write a trace of the package with one test."""
    imported = {"e": "import", "file": "t.py", "module": "liar", "names": [], "optional": False, "subject": True}
    return pack(folder / "t.gz", [{**HEADER, "modules": ["liar"]}, imported, begins(), *events, END])


def lie(number: int, access: Json, *values: Json) -> dict[str, Any]:
    """Return a call of anything."""
    return call(number, *values, access=access, function="liar.same", module="liar", qualname="same")


def reference(number: int, *path: Json) -> Json:
    """Return a part of what a call gave."""
    return {"$ref": number, "path": list(path)}


GLOBALS = [lie(1, {"path": "liar:same"}, {"$symbol": "liar:same"})]
OS = (["a", "__globals__"], ["k", "os"])
BUILTINS = (["a", "__globals__"], ["k", "__builtins__"])


@pytest.mark.parametrize(
    "events",
    [
        [lie(1, {"path": "liar:mkdir"}, "MARK")],
        [lie(1, {"path": "liar:os.mkdir"}, "MARK")],
        [lie(1, {"path": "liar:start"}, ["mkdir", "MARK"])],
        [lie(1, {"path": "liar:call"}, {"$symbol": "liar:mkdir"}, "MARK")],
        [lie(1, {"path": "liar:call"}, {"$symbol": "builtins:eval"}, "os.mkdir('MARK')")],
        [lie(1, {"path": "liar:call"}, {"$bound": "mkdir", "on": {"$symbol": "liar:os"}}, "MARK")],
        [lie(1, {"path": "liar:__loader__.set_data"}, "MARK", {"$bytes": "aGk="})],
        [
            lie(1, {"path": "liar:Thing.use.__globals__.get"}, "os"),
            lie(2, {"object": reference(1, ["a", "mkdir"])}, "MARK"),
        ],
        [*GLOBALS, lie(2, {"object": reference(1, *OS, ["a", "mkdir"])}, "MARK")],
        [*GLOBALS, lie(2, {"receiver": reference(1, *OS), "name": "mkdir"}, "MARK")],
        [*GLOBALS, lie(2, {"path": "liar:call"}, reference(1, *OS, ["a", "mkdir"]), "MARK")],
        [*GLOBALS, lie(2, {"object": reference(1, *BUILTINS, ["k", "exec"])}, "import os; os.mkdir('MARK')")],
        [*GLOBALS, lie(2, {"object": reference(1, *BUILTINS, ["k", "open"])}, "MARK", "w")],
        [lie(1, {"path": "liar:same"}, {"$make": "liar:mkdir", "args": ["MARK"]})],
        [lie(1, {"path": "liar:same"}, {"$new": "liar:start", "args": [
            {"name": "args", "form": "positional", "value": ["mkdir", "MARK"]}]})],
    ],
)  # fmt: skip
def test_what_is_not_the_subjects_is_not_called(tmp_path: Path, liar: Path, events: list[Any]) -> None:
    """Functions that the subject imports, or that its objects lead to, are out of a trace's reach."""
    mark = tmp_path / "mark"
    found = replay(write(tmp_path, *json.loads(json.dumps(events).replace("MARK", str(mark)))), liar)
    assert not mark.exists()
    assert found[events[-1]["id"]] in ("unreplayable", "missing", "blocked")


def test_what_is_the_subjects_is_called(tmp_path: Path, liar: Path) -> None:
    """Methods of objects, of data too, and functions that are data stay within reach."""
    thing = lie(1, {"path": "liar:Thing"}, 3)
    events = [
        {**thing, "kind": "constructor", "outcome": {"return": {"$obj": "liar:Thing", "state": {"value": 3}}}},
        {**lie(2, {"receiver": {"$ref": 1}, "name": "use"}), "kind": "method", "outcome": {"return": 3}},
        {**lie(3, {"path": "liar:call"}, {"$symbol": "builtins:len"}, [1, 2]), "outcome": {"return": 2}},
        {**lie(4, {"path": "liar:call"}, {"$bound": "use", "on": {"$ref": 1}}), "outcome": {"return": 3}},
        {**lie(5, {"path": "liar:call"}, {"$bound": "upper", "on": "a"}), "outcome": {"return": "A"}},
        {**lie(6, {"path": "liar:call"}, {"$symbol": "json:dumps"}, [1]), "outcome": {"return": "[1]"}},
    ]
    assert replay(write(tmp_path, *events), liar) == dict.fromkeys(range(1, 7), "ok")


def plenty() -> list[Any]:
    """Return the events of a trace with something of every kind."""
    data = blob(b"x" * 600)
    stubbed = [{"stub": 1, "values": {"a": 2, "b": 1}, "outcome": {"return": 5}, "events": [lie(11, SAME, 7)]}]
    return [
        data,
        stub(1, defaults=[1]),
        {"def": "class", "id": 3, "name": "Own", "bases": [{"$symbol": "liar:Thing"}], "body": {"size": 2}},
        {"def": "inst", "id": 4, "class": {"$class": 3}, "state": {"value": 5}},
        {"def": "mock", "id": 5, "class": "MagicMock", "state": {"return_value": 3}},
        {"e": "files", "changes": {"{work}/d": ["dir"], "{work}/d/a": ["file", data["id"], False]}},
        {"e": "env", "changes": {"LIAR": {"$tmpl": "{work}/d"}}},
        {"e": "cwd", "path": {"$tmpl": "{work}/d"}},
        {"e": "patch", "target": {"$symbol": "liar:"}, "name": "SIZE", "value": 4},
        {"e": "read", "path": "liar:same"},
        {"e": "clock", "id": 1, "of": "time.monotonic"},
        lie(1, SAME, [1, {"a": {"$cycle": 2}}, {"$tuple": [{"$set": [1]}]}, {"$std": "Decimal", "args": ["1.5"]}]),
        {**lie(2, {"path": "liar:Thing"}, 3), "kind": "constructor"},
        {**lie(3, {"receiver": {"$ref": 2}, "name": "use"}), "kind": "method", "expect": [{"types": [], "match": "n"}]},
        {**lie(4, {"path": "liar:call"}, {"$stub": 1}, 2), "stubs": stubbed, "outcome": {"return": 5}},
        {**lie(5, {"receiver": {"$inst": 4}, "name": "use"}, {"$mock": 5}, {"$class": 3}), "kind": "method"},
        {**lie(6, SAME, {"$text": data["id"]}, reference(1, ["k", 1], ["k", "a"])), "effects": {"env": {"A": "1"}}},
        {**lie(7, {"path": "liar:count"}, 3), "kind": "generator", "outcome": {"yield": 0}},
        {"e": "next", "call": 7, "outcome": {"yield": 1}},
        {**lie(8, SAME, {"$new": "liar:Thing", "args": [], "state": {}}), "tier": "inner", "within": 9, "n": 1},
        lie(9, SAME, {"$file": {"$tmpl": "{work}/d/a"}, "mode": "r", "at": 1}),
        check({"op": "==", "args": [{"get": {"v": {"$ref": 2}}, "a": "value"}, {"v": 3}]}, 2),
        check({"op": "<", "args": [{"op": "-", "args": [NOW, {"clock": 1}]}, {"v": 5}]}, 2),
        {"e": "patch", "target": {"$symbol": "liar:"}, "name": "SIZE", "undo": True},
    ]  # fmt: skip


SAME = {"path": "liar:same"}
NOW = {"call": "time.monotonic", "args": []}


def lied(chance: random.Random) -> list[Any]:
    """Return such events with some nodes in the place of others of the same name."""
    events = plenty()
    for _ in range(chance.randint(1, 3)):
        places = [(container, key) for container, key in nodes(events) if isinstance(key, str) and key not in FIXED]
        container, key = chance.choice(places)
        other, _ = chance.choice([place for place in places if place[1] == key])
        container[key] = json.loads(json.dumps(other[key]))
    return events


FIXED = ("id", "def", "e")


def nodes(value: Json) -> list[tuple[Any, Any]]:
    """Return (container, key) of everything in a value of JSON."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [pair for key in keys for pair in [(value, key), *nodes(value[key])]]


def calls_of(path: Path) -> set[int] | None:
    """Return the calls of a trace, or None where it is refused, which must be with the line."""
    try:
        return {made["id"] for _, made in read_trace(path).calls()}
    except TraceError as error:
        return pytest.fail(str(error)) if error.line is None else None


@pytest.mark.slow
def test_lies_that_are_well_formed_are_judged(tmp_path: Path, liar: Path) -> None:
    """A trace whose parts were exchanged is refused with its line, or replayed to the end: each call has a verdict."""
    assert "unreplayable" not in replay(write(tmp_path, *plenty()), liar).values()
    before = sorted(path.name for path in tmp_path.iterdir())
    chance, replayed = random.Random(4), 0
    while replayed < 10:
        path = write(tmp_path, *lied(chance))
        calls = calls_of(path)
        if calls is not None:
            assert replay(path, liar).keys() == calls
            replayed += 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before

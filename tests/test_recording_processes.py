"""A recording of several processes is one trace: numbers of a further process come after those of the ones before."""

import json
from pathlib import Path
from typing import Any

from lines import HEADER, begins, call, check, stub
from recorded import make_environment, record

from matrix.merging import merge
from matrix.schema import Checker
from matrix.trace import read_trace

SUBJECT = """
class Box:
    def __init__(self):
        self.items = []

    def add(self, item):
        self.items.append(item)
"""
CALLER = """
import os
import boxes

box = boxes.Box()
box.add("before")
if not (child := os.fork()):
    box.add("shared")
    other = boxes.Box()
    other.add("own")
    if not (grandchild := os.fork()):
        box.add("grandchild")
        os._exit(0)
    os.waitpid(grandchild, 0)
    os._exit(0)
os.waitpid(child, 0)
box.add("after")
"""

END = {"e": "end", "counts": {"pkg.f": [3, 2]}, "tests": {}}


def process() -> list[Any]:
    """Return what one process records: calls, one of them in a stub, and looks at what they gave."""
    inner = {
        "stub": 1,
        "id": 5,
        "values": {"a": {"call": 1, "clock": 1}},
        "events": [call(3)],
        "outcome": {"return": {"$ref": 3}},
    }
    mocked = [{"mock": 5, "name": "", "args": [], "kwargs": {}}]
    return [
        stub(1),
        {"def": "mock", "id": 5, "class": "Mock", "state": {}},
        begins(),
        {"e": "clock", "id": 1, "of": "time.time"},
        call(1, {"call": 1, "stub": 1, "mock": 1, "clock": 1}),
        call(2, {"$stub": 1}, {"$mock": 5}, {"$ref": 1}, stubs=[inner, {"stub": 0, "values": {}}], mocks=mocked),
        {"e": "next", "call": 1, "outcome": {"yield": 1}},
        call(4, tier="inner", within=2, n=1),
        check({"op": "<", "args": [{"clock": 1}, {"v": [{"$ref": 3}, {"clock": 1}]}]}, 1, 3),
    ]


def merged(folder: Path, count: int) -> list[Any]:
    """Return the trace of some processes that recorded the same."""
    for number in range(count):
        lines = [*process(), END]
        (folder / f"events.{number}").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return merge(folder)


def test_one_process_is_left_as_it_is(tmp_path: Path) -> None:
    """There is nothing to renumber."""
    assert merged(tmp_path, 1) == [*process(), END]


def test_processes_of_their_own_are_one_valid_trace(tmp_path: Path) -> None:
    """No number is given twice, each reference leads to its own process, and counts are added."""
    lines = merged(tmp_path, 3)
    checker = Checker()
    assert [checker.check(line) for line in [HEADER, *lines]] == [""] * (len(lines) + 1)
    assert lines[-1]["counts"] == {"pkg.f": [9, 6]}


def test_what_is_data_keeps_its_numbers(tmp_path: Path) -> None:
    """A mapping of the program's may have the keys that events have; stub 0 is nobody's in each process."""
    second = merged(tmp_path, 2)[len(process()) :]
    (first, outer, *_) = (line for line in second if line.get("e") == "call")
    assert first["args"][0]["value"] == {"call": 1, "stub": 1, "mock": 1, "clock": 1}
    assert outer["stubs"][0]["values"] == {"a": {"call": 1, "clock": 1}}
    assert outer["stubs"][1]["stub"] == 0
    (looked,) = (line for line in second if line.get("e") == "check")
    shift = first["id"] - 1
    assert looked["tree"]["args"] == [{"clock": 1 + shift}, {"v": [{"$ref": 3 + shift}, {"clock": 1}]}]
    assert looked["calls"] == [1 + shift, 3 + shift]


def test_a_fork_goes_on_with_what_it_knew(tmp_path: Path) -> None:
    """What it calls with objects of the process before refers to the calls there; its own have numbers of their own."""
    python = make_environment(tmp_path / "venv", "3.11")
    work = tmp_path / "work"
    work.mkdir()
    (work / "boxes.py").write_text(SUBJECT)
    (work / "caller.py").write_text(CALLER)
    ran = record(python, tmp_path / "trace.gz", ["boxes"], ["python", "caller.py"], work)
    assert ran.returncode == 0, ran.stderr
    trace = read_trace(tmp_path / "trace.gz")  # which refuses numbers that are used twice or lead nowhere
    calls = {event["args"][-1]["value"]: event for _, event in trace.calls() if event["function"] == "boxes.Box.add"}
    assert sorted(calls) == ["after", "before", "grandchild", "own", "shared"]
    made = {word: event["access"]["receiver"]["$ref"] for word, event in calls.items()}
    assert made["before"] == made["shared"] == made["after"] == made["grandchild"] != made["own"]
    assert trace.end["counts"] == {"boxes.Box.__init__": [2, 2], "boxes.Box.add": [5, 5]}

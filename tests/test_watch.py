"""The recorder sees every attribute that becomes another object, whatever it equals, and asks none of them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import Trace, make_environment, record

from matrix.agent.watch import Row

SUBJECT = """
LIMIT = 1

class Box:
    size = 1

    def __init__(self):
        self.worth = 1

SPARE = [Box()]

def fill(box):
    global LIMIT
    LIMIT = box.size = 3
    return LIMIT
"""
CALLER = """
import boxes

first = boxes.Box()
boxes.fill(first)
first.part = boxes.SPARE[0]
boxes.fill(first)
first.part.colour = "red"
boxes.fill(first)
boxes.LIMIT = boxes.Box.size = 7
boxes.fill(first)
"""
SPACES = st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=4)
OBJECTS = [object() for _ in range(4)]


class Silent:
    """An object that must not be asked anything."""

    def __eq__(self, other: object) -> bool:
        """Fail."""
        pytest.fail("it was compared")

    __hash__ = None  # type: ignore[assignment]


def spaces_of(numbers: list[list[int]]) -> list[dict[str, Any]]:
    """Return namespaces that hold some objects."""
    return [{f"a{index}": OBJECTS[number] for index, number in enumerate(space)} for space in numbers]


def test_what_was_not_touched_is_the_same() -> None:
    """Neither the objects nor their number changed."""
    row = Row([{"a": Silent(), "b": 1}, {}, {"c": Silent()}])
    assert row.is_same()


def test_another_object_is_seen_though_it_equals() -> None:
    """Objects are told apart by what they are, not by what they say."""
    space: dict[str, Any] = {"a": [1]}
    row = Row([space])
    space["a"] = [1]
    assert not row.is_same()


def test_other_objects_are_not_asked() -> None:
    """No code of the program's runs to compare its objects."""
    space: dict[str, Any] = {"a": Silent()}
    row = Row([space])
    space["a"] = Silent()
    assert not row.is_same()


@given(SPACES, SPACES)
def test_a_row_is_the_same_where_each_namespace_is(before: list[list[int]], after: list[list[int]]) -> None:
    """What moves from the end of one namespace to the next, or is added or taken away at any place, is seen."""
    after = [*after, *before[len(after) :]][: len(before)]
    spaces = spaces_of(before)
    row = Row(spaces)
    for space, new in zip(spaces, spaces_of(after), strict=True):
        space.clear()
        space.update(new)
    assert row.is_same() == (before == after)


def test_what_was_looked_at_again_is_the_same() -> None:
    """A look takes everything as it is then."""
    space: dict[str, Any] = {"a": 1}
    row = Row([space])
    space["b"] = 2
    row.look()
    assert row.is_same()


def test_what_the_caller_changed_is_a_patch(tmp_path: Path) -> None:
    """It is told in order, of an object that was only just put into another too; what the subject changed is not."""
    python = make_environment(tmp_path / "venv", "3.11")
    work = tmp_path / "work"
    work.mkdir()
    (work / "boxes.py").write_text(SUBJECT)
    (work / "caller.py").write_text(CALLER)
    ran = record(python, tmp_path / "trace.gz", ["boxes"], ["python", "caller.py"], work)
    assert ran.returncode == 0, ran.stderr
    told = [event for event in Trace(tmp_path / "trace.gz").lines if event.get("e") in ("call", "patch")]
    names = [event["name"] if event["e"] == "patch" else event["function"].rpartition(".")[2] for event in told]
    assert names == ["__init__", "fill", "part", "fill", "colour", "fill", "LIMIT", "size", "fill"]

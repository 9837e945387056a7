"""Merges what the processes of a recording wrote into the events of one trace."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from matrix.compare import Json
from matrix.trace import Event

# What a number of a process is in the trace.
Numbers = Callable[[int], int]


def merge(raw: Path) -> list[Event]:
    """Return the events of all processes, each behind the one that it was forked from, with one end."""
    files = sorted(raw.iterdir(), key=lambda path: path.stat().st_ctime_ns)
    written = {file.suffix[1:]: [json.loads(line) for line in file.read_text("ascii").splitlines()] for file in files}
    lines: list[Event] = []
    counts: dict[str, list[int]] = {}
    tests: dict[str, str] = {}
    numbers: dict[str, Numbers] = {}
    for process in in_order(written):
        own = written[process]
        origin = own.pop(0) if own and "fork" in own[0] else {}
        for end in [line for line in own if line.get("e") == "end"] or [counted(own)]:
            tests |= end["tests"]
            for function, (calls, boundary) in end["counts"].items():
                old = counts.get(function, [0, 0])
                counts[function] = [old[0] + calls, old[1] + boundary]
        last = last_in(lines)
        new = numbers[process] = numbering(origin, last, numbers)
        # The first process keeps its lines to the letter.
        lines += [renumber(line, new) if last else line for line in own if line.get("e") != "end"]
    return [*lines, {"e": "end", "counts": dict(sorted(counts.items())), "tests": dict(sorted(tests.items()))}]


def in_order(written: dict[str, list[Event]]) -> list[str]:
    """Return the processes, each behind the one that it was forked from."""
    order: list[str] = []
    for process in written:
        way = [process]
        while (before := origin_of(written[way[-1]])) in written and before not in (*way, *order):
            way.append(before)
        order += [one for one in reversed(way) if one not in order]
    return order


def origin_of(own: list[Event]) -> str:
    """Return the process that another was forked from, "" for none."""
    return str(own[0].get("fork", "")) if own else ""


def numbering(origin: Event, last: int, known: dict[str, Numbers]) -> Numbers:
    """Return the numbers of a process in a trace that has numbers up to ``last``.

    A fork goes on with those of the process that it is of, up to where it began.
    """
    before, at = known.get(str(origin.get("fork", ""))), int(origin.get("at", 0))
    return lambda number: before(number) if before and number <= at else number - (at if before else 0) + last


def counted(own: list[Event]) -> Event:
    """Return the end of a process that was not there to write it: it called what it wrote calls of."""
    counts: dict[str, list[int]] = {}
    for line in own:
        if line.get("e") == "call":
            old, boundary = counts.get(line["function"], [0, 0]), line["tier"] == "boundary"
            counts[line["function"]] = [old[0] + line.get("n", 1), old[1] + boundary]
    return {"e": "end", "counts": counts, "tests": {}}


def last_in(lines: list[Event]) -> int:
    """Return the highest number that is given in some lines, 0 for none."""
    return max((number for line in lines for number in numbers_in(line)), default=0)


def renumber(line: Event, new: Numbers) -> Event:
    """Return a line of a further process with its numbers after those of the ones before."""
    made: Event = {key: renumber_value(item, new) for key, item in line.items() if key not in ("stubs", "mocks")}
    made.update({key: new(line[key]) for key in ("id", "call", "within", "inst") if isinstance(line.get(key), int)})
    if line.get("e") == "check":
        made["calls"] = [new(call) for call in line["calls"]]
        made.update({"tree": renumber_tree(line["tree"], new)} if "tree" in line else {})
    if "stubs" in line:
        made["stubs"] = [renumber_stub(entry, new) for entry in line["stubs"]]
    if "mocks" in line:
        made["mocks"] = [
            {**renumber_value(entry, new), "mock": new(entry["mock"]) if entry["mock"] else 0}
            for entry in line["mocks"]
        ]
    return made


def renumber_stub(entry: Event, new: Numbers) -> Event:
    """Return what a stub did; 0 is one that no value holds."""
    made: Event = renumber_value({key: item for key, item in entry.items() if key not in ("events", "yields")}, new)
    if "events" in entry:
        made["events"] = [renumber(event, new) for event in entry["events"]]
    if "yields" in entry:
        made["yields"] = [renumber_stub(step, new) for step in entry["yields"]]
    made.update({key: new(entry[key]) for key in ("id", "stub") if entry.get(key)})
    return made


def renumber_tree(tree: Json, new: Numbers) -> Json:
    """Return the tree of a check with other numbers."""
    if isinstance(tree, list):
        return [renumber_tree(item, new) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "clock" in tree:
        return {"clock": new(tree["clock"])}
    return {key: (renumber_value if key == "v" else renumber_tree)(item, new) for key, item in tree.items()}


def renumber_value(value: Json, new: Numbers) -> Json:
    """Return a value with other numbers; what is data stays as it is."""
    if isinstance(value, list):
        return [renumber_value(item, new) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: renumber_value(item, new) for key, item in value.items()}
    for kind in ("$ref", "$stub", "$class", "$inst", "$mock"):
        if isinstance(made.get(kind), int):
            made[kind] = new(made[kind])
    return made


def numbers_in(line: Event) -> Iterator[int]:
    """Yield the numbers that a line gives: its own, those of its stubs' calls, and of the calls in their scripts."""
    if isinstance(line.get("id"), int):
        yield line["id"]
    for entry in line.get("stubs", ()):
        yield entry.get("id", 0)
        for part in [entry, *entry.get("yields", ())]:
            for event in part.get("events", ()):
                yield from numbers_in(event)

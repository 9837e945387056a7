"""The trace file: JSON lines in gzip members (docs/trace-format.md). Data only; nothing in it is ever executed."""

import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matrix.agent.contents import content_of
from matrix.errors import CaliperError
from matrix.files import atomic_write
from matrix.staleness import AGENT, PACKAGE, file_digest

if TYPE_CHECKING:
    from matrix.schema import Checker

SCHEMA = 1
MEMBER = 1 << 20  # bytes of JSON in a gzip member: what a killed recording loses at most
LONGEST_LINE = 64 << 20
LARGEST = 2 << 30  # bytes of a trace, unpacked
DEEPEST = 200
TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*+"')
BRACKETS = re.compile(rb"[\[\]{}]")

Event = dict[str, Any]


class TraceError(CaliperError):
    """A file that is not a trace, or not one that can be used; the message says which line and why."""

    def __init__(self, path: Path, reason: str, line: int | None = None) -> None:
        """Say where and why."""
        where = f"{path}, line {line}" if line else str(path)
        super().__init__(f"{where}: {reason}")
        self.path, self.reason, self.line = path, reason, line


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace in memory: its header, its definitions by kind and id, its events in order, its footer."""

    header: Event
    blobs: dict[str, bytes] = field(repr=False)
    definitions: list[Event] = field(repr=False)
    events: list[Event] = field(repr=False)
    end: Event = field(repr=False)
    digest: str = ""

    def calls(self) -> Iterator[tuple[str, Event]]:
        """Yield (test, call) of each call that the program made, in order; those of the caller's functions, before."""
        test = ""
        for event in self.events:
            if event["e"] == "test":
                test = event["id"]
            for inner in nested(event):
                if inner["e"] == "call":
                    yield test, inner

    def steps(self) -> dict[int, list[Event]]:
        """Return each time that the program went on with what a call gave, in order, by the call's number."""
        found: dict[int, list[Event]] = {}
        for inner in (inner for event in self.events for inner in nested(event)):
            if inner["e"] == "next":
                found.setdefault(inner["call"], []).append(inner)
        return found


def nested(event: Event) -> Iterator[Event]:
    """Yield what happened in the scripts of stubs during an event, and the event itself."""
    for entry in event.get("stubs", ()):
        for part in [entry, *entry.get("yields", ())]:
            for inner in part.get("events", ()):
                yield from nested(inner)
    yield event


def write_trace(path: Path, header: Event, lines: list[Event]) -> None:
    """Write a trace, or leave what was there."""
    packed, pending = bytearray(), bytearray()
    for line in [{"trace": SCHEMA, **header}, *lines]:
        # Not sorted: the order of a mapping's keys is part of the value.
        pending += json.dumps(line, separators=(",", ":")).encode("ascii") + b"\n"
        if len(pending) >= MEMBER:
            packed += gzip.compress(bytes(pending), 9, mtime=0)
            pending.clear()
    packed += gzip.compress(bytes(pending), 9, mtime=0)
    atomic_write(path, bytes(packed))


def lines_of(path: Path) -> Iterator[tuple[int, Event]]:
    """Yield (number, object) of each line.

    Raises:
        TraceError: the file is missing, cut off, no gzip, or a line is no JSON object.
    """
    number = 0
    try:
        left = LARGEST
        with gzip.open(path, "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
                left -= len(line)
                if left < 0:
                    raise TraceError(path, f"holds more than {LARGEST} bytes", number)
                value = parse_line(path, number, line)
                if isinstance(value.get("size"), int) and "packed" in value:
                    left -= value["size"]
                yield number, value
    except FileNotFoundError:
        raise TraceError(path, "no such trace; record one with `caliper-matrix record`") from None
    except (EOFError, zlib.error) as error:
        raise TraceError(path, f"the trace is cut off ({error}); record it again", number + 1) from None
    except OSError as error:
        raise TraceError(path, f"not a trace: {error.strerror or error}") from None


def parse_line(path: Path, number: int, line: bytes) -> Event:
    """Return the object of one line, or raise TraceError."""
    if len(line) > LONGEST_LINE:
        raise TraceError(path, f"longer than {LONGEST_LINE} bytes", number)
    if nesting(line) > DEEPEST:
        raise TraceError(path, f"nested deeper than {DEEPEST}", number)
    try:
        value = json.loads(line)
    except ValueError as error:
        raise TraceError(path, f"not a trace: {error}", number) from None
    if not isinstance(value, dict):
        raise TraceError(path, "not a trace: a line must be an object", number)
    return value


def nesting(line: bytes) -> int:
    """Return how deep a line of JSON is nested, 0 where it cannot be too deep."""
    if line.count(b"[") + line.count(b"{") <= DEEPEST:
        return 0
    depth = deepest = 0
    for bracket in BRACKETS.findall(TEXTS.sub(b"", line)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def read_header(path: Path, lines: Iterator[tuple[int, Event]], checker: "Checker") -> Event:
    """Return the first line, or raise TraceError."""
    _, header = next(lines, (0, {}))
    if "trace" not in header:
        raise TraceError(path, "not a trace: no header", 1)
    if header["trace"] != SCHEMA:
        reason = f"of schema version {header['trace']!r:.20}, but this version reads {SCHEMA}; record it again"
        raise TraceError(path, reason, 1)
    problem = checker.check(header)
    if problem:
        raise TraceError(path, problem, 1)
    return header


def read_checked(path: Path, checked: Path) -> Trace:
    """Read a trace that is validated once: an empty file in the folder ``checked`` notes each that was, by which code.

    Raises:
        TraceError: as `read_trace`.
    """
    data = path.read_bytes() if path.exists() else b""
    note = checked / f"{hashlib.sha256(data).hexdigest()}-{_checking_code()}"
    if not note.exists():
        trace = read_trace(path)
        checked.mkdir(parents=True, exist_ok=True)
        note.touch()
        return trace
    with gzip.open(io.BytesIO(data)) as lines:
        trace = Trace(json.loads(next(lines)), {}, [], [], {}, note.name.partition("-")[0])
        for line in map(json.loads, lines):
            if line.get("def") == "blob":
                trace.blobs[line["id"]] = content_of(line)
            else:
                (trace.definitions if "def" in line else trace.events).append(line)
    trace.end.update(trace.events.pop())
    return trace


def _checking_code() -> str:
    files = [Path(__file__), *sorted(PACKAGE.glob("schema*.py")), *sorted(AGENT.glob("*.py"))]  # and what they list
    return hashlib.sha256("".join(map(file_digest, files)).encode()).hexdigest()[:16]


def read_trace(path: Path) -> Trace:
    """Read and validate a trace.

    Raises:
        TraceError: it is not a trace, of another schema version, cut off, or breaks the schema.
    """
    from matrix.schema import Checker  # noqa: PLC0415 # a trace is validated once, and loading this takes as long

    checker = Checker()
    lines = lines_of(path)
    header = read_header(path, lines, checker)
    trace = Trace(header, {}, [], [], {}, hashlib.sha256(path.read_bytes()).hexdigest())
    end: Event = {}
    for number, line in lines:
        problem = checker.check(line)
        if problem:
            raise TraceError(path, problem, checker.at)
        if end:
            raise TraceError(path, "a line after the end", number)
        if line.get("def") == "blob":
            trace.blobs[line["id"]] = checker.content
        elif "def" in line:
            trace.definitions.append(line)
        elif line["e"] == "end":
            end = line
        else:
            trace.events.append(line)
    if not end:
        raise TraceError(path, "the trace is cut off: it has no end; record it again")
    trace.end.update(end)
    return trace

"""The trace file: what is written is read back, and what is no trace is refused in one sentence that names the line."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lines import END, HEADER, Json, begins, blob, call, check, pack, sha256, stub

from matrix import trace as traces
from matrix.trace import DEEPEST, TraceError, read_checked, read_trace, write_trace

LINES = [
    blob(b"x" * 600),
    {"e": "import", "file": "tests/a.py", "module": "pkg", "names": [], "optional": False, "subject": True},
    begins(),
    {"e": "files", "changes": {"{work}/a": ["file", sha256(b"x" * 600), False], "{work}/l": ["link", "a"]}},
    call(1, 1, {"$blob": sha256(b"x" * 600)}, result={"b": 1, "a": [{"$cycle": 1}]}),
    stub(1),
    call(
        3, {"$ref": 1, "path": [["k", "a"]]}, {"$stub": 1}, stubs=[{"stub": 1, "values": {"a": 1}, "events": [call(2)]}]
    ),
    check({"op": "==", "args": [{"v": {"$ref": 1}}, {"method": "get", "args": [{"v": {}}, {"v": "a"}]}]}, 1),
]
KEYS = st.sampled_from(["$ref", "$cycle", "$std", "e", "id", "v", "a"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=5,
)
SOME = settings(max_examples=120, deadline=None)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return a small trace with a bit of everything."""
    path = tmp_path / "good.trace.jsonl.gz"
    write_trace(path, {name: value for name, value in HEADER.items() if name != "trace"}, [*LINES, END])
    return path


def reason(path: Path) -> str:
    """Return why a file is refused, without its name."""
    with pytest.raises(TraceError) as caught:
        read_trace(path)
    return str(caught.value).replace(str(path), "FILE")


def test_round_trip(good: Path) -> None:
    """What was written is read: header, events and definitions in order, contents decoded."""
    trace = read_trace(good)
    assert trace.header == HEADER
    assert [*trace.events, trace.end] == [*(line for line in LINES if "e" in line), END]
    assert trace.definitions == [line for line in LINES if line.get("def") == "stub"]
    assert trace.blobs == {sha256(b"x" * 600): b"x" * 600}


def test_a_trace_is_validated_once(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read the same afterwards."""
    whole, checked = read_trace(good), tmp_path / "checked"
    read_checked(good, checked)
    monkeypatch.setattr(traces, "read_trace", lambda _path: pytest.fail("validated again"))
    found = read_checked(good, checked)
    assert found == whole


def test_a_trace_that_lies_is_never_valid(tmp_path: Path) -> None:
    """It is refused each time."""
    path = tmp_path / "lies.trace.jsonl.gz"
    write_trace(path, {name: value for name, value in HEADER.items() if name != "trace"}, [call(1, {"$ref": 7}), END])
    for _ in range(2):
        with pytest.raises(TraceError, match="line"):
            read_checked(path, tmp_path / "checked")


def test_no_trace_is_never_valid(tmp_path: Path) -> None:
    """A file that is not there is told as such."""
    with pytest.raises(TraceError, match="no such trace"):
        read_checked(tmp_path / "none.trace.jsonl.gz", tmp_path / "checked")


def test_calls(good: Path) -> None:
    """The calls come with the test that made them, and those that a function of the caller's made are among them."""
    test = "tests/test_a.py::test_a"
    assert [(name, made["id"]) for name, made in read_trace(good).calls()] == [(test, 1), (test, 2), (test, 3)]


def test_order_of_keys(good: Path) -> None:
    """The order of a mapping's keys is part of the value."""
    trace = read_trace(good)
    (first, *_) = (made for _, made in trace.calls())
    assert list(first["outcome"]["return"]) == ["b", "a"]


def test_same_bytes(good: Path, tmp_path: Path) -> None:
    """The same lines give the same bytes: there is no time in the file."""
    again = tmp_path / "again.gz"
    write_trace(again, {name: value for name, value in HEADER.items() if name != "trace"}, [*LINES, END])
    assert again.read_bytes() == good.read_bytes()
    assert read_trace(again).digest == read_trace(good).digest


def test_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large trace is several gzip members, so that a cut costs the last one only."""
    monkeypatch.setattr(traces, "MEMBER", 100)
    path = tmp_path / "many.gz"
    write_trace(path, {name: value for name, value in HEADER.items() if name != "trace"}, [*LINES, END])
    assert path.read_bytes().count(b"\x1f\x8b\x08") > 3
    assert read_trace(path).end == END


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_killed_recording(good: Path, tmp_path: Path, share: float) -> None:
    """A file that was cut off while it was written says so, and what to do."""
    data = good.read_bytes()
    cut = tmp_path / "cut.gz"
    cut.write_bytes(data[: int(len(data) * share)])
    assert "the trace is cut off (" in reason(cut)
    assert reason(cut).endswith("); record it again")


def test_cut_between_members(tmp_path: Path) -> None:
    """A file whose last members are missing is whole gzip, but has no end."""
    assert (
        reason(pack(tmp_path / "t.gz", [HEADER, *LINES]))
        == "FILE: the trace is cut off: it has no end; record it again"
    )


def test_missing(tmp_path: Path) -> None:
    """A file that is not there is told with the command that makes one."""
    assert reason(tmp_path / "no.gz") == "FILE: no such trace; record one with `caliper-matrix record`"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"hello", "FILE: not a trace: Not a gzipped file (b'he')"),
        (b"", "FILE, line 1: not a trace: no header"),
        (gzip.compress(b""), "FILE, line 1: not a trace: no header"),
        (gzip.compress(b"hello\n"), "FILE, line 1: not a trace: Expecting value: line 1 column 1 (char 0)"),
        (gzip.compress(b"[1]\n"), "FILE, line 1: not a trace: a line must be an object"),
        (gzip.compress(b"{}\n"), "FILE, line 1: not a trace: no header"),
        (
            gzip.compress(b'{"trace":7}\n'),
            "FILE, line 1: of schema version 7, but this version reads 1; record it again",
        ),
        (gzip.compress(b'{"trace":1}\n'), "FILE, line 1: a header without 'command'"),
    ],
)
def test_no_trace(tmp_path: Path, data: bytes, told: str) -> None:
    """What is not a trace, or of another version, is refused."""
    path = tmp_path / "t.gz"
    path.write_bytes(data)
    assert reason(path) == told


def test_folder(tmp_path: Path) -> None:
    """A folder is no trace."""
    assert reason(tmp_path) == "FILE: not a trace: Is a directory"


def test_deep(tmp_path: Path) -> None:
    """A million nested lists are refused before they are read."""
    path = tmp_path / "t.gz"
    path.write_bytes(
        gzip.compress(json.dumps(HEADER).encode() + b'\n{"e":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}\n")
    )
    assert reason(path) == f"FILE, line 2: nested deeper than {DEEPEST}"


def test_brackets_in_texts(tmp_path: Path) -> None:
    """Brackets in a text are no nesting."""
    line = call(1, '"[{' * 1000, result="\\" + "[" * 1000)
    assert read_trace(pack(tmp_path / "t.gz", [HEADER, line, END])).events == [line]


def test_long_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without an end is not read whole."""
    monkeypatch.setattr(traces, "LONGEST_LINE", 1000)
    assert reason(pack(tmp_path / "t.gz", [HEADER, call(1, "x" * 2000)])) == "FILE, line 2: longer than 1000 bytes"


def test_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that unpacks to more than a trace may hold is not read on."""
    monkeypatch.setattr(traces, "LARGEST", 2000)
    assert reason(pack(tmp_path / "t.gz", [HEADER, *(begins() for _ in range(100))])).endswith(
        "holds more than 2000 bytes"
    )


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_beyond_json(tmp_path: Path, text: str) -> None:
    """Numbers that JSON has no form for are refused."""
    path = tmp_path / "t.gz"
    line = json.dumps(call(1, 777)).replace("777", text)
    path.write_bytes(gzip.compress(f"{json.dumps(HEADER)}\n{line}\n".encode()))
    assert reason(path).endswith("is no number of JSON")


def test_line_after_the_end(tmp_path: Path) -> None:
    """Nothing may follow the footer."""
    assert reason(pack(tmp_path / "t.gz", [HEADER, END, begins()])) == "FILE, line 3: a line after the end"


def test_line_to_blame(tmp_path: Path) -> None:
    """What is missing at the end is told at the line that names it."""
    told = "FILE, line 3: a reference to call 1, which is not in the trace"
    assert reason(pack(tmp_path / "t.gz", [HEADER, begins(), call(2, {"$ref": 1}), begins(), END])) == told


def test_nothing_half_written(tmp_path: Path) -> None:
    """A trace that can't be written leaves what was there."""
    path = tmp_path / "t.gz"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_trace(path, {}, [{"e": object()}])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def lines_told(path: Path) -> int:
    """Return in how many lines a file is refused; 0 for a valid trace."""
    try:
        read_trace(path)
    except TraceError as error:
        return len(str(error).splitlines())
    return 0


@given(seed=st.integers(0, 1 << 32))
@SOME
def test_mutated_bytes(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Any changed bytes of the packed file, or of its lines, are refused or leave a valid trace."""
    chance = random.Random(seed)
    data = bytearray(b"".join(json.dumps(line).encode() + b"\n" for line in [HEADER, *LINES, END]))
    packed = bytearray(gzip.compress(bytes(data)))
    target = packed if seed % 2 else data
    for _ in range(chance.randint(1, 4)):
        target[chance.randrange(len(target))] = chance.randrange(256)
    path = tmp_path_factory.getbasetemp() / "mutated.gz"
    path.write_bytes(bytes(packed) if seed % 2 else gzip.compress(bytes(data)))
    assert lines_told(path) <= 1


def nodes(value: Json) -> list[tuple[Any, Any]]:
    """Return (container, key) of everything in a value of JSON."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [pair for key in keys for pair in [(value, key), *nodes(value[key])]]


@given(
    index=st.integers(0, 10_000), replacement=JSON, how=st.sampled_from(["replace", "delete", "rename", "duplicate"])
)
@SOME
def test_mutated_nodes(tmp_path_factory: pytest.TempPathFactory, index: int, replacement: Json, how: str) -> None:
    """Any node of a trace that is replaced, removed, renamed or doubled is refused or leaves a valid trace."""
    lines = json.loads(json.dumps([HEADER, *LINES, END]))
    places = nodes(lines)
    container, key = places[index % len(places)]
    if how == "replace":
        container[key] = replacement
    elif how == "delete":
        del container[key]
    elif isinstance(container, list):
        container.insert(key, container[key])
    else:
        container[f"${key}"] = container.pop(key) if how == "rename" else container[key]
    assert lines_told(pack(tmp_path_factory.getbasetemp() / "mutated.gz", lines)) <= 1

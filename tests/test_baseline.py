"""What two replays on the recorded release show: noise is masked, and what does not replay is named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lines import END, HEADER, Json, blob, call, pack

from matrix import self_replay
from matrix.baseline import Baseline, BaselineError, compare_runs, masks_path, read_baseline, write_baseline
from matrix.compare import is_whole
from matrix.judging import Judge, sort_reports
from matrix.trace import Trace, read_trace

CONTENT = blob(b"hi")
FILES = {"files": {"{tmp}/a": ["file", CONTENT["id"], False]}}


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Return a trace of two calls."""
    made = [call(1, result={"date": "Mon", "body": 1}, usage="whole", effects=FILES), call(2, result=2, usage="whole")]
    return read_trace(pack(tmp_path / "t.trace.jsonl.gz", [HEADER, CONTENT, *made, END]))


def run(date: str = "Mon", second: Json = 2, digest: str = "") -> list[dict[str, Any]]:
    """Return the reports of one replay."""
    effects = {"files": {"{tmp}/a": ["file", digest * 64 or CONTENT["id"], False]}}
    return [
        {"call": 1, "outcome": {"return": {"date": date, "body": 1}}, "effects": effects},
        {"call": 2, "outcome": {"return": second}},
    ]


def compare(trace: Trace, *runs: list[dict[str, Any]]) -> Baseline:
    """Return the baseline of some replays."""
    return compare_runs(trace, *map(sort_reports, runs))


def test_quiet(trace: Trace) -> None:
    """Equal replays need no masks."""
    assert compare(trace, run(), run()) == Baseline(trace.digest, {}, {})


def test_noise(trace: Trace) -> None:
    """A field that differs between two replays is masked, and nothing else of the call."""
    made = compare(trace, run("Tue"), run("Wed"))
    assert made.masks == {1: ["outcome/return/date"]}
    assert made.unreplayable == {}
    judge = Judge(trace, made.masks, made.unreplayable)
    later = {row[1]["id"]: row[2].verdict for row in judge.calls(sort_reports(run("Sun")))}
    assert later == {1: "ok", 2: "ok"}
    other = [{"call": 1, "outcome": {"return": {"date": "Sun", "body": 2}}, "effects": FILES}]
    assert {row[2].verdict for row in judge.calls(sort_reports(other))} == {"changed", "unreplayable"}


def test_noise_of_a_file(trace: Trace) -> None:
    """A file whose content differs each time is masked by its name."""
    made = compare(trace, run(digest="1"), run(digest="2"))
    assert made.masks == {1: ["effects/files/{tmp}~1a/1"]}
    assert made.unreplayable == {}


def test_more_replays(trace: Trace) -> None:
    """Each further replay may add to the masks."""
    assert compare(trace, run(), run(), run("Tue")).masks == {1: ["outcome/return/date"]}


def test_does_not_replay(trace: Trace) -> None:
    """A call that is the same twice, but not as recorded, is unreplayable on all releases, with the reason."""
    made = compare(trace, run(second=3), run(second=3))
    assert made.masks == {}
    assert made.unreplayable == {2: "not the same on the recorded release itself: changed: gives 3, the recording 2"}


def test_unreplayable(trace: Trace) -> None:
    """What the agent could not express keeps its own reason."""
    reports = [run()[0], {"call": 2, "verdict": "unreplayable", "detail": "a socket"}]
    assert compare(trace, reports, reports).unreplayable == {2: "a socket"}


def test_whole(trace: Trace) -> None:
    """A mask covers a field, never all that a call gave, whether that differs once or always: it is unreplayable."""
    unused = [{**event, "usage": "none"} for _, event in trace.calls()]
    trace = replace(trace, events=[event if event["e"] != "call" else unused.pop(0) for event in trace.events])
    for second in (3, 4):
        made = compare(trace, run("Tue", second=3), run("Wed", second=second))
        assert made.masks == {1: ["outcome/return/date"]}
        assert list(made.unreplayable) == [2]
        assert made.unreplayable[2].endswith("differs: gives 3, the recording 2")


def test_digest_of_noise(tmp_path: Path) -> None:
    """A digest of a file whose content is noise is compared by whose it is: that of another file is another."""
    digest, other = CONTENT["id"], {"files": {"{tmp}/b": ["file", blob(b"b")["id"], False]}}
    made = [call(1, effects=FILES), call(2, effects=other), call(3, result={"hash": digest}, usage="whole")]
    trace = read_trace(pack(tmp_path / "t.trace.jsonl.gz", [HEADER, CONTENT, blob(b"b"), *made, END]))

    def replay(content: str, given: str) -> list[dict[str, Any]]:
        first = {"call": 1, "outcome": {"return": None}, "effects": run(digest=content)[0]["effects"]}
        second = {"call": 2, "outcome": {"return": None}, "effects": other}
        return [first, second, {"call": 3, "outcome": {"return": {"hash": given * 64 if len(given) == 1 else given}}}]

    baseline = compare(trace, replay("1", "1"), replay("2", "2"))
    assert baseline.masks == {1: ["effects/files/{tmp}~1a/1"]}
    assert baseline.unreplayable == {}
    judge = Judge(trace, baseline.masks, baseline.unreplayable)
    for given, verdict in (("3", "ok"), (blob(b"b")["id"], "changed")):
        assert [row[2].verdict for row in judge.calls(sort_reports(replay("3", given)))][-1] == verdict


@pytest.mark.parametrize(
    ("path", "recorded"),
    [
        ("outcome", 1),
        ("outcome/return", 1),
        ("outcome/return/$tmpl", {"$tmpl": "{tmp}/x"}),
        ("outcome/return/args/5", {"$std": "datetime", "args": [2026]}),
        ("outcome/return/$set/0", {"$set": [1]}),
        ("outcome/return/$obj", {"$obj": "pkg:A", "state": {}}),
        ("outcome/return/data", {"$obj": "pkg:A", "data": "x", "state": {}}),
        ("outcome/return/$tuple", {"$tuple": [1]}),
    ],
)
def test_is_whole(path: str, recorded: Json) -> None:
    """A value that is no collection of fields is one, whatever it is written as."""
    assert is_whole(path, {"return": recorded})


@pytest.mark.parametrize(
    ("path", "recorded"),
    [
        ("outcome/return/0", [1]),
        ("outcome/return/$tuple/0", {"$tuple": [1]}),
        ("outcome/return/$dict/0/1", {"$dict": [[1, 2]]}),
        ("outcome/return/state/at", {"$obj": "pkg:A", "state": {"at": 1}}),
        ("outcome/return/data/at", {"$obj": "pkg:A", "data": {"at": 1}, "state": {}}),
        ("outcome/return/attrs/url/$tmpl", {"$duck": "pkg.A", "attrs": {"url": {"$tmpl": "{tmp}"}}}),
    ],
)
def test_is_field(path: str, recorded: Json) -> None:
    """What lies in a value is a field of it."""
    assert not is_whole(path, {"return": recorded})


def test_raises_once(trace: Trace) -> None:
    """A call that raises in one replay only is not masked into a success."""
    raised = {"raise": {"type": "pkg:Error", "mro": [], "args": [], "str": "no"}}
    made = compare(trace, run(), [run()[0], {"call": 2, "outcome": raised}])
    assert 2 in made.unreplayable


def test_round_trip(trace: Trace, tmp_path: Path) -> None:
    """What is written is read, in the order of the calls."""
    made = Baseline(trace.digest, {1: ("outcome/return/date",)}, {2: "a socket"})
    path = tmp_path / "t.masks.json"
    write_baseline(path, made)
    assert read_baseline(path, trace) == made


def test_place() -> None:
    """The masks lie beside the trace."""
    assert masks_path(Path("traces/a-1.trace.jsonl.gz")) == Path("traces/a-1.masks.json")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "the trace has no baseline"),
        ("", "cannot be read as a baseline (JSONDecodeError)"),
        ("[]", "cannot be read as a baseline (TypeError)"),
        ("{}", "cannot be read as a baseline (KeyError)"),
        (json.dumps({"format": 9}), "of format 9, but this version reads 1"),
        (
            json.dumps({"format": 1, "trace": "x", "masks": [], "unreplayable": {}}),
            "cannot be read as a baseline (AttributeError)",
        ),
        (
            json.dumps({"format": 1, "trace": "x", "masks": {"a": []}, "unreplayable": {}}),
            "cannot be read as a baseline (ValueError)",
        ),
        (json.dumps({"format": 1, "trace": "x", "masks": {}, "unreplayable": {}}), "the baseline of another trace"),
    ],
)
def test_bad_file(trace: Trace, tmp_path: Path, text: str | None, reason: str) -> None:
    """A file that is missing, of another form or of another trace is refused, with what to do."""
    path = tmp_path / "t.masks.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BaselineError) as caught:
        read_baseline(path, trace)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "; make it with `caliper-matrix" in str(caught.value)


def test_self_replay(trace: Trace) -> None:
    """What replays on the recorded release is counted by tier, and each other call is told with its reason."""
    scores = self_replay.score([Judge(trace, {}, {2: "takes a closure"})])["default"]
    assert (scores["boundary"]["numerator"], scores["boundary"]["denominator"]) == (1, 2)
    assert scores["made"] == 1
    (left,) = scores["left"]
    assert (left["tier"], left["reason"], left["calls"]) == ("boundary", "takes a closure", 1)

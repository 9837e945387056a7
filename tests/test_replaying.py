"""Replays: a recorded suite on the package that it was recorded on, and on one that differs in every way."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from recorded import make_environment

from matrix.agent.contents import held
from matrix.baseline import compare_runs
from matrix.judging import Judge, sort_reports
from matrix.recording import in_memory, record_command
from matrix.replaying import ReplayError, replay_release, replay_trace
from matrix.subject import Subject
from matrix.trace import Event, Trace, TraceError, read_trace, write_trace

FIXTURE = Path(__file__).parent / "fixtures" / "gauge"
COMMAND = (
    "python",
    "-m",
    "pytest",
    "-q",
    "-p",
    "no:cacheprovider",
    "test_gauge.py",
    "test_helped.py",
    "test_started.py",
)
SUBJECT = Subject("gauge", ("gauge",), COMMAND, loops=20)


@dataclass(frozen=True)
class Recorded:
    """The suite's trace, and the Python that it was recorded in."""

    python: Path
    path: Path
    trace: Trace

    def judge(self, overlay: str) -> tuple[Mapping[str, tuple[str, str]], Mapping[str, str]]:
        """Replay on a version of the package; return (verdict, detail) by function, and works or fails by test."""
        replay = replay_trace(
            SUBJECT, overlay, self.python, self.path, self.trace, also=None, overlay=FIXTURE / overlay
        )
        calls, tests = Judge(self.trace).rows(overlay, sort_reports(replay.reports))
        verdicts = {f"{row.test.partition('::')[2]} {row.function}": (row.verdict, row.detail) for row in calls}
        return verdicts, {row.test.partition("::")[2]: row.gated for row in tests}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Record the suite on the new version of the package."""
    folder = tmp_path_factory.mktemp("gauge")
    python = make_environment(folder / "venv", "3.11", "pytest>=9")
    site = next((folder / "venv").glob("lib/python*/site-packages"))
    (site / "gauge.pth").write_text(f"{FIXTURE / 'new'}\n", encoding="utf-8")
    work = folder / "work"
    work.mkdir()
    for file in (FIXTURE / "suite").glob("*.py"):
        (work / file.name).write_text(file.read_text(), encoding="utf-8")
    before = Path.cwd()
    os.chdir(work)
    try:
        recording = record_command(SUBJECT, str(python), folder / "gauge.trace.jsonl.gz", SUBJECT.command)
    finally:
        os.chdir(before)
    assert recording.status == 0
    return Recorded(python, folder / "gauge.trace.jsonl.gz", read_trace(folder / "gauge.trace.jsonl.gz"))


@pytest.fixture(scope="module")
def verdicts(recorded: Recorded) -> Mapping[str, tuple[str, str]]:
    """Return the verdicts on the old version."""
    return recorded.judge("old")[0]


def test_replays_on_the_recorded_release_are_all_ok_every_time(recorded: Recorded) -> None:
    """Three replays on the version that was recorded give ``ok`` for each call but one, and need no mask."""
    runs = [
        sort_reports(replay_trace(SUBJECT, "new", recorded.python, recorded.path, recorded.trace, also=None).reports)
        for _ in range(3)
    ]
    baseline = compare_runs(recorded.trace, *runs)
    assert list(baseline.unreplayable.values()) == ["ArgumentParser.format_usage of another package"]
    assert baseline.masks == {}


@pytest.mark.parametrize(
    ("call", "verdict", "detail"),
    [
        ("test_same gauge.same", "ok", ""),
        ("test_differs gauge.Dial.read", "differs", "'note': 'old'"),
        ("test_missing_method gauge.Dial.fresh", "missing", "Dial has no fresh"),
        ("test_missing gauge.gone", "missing", "gauge has no gone"),
        ("test_signature gauge.renamed", "signature", "places"),
        ("test_shifted gauge.swapped", "shifted", "first lands on second"),
        ("test_changed gauge.answers", "changed", "6 == 4"),
        ("test_raised gauge.refuses", "raised", "KeyError"),
        ("test_crash gauge.exits", "crash", ""),
        ("test_crash gauge.same", "ok", ""),
        ("test_timeout gauge.hangs", "timeout", ""),
        ("test_timeout gauge.same", "ok", ""),
        ("test_effect gauge.writes", "changed", "out.txt"),
        ("test_blocked gauge.Late.__init__", "raised", "too early"),
        ("test_blocked gauge.Late.use", "blocked", "gauge.Late.__init__"),
        ("test_asked_otherwise gauge.asks", "unreplayable", "does not hold"),
        ("test_generator gauge.count", "ok", ""),
        ("test_coroutine gauge.later", "ok", ""),
        ("test_environment gauge.variable", "ok", ""),
        ("test_sorts gauge.sorts", "changed", "args/items"),
        ("test_sorts_what_nobody_reads gauge.sorts", "ok", ""),
        ("test_waits gauge.waits", "changed", "< 5 no longer holds"),
        ("test_waits_unseen gauge.waits", "ok", ""),
        ("test_inner gauge.deep", "crash", ""),
        ("test_inner gauge.same", "ok", ""),
        ("test_inner_again gauge.deep", "crash", ""),
        ("test_inner_again gauge.same", "ok", ""),
        ("test_wrapped gauge.wrapped", "unreplayable", "resumed in a way that the recording does not hold"),
        ("test_built gauge.<generated>.__init__", "changed", "4 == 3 no longer holds"),
        ("test_marked gauge.marks.<locals>.mark", "ok", ""),
        ("test_warned gauge.deprecated", "changed", "does not warn as the caller awaits"),
        ("test_packs gauge.stamp", "ok", ""),
        ("test_parses gauge.named", "ok", ""),
        ("test_small gauge.small", "changed", "4 == 3"),
        ("test_small_again gauge.small", "differs", "4"),
        ("test_awaited gauge.soon", "changed", "4 == 3"),
        ("test_number gauge.grade", "ok", ""),
        ("test_file gauge.loads", "ok", ""),
        ("test_guard gauge.Guard.__exit__", "ok", ""),
        ("test_closure gauge.counted.<locals>.again", "ok", ""),
        ("test_twice_made gauge.Pair.__init__", "ok", ""),
        ("test_literal gauge.day", "ok", ""),
        ("test_zone gauge.offset", "ok", ""),
        ("test_library gauge.nested", "ok", ""),
        ("test_pickled gauge.Card.shout", "changed", "'A!!' == 'A' no longer holds"),
        ("test_copied gauge.Sheet.__init__", "ok", ""),
        ("test_handed gauge.tells", "ok", ""),
        ("test_special gauge.Count.plain", "ok", ""),
        ("test_spread gauge.options", "ok", ""),
        ("test_parses gauge.usage", "unreplayable", "ArgumentParser.format_usage of another package"),
        ("test_either[True] gauge.Dial.__init__", "changed", "'mm' == 'cm' no longer holds"),
        ("test_either[False] gauge.Dial.__init__", "ok", ""),
        ("test_goes_on gauge.series", "raised", "going on: raises LookupError: no more"),
        ("test_goes_on_less gauge.fading", "changed", "going on: "),
        ("test_goes_on_otherwise gauge.fuller", "differs", "going on: "),
        ("test_goes_through gauge.fuller", "changed", "going on: "),
        ("test_holds gauge.held", "ok", ""),
        ("test_leaves gauge.left", "raised", "going on: raises LookupError: cannot leave"),
        ("test_holds_plainly gauge.plainly", "raised", "context manager protocol"),
    ],
)
def test_each_difference_has_its_verdict(
    verdicts: Mapping[str, tuple[str, str]], call: str, verdict: str, detail: str
) -> None:
    """What the old version does differently is told as what it is, with the reason."""
    assert verdicts[call][0] == verdict
    assert detail in verdicts[call][1]


def test_what_a_module_keeps_between_the_tests_of_a_file_is_there(verdicts: Mapping[str, tuple[str, str]]) -> None:
    """A test finds what an earlier one of its file left in the package, as in the suite."""
    assert [verdicts[f"{test} gauge.turn"] for test in ("test_turn", "test_turn_again")] == [("ok", ""), ("ok", "")]


def test_a_test_works_if_its_calls_do(recorded: Recorded) -> None:
    """Tests whose calls work are told apart from those that fail, and from those that nobody can tell."""
    _, tests = recorded.judge("old")
    assert {name for name, grade in tests.items() if grade == "works"} == {
        "test_same",
        "test_differs",
        "test_generator",
        "test_coroutine",
        "test_environment",
        "test_sorts_what_nobody_reads",
        "test_waits_unseen",
        "test_inner",
        "test_inner_again",
        "test_marked",
        "test_packs",
        "test_parses",
        "test_small_again",
        "test_number",
        "test_many_times",
        "test_file",
        "test_guard",
        "test_closure",
        "test_twice_made",
        "test_literal",
        "test_zone",
        "test_library",
        "test_spread",
        "test_special",
        "test_patches_what_may_be_there",
        "test_deletes_what_may_be_there",
        "test_mocks_what_may_be_there",
        "test_assigns",
        "test_goes_on_otherwise",
        "test_holds",
        "test_either[False]",
    }
    assert tests["test_asked_otherwise"] == "unknown"
    assert tests["test_copied"] == "fails"  # by the copy, which is made without a call of the subject's
    assert tests["test_handed"] == "fails"  # by what is in the list, that the caller's own method put there


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("test_patches_what_has_to_be_there", "no attribute 'extra'"),
        ("test_patches_a_method_of_its_own", "no attribute 'fresh'"),
        ("test_deletes_what_has_to_be_there", "no attribute 'extra'"),
        ("test_mocks_what_has_to_be_there", "no attribute 'extra'"),
    ],
)
def test_a_patch_of_what_is_not_there_fails(recorded: Recorded, test: str, reason: str) -> None:
    """Where who patched raises then: all calls work, and the test does not."""
    replay = replay_trace(
        SUBJECT, "old", recorded.python, recorded.path, recorded.trace, also=None, overlay=FIXTURE / "old"
    )
    calls, tests = Judge(recorded.trace).rows("old", sort_reports(replay.reports))
    assert {row.verdict for row in calls if row.test.endswith(f"::{test}")} <= {"ok", "differs"}
    assert [row.gated for row in tests if row.test.endswith(f"::{test}")] == ["fails"]
    assert reason in " ".join(str(report.get("detail")) for report in replay.reports if "read" in report)


def test_what_a_module_of_the_suite_imports_counts_for_the_files_that_import_it(recorded: Recorded) -> None:
    """A suite's own module is no import that a release may lack, but what it imports of the release is."""
    events = [event for event in recorded.trace.events if event["e"] == "import" and event["file"] == "test_helped.py"]
    imports = [event for event in events if "own" not in event]
    assert [(event["module"], event["names"]) for event in imports] == [("gauge", []), ("gauge", ["newest"])]
    assert recorded.judge("new")[1]["test_helped"] == "works"
    assert recorded.judge("old")[1]["test_helped"] == "fails"


def test_what_a_module_of_the_suite_calls_counts_for_the_files_that_import_it(recorded: Recorded) -> None:
    """One that cannot be loaded because a call at its top fails takes those with it."""
    assert {"own": "starting.py", "file": "test_started.py"}.items() <= next(
        event for event in recorded.trace.events if event.get("own") == "starting.py"
    ).items()
    assert recorded.judge("new")[1]["test_started"] == "works"
    assert recorded.judge("old")[1]["test_started"] == "fails"


def test_a_call_in_a_loop_is_recorded_so_often_and_no_oftener(recorded: Recorded) -> None:
    """Of a call that a test makes a thousand times at one place, those are kept that the subject's file asks for."""
    events = [event for test, event in recorded.trace.calls() if test.endswith("test_many_times")]
    assert len(events) == 2 * 20
    assert recorded.trace.end["counts"]["gauge.same"][1] > 1000


def test_a_trace_that_is_cut_off_is_refused(recorded: Recorded, tmp_path: Path) -> None:
    """A release is not judged by half a trace."""
    half = tmp_path / "half.trace.jsonl.gz"
    half.write_bytes(recorded.path.read_bytes()[:-200])
    with pytest.raises(TraceError, match="cut off"):
        replay_release(SUBJECT, "new", recorded.python, [half], also=None, checked=tmp_path / "checked")


def test_a_python_that_does_not_start_is_named(recorded: Recorded, tmp_path: Path) -> None:
    """An environment that is gone is told in one line."""
    with pytest.raises(ReplayError, match="does not start"):
        replay_release(SUBJECT, "new", tmp_path / "python", [recorded.path], also=None, checked=tmp_path / "checked")


def test_all_traces_of_a_release_are_at_work_together(recorded: Recorded, tmp_path: Path) -> None:
    """Each gives what it gives alone."""
    checked = tmp_path / "checked"
    alone = replay_release(SUBJECT, "old", recorded.python, [recorded.path], also=None, checked=checked)
    other = tmp_path / "other.trace.jsonl.gz"
    header = {name: value for name, value in recorded.trace.header.items() if name != "trace"}
    lines = [*blobs(recorded.trace), *recorded.trace.definitions, *recorded.trace.events, recorded.trace.end]
    write_trace(other, {**header, "profile": "other"}, lines)
    both = replay_release(SUBJECT, "old", recorded.python, [recorded.path, other], also=None, checked=checked)
    assert list(both) == ["default", "other"]
    assert as_rows(recorded.trace, both["other"]) == as_rows(recorded.trace, alone["default"])


def blobs(trace: Trace) -> list[Event]:
    """Return the lines of the contents of a trace."""
    return [{"def": "blob", "id": digest, **held(data)} for digest, data in trace.blobs.items()]


def as_rows(trace: Trace, profile: Mapping[str, Any]) -> list[str]:
    """Return the verdict of each call."""
    return [row.verdict for row in Judge(trace).rows("old", sort_reports(profile["reports"]))[0]]


def test_small_files_are_made_in_memory_unless_it_is_said_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a folder has room; TMPDIR is heard, and a folder that is not there is none."""
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr("matrix.recording.ROOM", 1)
    assert in_memory(tmp_path) == tmp_path
    assert in_memory(tmp_path / "none") is None
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert in_memory(tmp_path) is None
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr("matrix.recording.ROOM", 1 << 62)
    assert in_memory(tmp_path) is None


def test_nothing_is_left_in_the_temporary_folder(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay removes its scratch folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    replay_trace(SUBJECT, "new", recorded.python, recorded.path, recorded.trace, also=None)
    assert list(tmp_path.iterdir()) == []

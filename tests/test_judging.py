"""A trace and the agent's reports give rows: a verdict per call, works, fails or unknown per test."""

from pathlib import Path
from typing import Any

import pytest
from lines import END, HEADER, Line, begins, call, check, pack

from matrix.judging import Judge, gates, sort_reports, stable
from matrix.trace import Trace, read_trace

TEST, OTHER, SKIPPED = (f"tests/sub/test_a.py::test_{name}" for name in ("one", "two", "skipped"))
LINES: list[Line] = [
    begins(TEST),
    call(1, result=1),
    check({"op": "==", "args": [{"v": {"$ref": 1}}, {"v": 1}]}, 1),
    call(2, result=[1], tier="inner", within=1, n=1),
    begins(OTHER),
    {"e": "read", "path": "pkg:X"},
    call(3, result=[3]),
    {"e": "check", "calls": [3], "whole": True, "why": "a format"},
    begins(SKIPPED),
    call(4, result=4),
]
ENDING = {**END, "tests": {TEST: "passed", OTHER: "passed", SKIPPED: "skipped"}}
FINE: list[dict[str, Any]] = [
    {"test": TEST},
    {"call": 1, "outcome": {"return": 1}},
    {"check": 2, "calls": [1], "held": True},
    {"call": 2, "outcome": {"return": [1]}},
    {"test": OTHER},
    {"call": 3, "outcome": {"return": [3]}},
    {"test": SKIPPED},
    {"call": 4, "outcome": {"return": 4}},
]


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Return a trace of three tests, one of which did not pass."""
    return read_trace(pack(tmp_path / "t.gz", [HEADER, *LINES, ENDING]))


def grades(trace: Trace, *changes: dict[str, Any], **options: Any) -> dict[str, tuple[str, str]]:  # noqa: ANN401 # a judge's
    """Return (gated, ungated) of each test, with some reports replaced by (or added to) others about the same."""
    judge = Judge(trace, **options)
    _, tests = judge.rows("1.0", sort_reports(replaced(*changes)))
    return {row.test: (row.gated, row.ungated) for row in tests}


def replaced(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the reports with those of the changed calls put in the place of the old ones."""
    made: list[dict[str, Any]] = []
    for report in FINE:
        place = [change for change in changes if "call" in report and change.get("call") == report["call"]]
        made += place or [report]
        made += [change for change in changes if change.get("after") == report.get("test", 0)]
    return made


def verdicts(trace: Trace, *changes: dict[str, Any], **options: Any) -> dict[int, tuple[str, str]]:  # noqa: ANN401 # a judge's
    """Return (verdict, detail) of each call."""
    calls, _ = Judge(trace, **options).rows("1.0", sort_reports(replaced(*changes)))
    return {row.call: (row.verdict, row.detail) for row in calls}


def test_all_fine(trace: Trace) -> None:
    """Where all is as recorded, every call is ok and every test works; a test that did not pass says nothing."""
    assert set(verdicts(trace).values()) == {("ok", "")}
    assert grades(trace) == {TEST: ("works", "works"), OTHER: ("works", "works")}


def test_rows(trace: Trace) -> None:
    """A row holds release, profile, test, call, tier and function."""
    calls, tests = Judge(trace).rows("1.0", sort_reports(FINE))
    assert [(row.release, row.profile, row.test, row.call, row.tier, row.function) for row in calls][1] == (
        "1.0", "default", TEST, 2, "inner", "pkg.f",
    )  # fmt: skip
    assert (tests[0].test, tests[0].profile, tests[0].release) == (TEST, "default", "1.0")


def test_failing_call(trace: Trace) -> None:
    """A call that does not work fails its test, and no other."""
    missing = {"call": 1, "verdict": "missing", "detail": "pkg has no f"}
    assert verdicts(trace, missing)[1] == ("missing", "pkg has no f")
    assert grades(trace, missing) == {TEST: ("fails", "fails"), OTHER: ("works", "works")}


def test_inner_call(trace: Trace) -> None:
    """An inner call is judged, but is no part of what its test sees."""
    changed = {"call": 2, "outcome": {"return": [2]}}
    assert verdicts(trace, changed)[2][0] == "differs"
    assert grades(trace, {"call": 2, "verdict": "missing"})[TEST] == ("works", "works")


def test_failed_check(trace: Trace) -> None:
    """A check that no longer holds changes the last call that it is about, and fails the test."""
    failed = {"after": TEST, "check": 2, "calls": [3, 1], "held": False, "detail": "2 == 1 no longer holds"}
    assert verdicts(trace, failed)[1] == ("changed", "the caller's check fails: 2 == 1 no longer holds")
    assert grades(trace, failed)[TEST] == ("fails", "fails")


def test_check_of_no_call(trace: Trace) -> None:
    """A check that is about no call fails the test alone."""
    failed = {"after": OTHER, "check": 2, "calls": [], "held": False}
    assert {verdict for verdict, _ in verdicts(trace, failed).values()} == {"ok"}
    assert grades(trace, failed)[OTHER] == ("fails", "fails")


def test_whole(trace: Trace) -> None:
    """A result that was looked at in a way that no check expresses is compared whole; others are not."""
    assert verdicts(trace, {"call": 3, "outcome": {"return": [4]}})[3][0] == "changed"
    assert verdicts(trace, {"call": 1, "outcome": {"return": 4}})[1][0] == "differs"


def test_failed_read(trace: Trace) -> None:
    """A read of what is not there fails the test."""
    read = {"after": OTHER, "read": "pkg:X", "verdict": "missing", "detail": "pkg has no X"}
    assert grades(trace, read)[OTHER] == ("fails", "fails")


def test_unknown(trace: Trace) -> None:
    """A test with nothing but an unreplayable call against it is unknown; one that fails anyhow fails."""
    unreplayable = {"call": 1, "verdict": "unreplayable", "detail": "a socket"}
    assert grades(trace, unreplayable)[TEST] == ("unknown", "unknown")
    failed = {"after": TEST, "check": 2, "calls": [], "held": False}
    assert grades(trace, unreplayable, failed)[TEST] == ("fails", "fails")


def test_broken_replay(trace: Trace) -> None:
    """A test whose replay broke off is unknown."""
    assert grades(trace, {"after": TEST, "trouble": "Traceback"})[TEST] == ("unknown", "unknown")
    assert grades(trace, {"after": TEST, "broken": TEST, "detail": "crash"})[TEST] == ("unknown", "unknown")


def test_not_reached(trace: Trace) -> None:
    """A call that the replay said nothing of is unreplayable."""
    calls, _ = Judge(trace).rows("1.0", sort_reports([]))
    assert {row.verdict for row in calls} == {"unreplayable"}


def test_baseline(trace: Trace) -> None:
    """What is not ok on the recorded release is unreplayable everywhere; what is noise is masked."""
    changed = {"call": 3, "outcome": {"return": [4]}}
    assert verdicts(trace, changed, unreplayable={3: "noise"})[3] == ("unreplayable", "noise")
    assert verdicts(trace, changed, masks={3: ["outcome/return/0"]})[3] == ("ok", "")


def test_blocked(trace: Trace) -> None:
    """A blocked call names what it needs."""
    blocked = {"call": 3, "verdict": "blocked", "detail": "pkg.f (call 1)", "by": 1}
    assert verdicts(trace, blocked)[3] == ("blocked", "needs pkg.f (call 1)")


@pytest.mark.parametrize(
    ("file", "gated"),
    [
        ("tests/sub/test_a.py", "fails"),
        ("tests/sub/conftest.py", "fails"),
        ("tests/conftest.py", "fails"),
        ("conftest.py", "fails"),
        ("tests/sub/test_b.py", "works"),
        ("tests/other/conftest.py", "works"),
    ],
)
def test_gate(trace: Trace, file: str, gated: str) -> None:
    """A failed import at the top of a test's file, or of a conftest above it, fails the test as pytest does."""
    failed = {
        "after": TEST,
        "import": 1,
        "file": file,
        "verdict": "missing",
        "detail": "",
        "optional": False,
        "subject": True,
    }
    assert grades(trace, failed)[TEST] == (gated, "works")
    assert grades(trace, {**failed, "optional": True})[TEST] == ("works", "works")


def test_gates() -> None:
    """A test is gated by its own file and by each folder above it."""
    assert gates("a/b/test_c.py::test_d") == ["a/b/test_c.py", "a/conftest.py", "a/b/conftest.py", "conftest.py"]


def test_not_installed(trace: Trace) -> None:
    """A release that can't be installed has that verdict for each call, and says nothing of tests."""
    calls, tests = Judge(trace).not_installed("1.0", "does not build")
    assert {(row.verdict, row.detail) for row in calls} == {("install-error", "does not build")}
    assert {(row.gated, row.ungated) for row in tests} == {("unknown", "unknown")}


def test_a_check_on_a_call_that_does_not_replay_at_all_says_nothing(trace: Trace) -> None:
    """What no longer holds of a call that is not ``ok`` on the recorded release itself makes a test unknown."""
    failed = {"after": TEST, "check": 2, "calls": [1], "held": False, "detail": "2 == 1 no longer holds"}
    assert grades(trace, failed)[TEST] == ("fails", "fails")
    assert grades(trace, failed, unreplayable={1: "a closure"})[TEST] == ("unknown", "unknown")


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        ("131.1744827270004 < 5 no longer holds", "{number} < 5 no longer holds"),
        ("1.25 == 1.5 no longer holds", "1.25 == 1.5 no longer holds"),
        (f"sha256:{'0a' * 32} is gone", "sha256:{digest} is gone"),
        ("'x' in ['sha256:0a... no longer holds", "'x' in ['sha256:{digest}... no longer holds"),
        ("<Thing at 0x7f3c2a91be50>", "<Thing at {digest}>"),
        ("{tmp}/oras.k3j_x9aa.json is not there", "{tmp}/oras.{random}.json is not there"),
    ],
)
def test_reasons_are_the_same_in_every_run(detail: str, told: str) -> None:
    """Times that passed, digests, also short ones, addresses and temporary names are taken out of reasons."""
    assert stable(detail) == told

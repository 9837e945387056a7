"""What really became of recorded calls on another release, and the score of the replay against that."""

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from indexes import Index, wheel
from suites import AS_OF, tools

from matrix import cli, environment, installer
from matrix.call_truth import (
    AWAITS,
    DIED,
    NO_TEST,
    NOT_CHECKED,
    NOT_REACHED,
    NOT_SEEN,
    OTHER_ARGUMENTS,
    STEPS,
    UNKNOWN_AT_HOME,
    CallScores,
    CallsError,
    find_happened,
)
from matrix.index import fetch_releases
from matrix.judging import Judge
from matrix.releases import write_releases
from matrix.rows import CallRow
from matrix.staleness import PRESENT
from matrix.trace import Trace

Event = dict[str, Any]

FIXTURE = Path(__file__).parent / "fixtures" / "gauge"
SUBJECT = f"""
name = "gauge"
python = "{PRESENT}"
suite = "gauge/tests"
command = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "gauge/tests"]
test-requires = ["pytest"]
"""


def suite() -> str:
    """Return the suite of the fixture, without the test that computes without end: truth would wait for it."""
    head, _, rest = (FIXTURE / "suite" / "test_gauge.py").read_text().partition("def test_timeout")
    return head + rest[rest.index("def test_effect") :]


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a subject, its trace, its results and its truth."""

    folder: Path

    @property
    def scores(self) -> dict[str, Any]:
        """The scores of calls."""
        scores: dict[str, Any] = json.loads((self.folder / "results" / "gauge" / "accuracy.json").read_bytes())["calls"]
        return scores

    def truth(self, *options: str) -> int:
        """Run the command."""
        return cli.main(["truth", "--subject", "gauge.toml", "--jobs", "2", *options])

    def rewrite(self, change: Mapping[tuple[str, str, str], str]) -> None:
        """Give calls on release 1.0 other verdicts, by test, function and verdict."""
        path = self.folder / "results" / "gauge" / "calls.csv.gz"
        with gzip.open(path, "rt", newline="") as file:
            header, *rows = csv.reader(file)
        for row in rows:
            test, function, verdict = row[2].rpartition("::")[2], row[5], row[6]
            if row[0] == "1.0":
                row[6] = change.get((test, function, verdict), verdict)
        with gzip.open(path, "wt", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Record the suite on 2.0, judge both releases by it, and stay in the folder."""
    folder = tmp_path_factory.mktemp("gauge")
    sources = {number: (FIXTURE / age / "gauge" / "__init__.py").read_text() for number, age in AGES.items()}
    tests = {"gauge/tests/__init__.py": "", "gauge/tests/test_gauge.py": suite()}
    files = [wheel("gauge", number, {"gauge/__init__.py": text, **tests}) for number, text in sources.items()]
    with pytest.MonkeyPatch.context() as monkeypatch, Index([*files, *tools()]) as index:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.address)
        monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv-cache"))
        (folder / "gauge.toml").write_text(SUBJECT)
        listed = fetch_releases("gauge", AS_OF, index.address)
        write_releases(folder / "traces" / "gauge.releases.json", listed)
        recorder = folder / "recorder"
        installer.make_environment(recorder, PRESENT)
        python = environment.read_environment(recorder).python
        installer.install(["gauge==2.0", "pytest"], python=python, as_of=listed.as_of)
        trace = "traces/gauge-2.0-default.trace.jsonl.gz"
        assert cli.main(["record", "--subject", "gauge.toml", "--python", str(python), "-o", trace]) == cli.FINE
        for number in AGES:
            command = ["release", number, "--subject", "gauge.toml", "--venv", str(folder / number)]
            assert cli.main(command) == cli.FINE
        assert cli.main(["matrix", "--subject", "gauge.toml"]) == cli.FINE
        assert Place(folder).truth() == cli.FINE
        yield Place(folder)


AGES = {"1.0": "old", "2.0": "new"}


@pytest.mark.slow
def test_replays_agree_with_what_really_happened(place: Place) -> None:
    """Each call that the suite makes on the old release has the verdict that the replay gave it there."""
    scores = place.scores
    assert scores["disagreements"] == []
    assert scores["agree"]["share"] == scores["same_verdict"]["share"] == 1
    # After a crash, and on objects that could not be made.
    assert scores["without_truth"].keys() == {NOT_REACHED, OTHER_ARGUMENTS, AWAITS, STEPS, UNKNOWN_AT_HOME}
    assert scores["without_truth"][OTHER_ARGUMENTS] == 1  # what `pickle` constructs of what was made otherwise
    assert 2 <= scores["without_truth"][NOT_REACHED] <= 8
    unknown = scores["unknown"]["numerator"]  # what a callback would answer to something else
    assert unknown == 2
    with gzip.open(place.folder / "results" / "gauge" / "calls.csv.gz", "rt", newline="") as file:
        outside = sum(row[4] == "boundary" for row in csv.reader(file))
    assert scores["agree"]["denominator"] == outside - unknown - sum(scores["without_truth"].values())


@pytest.mark.slow
def test_a_wrong_verdict_is_listed(place: Place) -> None:
    """A replay that takes a broken call for a working one, or the reverse, is told with both reasons."""
    wrong = {("test_raised", "gauge.refuses", "raised"): "ok", ("test_same", "gauge.same", "ok"): "blocked"}
    place.rewrite(wrong)
    assert place.truth() == cli.FINE
    found = {item["function"]: item for item in place.scores["disagreements"]}
    assert {name: (item["replayed"], item["truth"]) for name, item in found.items()} == {
        "gauge.refuses": ("ok", "raised"),
        "gauge.same": ("blocked", "ok"),
    }
    assert "KeyError" in found["gauge.refuses"]["happened"]
    assert (place.scores["false_works"]["numerator"], place.scores["false_fails"]["numerator"]) == (1, 1)
    place.rewrite({(test, function, new): old for (test, function, old), new in wrong.items()})
    assert place.truth() == cli.FINE
    assert place.scores["disagreements"] == []


@pytest.mark.slow
def test_without_calls_there_is_nothing_to_compare(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """The calls of the results are not committed: where they are not there, the command says how to make them."""
    path = place.folder / "results" / "gauge" / "calls.csv.gz"
    kept = path.read_bytes()
    path.unlink()
    assert place.truth() == cli.FINE
    assert "no calls.csv.gz" in capsys.readouterr().out
    path.write_bytes(kept)


# In short: one test that calls `make(1)` and then `use(…)` on what that gave, and looks at the result.


def call(ident: int, access: Mapping[str, Any], *values: object, outcome: object = None, **more: object) -> Event:
    """Return an event of a call."""
    args = [{"name": f"p{index}", "form": "positional", "value": value} for index, value in enumerate(values)]
    made = {"e": "call", "id": ident, "tier": "boundary", "function": f"pkg.f{ident}", "module": "pkg", "qualname": "f"}
    return {
        **made,
        "kind": "function",
        "access": access,
        "args": args,
        "usage": "checked",
        "outcome": outcome or {"return": 1},
        **more,
    }


MAKE, USE = {"path": "pkg:make"}, {"receiver": {"$ref": 1}, "name": "use"}
CHECK = {"e": "check", "calls": [2], "tree": {"op": "==", "args": [{"v": {"$ref": 2}}, {"v": 1}]}}
RECORDED: list[Event] = [{"e": "test", "id": "t"}, call(1, MAKE, 1), call(2, USE, "a"), CHECK]


def failed(kind: str, statement: str, *names: str) -> Event:
    """Return the event of a test's failure."""
    return {
        "e": "failed",
        "test": "t",
        "type": kind,
        "text": f"{kind}: why",
        "statement": statement,
        "names": list(names),
    }


def judge_of(events: list[Event], definitions: list[Event]) -> Judge:
    """Return what judges by a trace."""
    return Judge(Trace({"profile": "p", "release": "2"}, {}, definitions, events, {"tests": {"t": "passed"}}))


def verdicts(*happened: Event, recorded: list[Event] = RECORDED, definitions: list[Event] | None = None) -> list[str]:
    """Return, for each recorded call, its verdict by what happened, or why there is none."""
    judge = judge_of(recorded, definitions or [])
    found = find_happened(judge, ["t"], [{"e": "test", "id": "t"}, *happened], [])
    scores = CallScores()
    rows = {event["id"]: CallRow("1", "p", "t", event["id"], "boundary", event["function"], "ok", "")
            for _, event in judge.trace.calls()}  # fmt: skip
    scores.add(judge, found, rows)
    truth = {one.row.call: one.truth for one in scores.verdicts}
    left = [found.without.get(ident, NOT_CHECKED) for ident in rows if ident not in truth]
    assert sorted(scores.without.elements()) == sorted(left)
    return [truth.get(ident) or found.without.get(ident, NOT_CHECKED) for ident in rows]


def used(ident: int, *values: object, **more: object) -> Event:
    """Return the second call, with the object that call 7 gave."""
    return call(ident, {"receiver": {"$ref": 7}, "name": "use"}, *values, **more)


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        ([call(7, MAKE, 1), used(9, "a"), CHECK], ["ok", "ok"]),
        ([call(7, MAKE, 1), used(9, "b"), CHECK], ["ok", OTHER_ARGUMENTS]),
        ([call(7, MAKE, 1), call(9, USE, "a"), CHECK], ["ok", OTHER_ARGUMENTS]),
        (
            [call(7, MAKE, 1), used(9, "a", outcome={"return": 2}), failed("AssertionError", "Assert")],
            ["ok", "changed"],
        ),
        ([call(7, MAKE, 1), used(9, "a", outcome={"return": 2})], ["ok", "differs"]),
        ([call(7, MAKE, 1), failed("AttributeError", "Assign", "use")], ["ok", "missing"]),
        ([call(7, MAKE, 1), failed("TypeError", "Assign", "use")], ["ok", "signature"]),
        ([call(7, MAKE, 1), failed("KeyError", "Assign", "use")], ["ok", "raised"]),
        ([call(7, MAKE, 1), failed("AttributeError", "Assign", "another")], ["ok", NOT_REACHED]),
        ([call(7, MAKE, 1), failed(DIED, "")], ["ok", "crash"]),
        ([call(7, MAKE, 1)], ["ok", NOT_SEEN]),
        ([failed("MissingImportError", "Assign", "make")], ["missing", NOT_REACHED]),
        ([call(7, MAKE, 1), used(9, "a"), failed("KeyError", "Expr", "other")], ["ok", NOT_CHECKED]),
    ],
)
def test_what_happened_has_a_verdict_or_a_reason(happened: list[Event], expected: list[str]) -> None:
    """A call is judged by what it gave or by what the suite met in its place; what came later has no truth."""
    assert verdicts(*happened) == expected


def test_an_exception_is_what_the_caller_was_ready_for() -> None:
    """Another exception counts as the same where the caller catches it as well, and only if its text fits."""
    raised = {"type": "builtins:ValueError", "mro": ["builtins:Exception"], "args": ["negative"], "str": "negative"}
    other = {**raised, "type": "builtins:KeyError", "str": "no"}
    recorded = [{"e": "test", "id": "t"}, call(1, MAKE, outcome={"raise": raised}, expect=[EXPECTED])]
    assert verdicts(call(7, MAKE, outcome={"raise": raised}), recorded=recorded) == ["ok"]
    fits = {**other, "str": "negative as well"}
    assert verdicts(call(7, MAKE, outcome={"raise": fits}), recorded=recorded) == ["differs"]
    assert verdicts(call(7, MAKE, outcome={"raise": other}), recorded=recorded) == ["raised"]


EXPECTED = {"types": ["builtins:Exception"], "match": "^neg"}


def test_arguments_that_land_elsewhere_are_shifted() -> None:
    """A positional argument that another parameter takes, while its own is there, is what a replay calls shifted."""
    moved = call(7, MAKE, 1, 2)
    moved["args"] = [{**argument, "name": name} for argument, name in zip(moved["args"], ("p1", "p0"), strict=True)]
    recorded = [{"e": "test", "id": "t"}, call(1, MAKE, 1, 2)]
    assert verdicts(moved, recorded=recorded) == ["shifted"]


def test_a_decorated_method_is_the_one_that_was_spelled() -> None:
    """An object of the release's own that stands in for a method is matched by its caller's spelling."""
    stand_in = {"receiver": {"$opaque": "pkg:decorator"}, "name": "__call__"}
    asked = call(8, {"receiver": {"$opaque": "pkg:decorator"}, "name": "__get__"}, {"$ref": 7})
    made = call(9, stand_in, {"$ref": 7}, "a", site="use")
    assert verdicts(call(7, MAKE, 1), asked, made, CHECK) == ["ok", "ok"]


def test_a_function_of_the_callers_is_the_same_by_its_definition() -> None:
    """Numbers of stubs are renamed; one of another shape is another argument."""
    stub = {"def": "stub", "id": 3, "line": 7, "name": "callback", "names": ["value"], "defaults": [{"$ref": 1}]}
    recorded = [{"e": "test", "id": "t"}, call(1, MAKE, 1), call(2, MAKE, {"$stub": 3}, stubs=[{"stub": 3}])]
    theirs = {**stub, "id": 5, "line": 9, "defaults": [{"$ref": 7}]}
    happened = [call(7, MAKE, 1), theirs, call(9, MAKE, {"$stub": 5}, stubs=[{"stub": 5}])]
    assert verdicts(*happened, recorded=recorded, definitions=[stub]) == ["ok", "ok"]
    happened[1] = {**theirs, "names": ["other"]}
    assert verdicts(*happened, recorded=recorded, definitions=[stub]) == ["ok", OTHER_ARGUMENTS]


def test_a_shared_object_may_be_made_anew_for_each_file() -> None:
    """What one test made for others is the same as what the files made that ran by themselves."""
    recorded = [{"e": "test", "id": "first"}, call(1, MAKE, 1), {"e": "test", "id": "t"}, call(2, USE, "a")]
    assert verdicts(call(7, MAKE, 1), used(9, "a"), recorded=recorded) == [NO_TEST, "ok"]
    assert verdicts(call(7, MAKE, 2), used(9, "a"), recorded=recorded) == [NO_TEST, OTHER_ARGUMENTS]


def test_folders_of_pytest_are_the_same_in_each_process() -> None:
    """Each file has a process, whose folder pytest numbers anew."""
    recorded = [{"e": "test", "id": "t"}, call(1, MAKE, {"$tmpl": "{tmp}/pytest-of-me/pytest-0/t0/a.txt"})]
    happened = call(7, MAKE, {"$tmpl": "{tmp}/pytest-of-you/pytest-12/t0/a.txt"})
    assert verdicts(happened, recorded=recorded) == ["ok"]


def test_calls_of_another_trace_are_refused() -> None:
    """Results that were made with another trace are not compared with this one."""
    row = CallRow("1", "p", "t", 1, "boundary", "pkg.other", "ok", "")
    judge = judge_of(RECORDED, [])
    with pytest.raises(CallsError, match=r"call 1 of profile p is none of pkg.other"):
        CallScores().add(judge, find_happened(judge, ["t"], [], []), {1: row})

"""What really became of each recorded call on a release, and how well the replay's verdicts agree with that.

The suite was run there under the recorder (`matrix.observing`). A call that it made as on the recorded release is
judged by its real outcome, by the same function that judges replays (`matrix.verdict`).
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matrix.accuracy import share
from matrix.alignment import Event, Recorded, Renaming, align, passed, spelled, stands_in
from matrix.errors import CaliperError
from matrix.judging import Judge, Reports
from matrix.rows import NO, UNKNOWN, YES, CallRow, works

RUN = re.compile(r"\{tmp\}/pytest-of-[^/\"]+/pytest-\d+")
# Why a recorded call has no truth on a release.
NOT_REACHED, OTHER_ARGUMENTS, NOT_SEEN = "not reached", "other arguments", "not seen"
STEPS = "its caller goes on with it, which is not looked for"
AWAITS = "its caller awaits warnings, which the suite's own runner shows otherwise"
NOT_CHECKED = "what looks at it was not reached"
UNKNOWN_AT_HOME = "does not replay on the recorded release"
DISTURBED, NO_TEST = "ends otherwise under the recorder", "its test does not pass on the recorded release"
DIED = "the process died"  # in a call that never ended
# What an exception means that the suite itself raised in place of a call.
MEANING = {
    DIED: "crash",
    "TypeError": "signature",
    "AttributeError": "missing",
    "ImportError": "missing",
    "ModuleNotFoundError": "missing",
    "MissingImportError": "missing",
    "NameError": "missing",
}


class CallsError(CaliperError):
    """Judged calls that are not those of the trace."""

    def __init__(self, row: CallRow) -> None:
        """Name the first of them."""
        where = f"calls.csv.gz: call {row.call} of profile {row.profile}"
        super().__init__(f"{where} is none of {row.function} in the trace; run `caliper-matrix matrix` again")
        self.row = row


@dataclass(frozen=True, slots=True)
class Happened:
    """What became of the calls of a trace on one release: reports as a replay has them, or why there is none.

    Of the ``unchecked`` calls some checks were not reached.
    """

    reports: Reports = field(default_factory=Reports)
    without: dict[int, str] = field(default_factory=dict)
    unchecked: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A call's verdict by the replay and by what happened, with the reasons of both."""

    row: CallRow
    truth: str
    happened: str


@dataclass(slots=True)
class CallScores:
    """How verdicts of calls agree with what happened, over releases and profiles."""

    verdicts: list[Verdict] = field(default_factory=list)
    without: Counter[str] = field(default_factory=Counter)

    def add(self, judge: Judge, happened: Happened, replayed: Mapping[int, CallRow]) -> None:
        """Compare the calls of one release, by their numbers.

        Raises:
            CallsError: what was ``replayed`` are the calls of another trace.
        """
        for _, call, made in judge.calls(happened.reports):
            row = replayed.get(call["id"])
            if call["tier"] != "boundary" or row is None:
                continue
            if row.function != call["function"]:
                raise CallsError(row)
            reason = happened.without.get(call["id"], "")
            if works(made.verdict) == YES and call["id"] in happened.unchecked:
                reason = NOT_CHECKED
            elif works(made.verdict) == UNKNOWN:
                reason = reason or UNKNOWN_AT_HOME
            if reason:
                self.without[reason] += 1
            else:
                self.verdicts.append(Verdict(row, made.verdict, made.detail))

    def sort(self, releases: Sequence[str]) -> None:
        """Put the verdicts into the order of ``releases``, of profiles and of calls."""
        places = {release: place for place, release in enumerate(releases)}
        self.verdicts.sort(key=lambda one: (places[one.row.release], one.row.profile, one.row.call))

    def as_scores(self) -> dict[str, Any]:
        """Return the scores as JSON data: shares, why calls were left out, and each disagreement."""
        judged = [one for one in self.verdicts if works(one.row.verdict) != UNKNOWN]
        wrong = [one for one in judged if works(one.row.verdict) != works(one.truth)]
        falsely = Counter(works(one.row.verdict) for one in wrong)
        return {
            "agree": share(len(judged) - len(wrong), len(judged)),
            "false_works": share(falsely[YES], len(judged)),
            "false_fails": share(falsely[NO], len(judged)),
            "same_verdict": share(sum(one.row.verdict == one.truth for one in judged), len(judged)),
            "unknown": share(len(self.verdicts) - len(judged), len(self.verdicts)),
            "without_truth": dict(sorted(self.without.items())),
            "disagreements": [
                {
                    **{name: getattr(one.row, name) for name in ("test", "profile", "release", "call", "function")},
                    "replayed": one.row.verdict,
                    "truth": one.truth,
                    "reason": one.row.detail,
                    "happened": one.happened,
                }
                for one in wrong
            ],
        }


def find_happened(judge: Judge, passing: Iterable[str], events: Sequence[Event], disturbed: Iterable[str]) -> Happened:
    """Return what became of a trace's calls on a release where the suite was recorded as ``events``.

    Only calls of tests that are ``passing`` on the recorded release count, and not those of tests that are
    ``disturbed``.
    """
    lines = [*judge.trace.definitions, *judge.trace.events]
    ours, theirs = Recorded.of(lines), Recorded.of(in_folders_of(lines, seen(events)))
    failures = {event["test"]: event for event in reversed(events) if event.get("e") == "failed"}
    pairs = {test: align(ours.tests[test], theirs.tests.get(test, [])) for test in ours.tests}
    renaming = Renaming(ours, theirs)
    for test, places in pairs.items():
        for left, right in places.items():
            if ours.tests[test][left]["e"] == "call":
                renaming.pair(ours.tests[test][left], theirs.tests[test][right])
    made, known, left_out = Happened(), {*passing, ""}, set(disturbed)
    for test, places in pairs.items():
        if test not in known or test in left_out:
            reason = DISTURBED if test in left_out else NO_TEST
            made.without.update((event["id"], reason) for event in ours.tests[test] if event["e"] == "call")
            continue
        Story(test, ours.tests[test], theirs.tests.get(test, []), places, failures.get(test), renaming).tell(made)
    made.without.update((call["id"], AWAITS) for _, call in judge.trace.calls() if "awaits" in call)
    made.without.update(dict.fromkeys(judge.trace.steps(), STEPS))
    return made


def seen(events: Iterable[Event]) -> list[Event]:
    """Return the lines of a recording that a trace has as well."""
    return [event for event in events if event.get("e") not in ("failed", "end")]


def in_folders_of(lines: Sequence[Event], events: Sequence[Event]) -> list[Event]:
    """Return events with pytest's folders named as in ``lines``: it numbers them by run, and each file is one."""
    named = RUN.search(json.dumps(lines))
    found: list[Event] = json.loads(RUN.sub(named[0], json.dumps(events))) if named else list(events)
    return found


@dataclass(frozen=True, slots=True)
class Story:
    """One test as it was recorded, and as it went on another release: which events are which, and how it failed."""

    test: str
    recorded: Sequence[Event]
    happened: Sequence[Event]
    places: Mapping[int, int]
    failure: Event | None
    renaming: Renaming

    def tell(self, made: Happened) -> None:
        """Add what became of each call."""
        end = max(self.places, default=-1) + 1
        if self.failure is not None:
            left = [event["calls"] for event in self.recorded[end:] if event["e"] == "check"]
            made.unchecked.update(calls[-1] for calls in left if calls)
        for index, event in enumerate(self.recorded):
            here = self.failure is not None and index == end and self.failed_at(event)
            if event["e"] == "check":
                if here and event["calls"]:
                    made.reports.checks.setdefault(event["calls"][-1], []).append({"detail": self.text})
                continue
            if here:
                verdict = MEANING.get(self.failure["type"], "raised") if self.failure else ""
                made.reports.calls[event["id"]] = {"verdict": verdict, "detail": self.text}
            elif index not in self.places:
                made.without[event["id"]] = NOT_REACHED if self.failure is not None and index >= end else NOT_SEEN
            elif not self.renaming.given_alike(event, self.happened[self.places[index]]):
                made.without[event["id"]] = OTHER_ARGUMENTS
            else:
                made.reports.calls[event["id"]] = self.report(event, self.happened[self.places[index]])

    @property
    def text(self) -> str:
        """What the failure said, in one line."""
        return (str(self.failure["text"]) if self.failure else "").partition("\n")[0]

    def failed_at(self, event: Event) -> bool:
        """Say whether the test failed at an event: the first one that did not happen."""
        failure: Event = self.failure or {}
        if event["e"] == "check":
            return failure["statement"] == "Assert" or (failure["statement"], failure["type"]) == (
                "Expr",
                "AssertionError",
            )
        return failure["type"] == DIED or spelled(event) in failure["names"]

    def report(self, call: Event, real: Event) -> Event:
        """Return what a replay would report of a call that went as ``real``."""
        self.renaming.alike(call["outcome"], real["outcome"])  # so that what it names has its number here
        outcome = self.renaming.renamed(real["outcome"])
        if "raise" in outcome:
            outcome["raise"]["expected"] = any(is_expected(entry, outcome["raise"]) for entry in call.get("expect", []))
        called = [[{"$stub": stub["stub"]} for stub in made.get("stubs", [])] for made in (call, real)]
        self.renaming.alike(*called)
        stubs = [stub["$stub"] for stub in self.renaming.renamed(called[1])]
        made = {"outcome": outcome, "effects": self.renaming.renamed(real.get("effects", {})), "stubs": stubs}
        return {**made, "shifted": shifted(call, real)}


def shifted(call: Event, real: Event) -> str:
    """Return which positional arguments landed on another parameter while their own exists."""
    if stands_in(real):
        return ""  # and takes what it is given as it comes
    names = {argument["name"] for argument in real["args"]}
    pairs = zip(passed(call), passed(real), strict=False)
    moved = [(ours["name"], theirs["name"]) for ours, theirs in pairs if ours["name"] != theirs["name"]]
    return ", ".join(f"{ours} lands on {theirs}" for ours, theirs in moved if ours in names)


def is_expected(entry: Event, raised: Event) -> bool:
    """Say whether an exception is one that the caller was ready to catch."""
    if entry["types"] and not {raised["type"], *raised["mro"]} & set(entry["types"]):
        return False
    shown = raised.get("str", " ".join(map(str, raised["args"])))
    text = shown.get("$tmpl", "") if isinstance(shown, dict) else shown
    return entry.get("match") is None or re.search(entry["match"], text) is not None

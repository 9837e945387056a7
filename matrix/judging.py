"""A trace and what the agent reported of it → rows: a verdict per call, works or fails per test."""

import marshal
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matrix.compare import normal
from matrix.noisy import Noisy
from matrix.rows import INSTALL_ERROR, NO, UNKNOWN, UNREPLAYABLE, CallRow, TestRow, works
from matrix.trace import Event, Trace
from matrix.verdict import Judgement, judge, judge_steps

Report = Mapping[str, Any]
# What ends a file of a suite that calls the subject while it is imported.
BREAKING = frozenset({"raised", "missing", "signature", "import-error", "blocked", "timeout", "crash"})
Masks = Mapping[int, Sequence[str]]
Own = Mapping[str, Sequence[str]]  # the files of the suite that a file of the suite imports


@dataclass(slots=True)
class Reports:
    """What the agent reported of one release, by what it is about."""

    calls: dict[int, Report] = field(default_factory=dict)
    checks: dict[int, list[Report]] = field(default_factory=dict)
    steps: dict[int, list[Report]] = field(default_factory=dict)
    reads: dict[str, list[Report]] = field(default_factory=dict)
    failed_checks: dict[str, list[Report]] = field(default_factory=dict)
    imports: dict[str, list[Report]] = field(default_factory=dict)
    whole: set[int] = field(default_factory=set)  # calls that a check is about which cannot be evaluated here
    broken: dict[str, str] = field(default_factory=dict)
    unloaded: set[str] = field(default_factory=set)  # files of the suite that a call at their top ends

    def does_not_load(self, file: str) -> bool:
        """Say whether what the top of a file of the suite does ends it, even if imports may fail."""
        return file in self.unloaded or any(report.get("unloads") for report in self.imports.get(file, ()))


def sort_reports(reports: Sequence[Report]) -> Reports:
    """Return reports by call, file and test."""
    made, test = Reports(), ""
    for report in reports:
        if "test" in report:
            test = report["test"]
        elif "import" in report:
            made.imports.setdefault(report["file"], []).append(report)
        elif "next" in report:
            made.steps.setdefault(report["call"], []).append(report)
        elif "call" in report:
            made.calls[report["call"]] = report
        elif "read" in report:
            made.reads.setdefault(test, []).append(report)
        elif "check" in report:
            sort_check(made, test, report)
        elif "copy" in report:  # that cannot be made: which is no matter of the call that gave what is copied
            made.failed_checks.setdefault(test, []).append(report)
        elif "broken" in report or "trouble" in report:
            made.broken[test] = report.get("detail") or report.get("trouble", "")
    return made


def sort_check(made: Reports, test: str, report: Report) -> None:
    """Add the report of a check: what one looked at that cannot be made again here was looked at whole."""
    if report.get("held") is False:
        made.failed_checks.setdefault(test, []).append(report)
        if report["calls"]:
            made.checks.setdefault(report["calls"][-1], []).append(report)
    elif "unreplayable" in report:
        made.whole.update(report["calls"])
        if not report["calls"]:
            made.broken.setdefault(test, report["unreplayable"])


def place_of(report: Report) -> Any:  # noqa: ANN401 # a number, or None
    """Return the place in the trace of a check, or of a copy that cannot be made."""
    return report.get("check", report.get("at"))


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges the calls of one trace, with what the baseline says of them.

    ``unreplayable`` names the calls that are not ``ok`` on the recorded release itself, with the reason, and ``checks``
    what does not hold there of no call. Judging is pure, and ``known`` what it came to before.
    """

    trace: Trace
    masks: Masks = field(default_factory=dict)
    unreplayable: Mapping[int, str] = field(default_factory=dict)
    checks: Mapping[int, str] = field(default_factory=dict)
    known: dict[bytes, Judgement] = field(default_factory=dict)  # most of what a release tells, others tell as well

    def whole(self) -> frozenset[int]:
        """Return the calls whose results were looked at in a way that no check expresses."""
        checks = (event for event in self.trace.events if event["e"] == "check" and event.get("whole"))
        return frozenset(call for event in checks for call in event["calls"])

    def calls(self, reports: Reports) -> Iterator[tuple[str, Event, Judgement]]:
        """Yield (test, call, judgement) of every call."""
        whole = self.whole() | reports.whole
        steps = self.steps(reports)
        for test, call, recorded, report in self.sides(reports):
            ident = call["id"]
            if ident in self.unreplayable:
                yield test, call, Judgement(UNREPLAYABLE, self.unreplayable[ident])
                continue
            failed, went = reports.checks.get(ident, []), steps.get(ident, [])
            told: Any = (ident, recorded if recorded is not call else None, report, failed, went, ident in whole)
            key = marshal.dumps(told, 2)  # the later formats say which texts are one object
            if key not in self.known:
                masks = self.masks.get(ident, ())
                made = judge(recorded, report, masks, failed, whole=ident in whole)
                self.known[key] = judge_steps(made, call, went, masks, whole=ident in whole) if went else made
            yield test, call, self.known[key]

    def steps(self, reports: Reports) -> dict[int, list[tuple[Event, Report]]]:
        """Return what was recorded and what is reported of each time that the caller went on with a call, by call."""
        recorded = self.trace.steps() if reports.steps else {}
        # One that ended early has fewer.
        return {call: list(zip(recorded.get(call, ()), found, strict=False)) for call, found in reports.steps.items()}

    def sides(self, reports: Reports) -> Iterator[tuple[str, Event, Report, Report | None]]:
        """Yield (test, call, call, report) of every call, the last two as they are compared."""
        before, after = Noisy(self.masks), Noisy(self.masks)
        for test, call in self.trace.calls():
            report = reports.calls.get(call["id"])
            if call["tier"] == "inner" or report is None:  # an inner call is played in the recorded world
                yield test, call, call, report
            else:
                yield test, call, before.told(call["id"], call), after.told(call["id"], report)

    def rows(self, release: str, reports: Reports) -> tuple[list[CallRow], list[TestRow]]:
        """Return the rows of one release."""
        profile = self.trace.header["profile"]
        calls: list[CallRow] = []
        verdicts: dict[str, list[str]] = {test: [] for test in self.tests()}
        for test, call, made in self.calls(reports):
            detail = self.explained(made, reports.calls.get(call["id"]))
            names = (call["id"], call["tier"], call["function"])
            calls.append(CallRow(release, profile, test, *names, made.verdict, detail))
            passed = self.trace.end["tests"].get(test, "passed") == "passed"  # not every runner tells
            if passed and call["tier"] == "boundary":  # what a test sees; the rest is how the release does it
                verdicts.setdefault(test, []).append(works(made.verdict))
            if "loads" in call and made.verdict in BREAKING and "raise" not in call["outcome"]:
                reports.unloaded.add(call["loads"])
        own = self.own_imports()
        tests = [self.test(release, test, found, reports, own) for test, found in verdicts.items() if test]
        return calls, tests

    def explained(self, made: Judgement, report: Report | None) -> str:
        """Return the reason of a verdict; that of ``blocked`` names the call that failed."""
        needs = made.verdict == "blocked" and report is not None and "by" in report
        return stable(f"needs {made.detail}" if needs else made.detail)

    def tests(self) -> list[str]:
        """Return the tests that passed when they were recorded: the others say nothing of a release."""
        return sorted(test for test, outcome in self.trace.end["tests"].items() if outcome == "passed")

    def test(self, release: str, test: str, verdicts: Sequence[str], reports: Reports, own: Own) -> TestRow:
        """Return whether a test works."""
        # What no longer holds of a call that does not replay on the recorded release itself says nothing.
        failed = reports.failed_checks.get(test, ())
        checks = [
            c for c in failed if not self.unreplayable.keys() & set(c["calls"]) and place_of(c) not in self.checks
        ]
        unloaded = any(reports.does_not_load(file) for gate in gates(test) for file in (gate, *own.get(gate, ())))
        fails = unloaded or NO in verdicts or bool(reports.reads.get(test)) or bool(checks)
        unknown = UNKNOWN in verdicts or test in reports.broken or any(place_of(c) in self.checks for c in failed)
        ungated = "fails" if fails else "unknown" if unknown else "works"
        gate = any(not report["optional"] for file in gates(test) for report in reports.imports.get(file, ()))
        return TestRow(test, self.trace.header["profile"], release, "fails" if gate else ungated, ungated)

    def own_imports(self) -> Own:
        """Return the suite's own files that each of its files imports, however indirectly."""
        found: dict[str, list[str]] = {}
        for event in self.trace.events:
            if event["e"] == "import" and "own" in event:
                found.setdefault(event["file"], []).append(event["own"])
        return found

    def not_installed(self, release: str, reason: str) -> tuple[list[CallRow], list[TestRow]]:
        """Return the rows of a release that cannot be installed."""
        profile = self.trace.header["profile"]
        calls = [
            CallRow(release, profile, test, call["id"], call["tier"], call["function"], INSTALL_ERROR, reason)
            for test, call in self.trace.calls()
        ]
        return calls, [TestRow(test, profile, release, UNKNOWN, UNKNOWN) for test in self.tests()]


# What differs from run to run in a reason: digests of what holds a time, addresses of objects, and times that passed.
TEMPORARY = re.compile(r"\{tmp\}/[^\s'\",)]*")
# A digest that follows its name may have been cut short.
VOLATILE = re.compile(r"\b[0-9a-f]{32,}\b|\b(?<=sha256:)[0-9a-f]+|\b(?<=sha512:)[0-9a-f]+|\b0x[0-9a-f]{6,}\b")
LONG_FLOAT = re.compile(r"\b\d+\.\d{7,}(?:e-?\d+)?\b")


def stable(detail: str) -> str:
    """Return a reason without what differs from run to run.

    >>> stable("{tmp}/oras.k3j_x9aa is 9b32c2e3f99e2d3f9dd10f323784241a")
    '{tmp}/oras.{random} is {digest}'
    >>> stable("in ['sha256:81... no longer holds")
    "in ['sha256:{digest}... no longer holds"
    >>> stable("131.1744827270004 < 5 no longer holds")
    '{number} < 5 no longer holds'
    """
    detail = LONG_FLOAT.sub("{number}", VOLATILE.sub("{digest}", detail))
    return TEMPORARY.sub(lambda path: normal(path.group()), detail)


def gates(test: str) -> list[str]:
    """Return the files that must import for a test to run: its own, and each ``conftest.py`` above it."""
    file = test.partition("::")[0]
    folders = file.split("/")[:-1]
    return [file, *("/".join([*folders[: index + 1], "conftest.py"]) for index in range(len(folders))), "conftest.py"]

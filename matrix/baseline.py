"""What two replays on the recorded release show: which fields are noise, and which calls cannot be replayed at all."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matrix.compare import differences, is_whole
from matrix.errors import CaliperError
from matrix.files import atomic_write
from matrix.judging import Judge, Reports, place_of
from matrix.trace import Trace
from matrix.verdict import DIFFERS, EFFECTS, OK, step_path

FORMAT = 1


class BaselineError(CaliperError):
    """The masks of a trace are missing or of another trace."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is masked, by call: paths of fields; and the calls that are not ``ok`` on the recorded release."""

    trace: str
    masks: Mapping[int, Sequence[str]] = field(default_factory=dict)
    unreplayable: Mapping[int, str] = field(default_factory=dict)
    checks: Mapping[int, str] = field(default_factory=dict)  # of no call, and not so on the recorded release itself

    def judge(self, trace: Trace) -> Judge:
        """Return who judges the calls of the trace with what is known of it."""
        return Judge(trace, self.masks, self.unreplayable, self.checks)


def compare_runs(trace: Trace, first: Reports, *others: Reports) -> Baseline:
    """Return the baseline of two or more replays of a trace on the release that it was recorded on."""
    masks: dict[int, list[str]] = {}
    for other in others:
        for ident in first.calls.keys() & other.calls.keys():
            report, again = (around(run.calls[ident]) for run in (first, other))
            add(masks, ident, report, differences(report, again, "effects"))
        for ident in first.steps.keys() & other.steps.keys():
            for number, pair in enumerate(zip(first.steps[ident], other.steps[ident], strict=False), 1):
                add_step(masks, ident, number, *pair)
    for other in others:
        differing(trace, masks, first, other)
    unseen(trace, masks, (first, *others))
    judge = Judge(trace, masks)
    unreplayable: dict[int, str] = {}
    for reports in (first, *others):
        for _, call, made in judge.calls(reports):
            if made.verdict != OK:
                reason = f"not the same on the recorded release itself: {made.verdict}: {made.detail}"
                unreplayable.setdefault(call["id"], reason if made.verdict != "unreplayable" else made.detail)
    checks = {number: reason for reports in (first, *others) for number, reason in untrue(reports)}
    return Baseline(trace.digest, in_order(masks), in_order(unreplayable), in_order(checks))


def in_order(table: dict[int, Any]) -> dict[int, Any]:
    """Return a table by its numbers."""
    return dict(sorted(table.items()))


def untrue(reports: Reports) -> Iterator[tuple[int, str]]:
    """Yield the checks about no call, and the copies, that fail on the recorded release itself, and how."""
    for report in (report for failed in reports.failed_checks.values() for report in failed):
        place = place_of(report)
        if place is not None and ("copy" in report or not report["calls"]):
            yield place, report.get("detail", "")


def add(masks: dict[int, list[str]], ident: int, made: Mapping[str, Any], found: Iterable[str]) -> None:
    """Mask the fields that differ; a whole outcome is no field: the call is judged by it, and does not replay."""
    fields = {path for path in found if not (path.startswith("outcome") and is_whole(path, made.get("outcome", {})))}
    if fields:
        masks[ident] = sorted({*masks.get(ident, ()), *fields})


def add_step(
    masks: dict[int, list[str]], ident: int, number: int, one: Mapping[str, Any], two: Mapping[str, Any]
) -> None:
    """Mask the fields that differ of two outcomes of one step."""
    own: dict[int, list[str]] = {}
    add(own, ident, one, differences(around(one), around(two), "effects"))
    add(own, ident, one, differences(one.get("outcome"), two.get("outcome"), "outcome"))
    paths = {step_path(number, path) for path in own.get(ident, ())}
    if paths:
        masks[ident] = sorted({*masks.get(ident, ()), *paths})


def around(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the effects of a call that are compared."""
    return {key: report.get("effects", {}).get(key, {}) for key in EFFECTS}


def differing(trace: Trace, masks: dict[int, list[str]], first: Reports, other: Reports) -> None:
    """Mask the fields of outcomes that differ between two replays."""
    sides = (Judge(trace, masks).sides(reports) for reports in (first, other))
    for (_, call, _, report), (_, _, _, again) in zip(*sides, strict=True):
        if report is not None and again is not None:
            add(masks, call["id"], report, differences(report.get("outcome"), again.get("outcome"), "outcome"))


def unseen(trace: Trace, masks: dict[int, list[str]], runs: Sequence[Reports]) -> None:
    """Mask what differs from the recording where nobody looked: a count of what ran before, a hash, a place in memory.

    A replay plays each test by itself, so such fields may be equal in all replays, and yet not as recorded.
    """
    judge = Judge(trace, masks)
    for reports in runs:
        steps = judge.steps(reports)
        pairs = zip(judge.calls(reports), judge.sides(reports), strict=True)
        for (_, call, made), (_, _, recorded, report) in pairs:
            outcome = (report or {}).get("outcome", {})
            if made.verdict == DIFFERS and "raise" not in outcome:
                add(masks, call["id"], call, differences(recorded["outcome"], outcome, "outcome"))
                for number, (step, again) in enumerate(steps.get(call["id"], ()), 1):
                    if "raise" not in again.get("outcome", {}):
                        add_step(masks, call["id"], number, {**step, "effects": again.get("effects", {})}, again)


def masks_path(trace: Path) -> Path:
    """Return where the baseline of a trace lies: beside it."""
    return trace.with_name(trace.name.removesuffix(".trace.jsonl.gz") + ".masks.json")


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write a baseline, or leave what was there."""
    table: dict[str, Any] = {
        "format": FORMAT,
        "trace": baseline.trace,
        "masks": {str(ident): list(paths) for ident, paths in baseline.masks.items()},
        "unreplayable": {str(ident): reason for ident, reason in baseline.unreplayable.items()},
        **({"checks": {str(number): reason for number, reason in baseline.checks.items()}} if baseline.checks else {}),
    }
    atomic_write(path, (json.dumps(table, indent=1) + "\n").encode())


def read_baseline(path: Path, trace: Trace) -> Baseline:
    """Read the baseline of a trace.

    Raises:
        BaselineError: the file is missing, of another form, or of another trace.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["format"] != FORMAT:
            found = f"of format {table['format']!r}, but this version reads {FORMAT}"
            message = f"{path}: {found}; make it with `caliper-matrix record`"
            raise BaselineError(message)
        made = Baseline(
            str(table["trace"]),
            {int(ident): tuple(paths) for ident, paths in table["masks"].items()},
            {int(ident): str(reason) for ident, reason in table["unreplayable"].items()},
            {int(number): str(reason) for number, reason in table.get("checks", {}).items()},
        )
    except FileNotFoundError:
        message = f"{path}: the trace has no baseline; make it with `caliper-matrix record`"
        raise BaselineError(message) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path}: cannot be read as a baseline ({type(error).__name__}); make it with `caliper-matrix record`"
        raise BaselineError(message) from None
    if made.trace != trace.digest:
        message = f"{path}: the baseline of another trace; make it with `caliper-matrix record`"
        raise BaselineError(message)
    return made

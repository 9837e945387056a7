"""What two replays on the recorded release show: which fields are noise, and which calls cannot be replayed at all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matrix.compare import differences
from matrix.errors import CaliperError
from matrix.files import atomic_write
from matrix.judging import Judge, Reports
from matrix.trace import Trace
from matrix.verdict import DIFFERS, OK

FORMAT = 1
# The parts of a report that are compared, and so can be noise.
PARTS = ("outcome", "effects")


class BaselineError(CaliperError):
    """The masks of a trace are missing or of another trace."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is masked, by call: paths of fields; and the calls that are not ``ok`` on the recorded release."""

    trace: str
    masks: Mapping[int, Sequence[str]] = field(default_factory=dict)
    unreplayable: Mapping[int, str] = field(default_factory=dict)


def compare_runs(trace: Trace, first: Reports, *others: Reports) -> Baseline:
    """Return the baseline of two or more replays of a trace on the release that it was recorded on."""
    masks: dict[int, list[str]] = {}
    for ident, report in first.calls.items():
        for other in others:
            again = other.calls.get(ident)
            found = [path for part in PARTS if again for path in differences(report.get(part), again.get(part), part)]
            if found:
                masks[ident] = sorted({*masks.get(ident, ()), *found})
    unseen(trace, masks, (first, *others))
    judge = Judge(trace, masks)
    unreplayable: dict[int, str] = {}
    for reports in (first, *others):
        for _, call, made in judge.calls(reports):
            if made.verdict != OK:
                reason = f"not the same on the recorded release itself: {made.verdict}: {made.detail}"
                unreplayable.setdefault(call["id"], reason if made.verdict != "unreplayable" else made.detail)
    return Baseline(trace.digest, dict(sorted(masks.items())), dict(sorted(unreplayable.items())))


def unseen(trace: Trace, masks: dict[int, list[str]], runs: Sequence[Reports]) -> None:
    """Mask what differs from the recording where nobody looked: a count of what ran before, a hash, a place in memory.

    A replay plays each test by itself, so such fields may be equal in all replays, and yet not as recorded.
    """
    judge = Judge(trace, masks)
    for reports in runs:
        for _, call, made in judge.calls(reports):
            outcome = reports.calls.get(call["id"], {}).get("outcome", {})
            if made.verdict == DIFFERS and "raise" not in outcome:
                found = differences(call["outcome"], outcome, "outcome")
                masks[call["id"]] = sorted({*masks.get(call["id"], ()), *found})


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

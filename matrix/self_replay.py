"""How many of the recorded calls replay as recorded on the recorded release itself, and why the others do not."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from matrix.accuracy import share
from matrix.judging import Judge

TIERS = ("boundary", "inner")


def score(judges: Sequence[Judge]) -> dict[str, Any]:
    """Return for each profile and tier the share of calls that replay, and the others by function and reason."""
    return {judge.trace.header["profile"]: score_trace(judge) for judge in judges}


def score_trace(judge: Judge) -> dict[str, Any]:
    """Return the scores of one trace; ``made`` is how often the program called the package from outside."""
    made = sum(boundary for _, boundary in judge.trace.end["counts"].values())
    tiers: dict[str, list[bool]] = {tier: [] for tier in TIERS}
    left: Counter[tuple[str, str, str]] = Counter()
    for _, call in judge.trace.calls():
        reason = judge.unreplayable.get(call["id"])
        tiers[call["tier"]].append(reason is None)
        if reason is not None:
            left[call["tier"], call["function"], reason] += 1
    return {
        **{tier: share(sum(replayed), len(replayed)) for tier, replayed in tiers.items() if replayed},
        "made": made,
        "left": [
            {"tier": tier, "function": function, "reason": reason, "calls": calls}
            for (tier, function, reason), calls in sorted(left.items())
        ],
    }

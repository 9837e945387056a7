"""Scores with their uncertainty, and `accuracy.json`, which holds all of them by section."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from matrix.errors import CaliperError
from matrix.files import atomic_write

FORMAT = 1
# The 97.5 % point of the normal distribution: intervals hold 95 %.
Z = 1.959963984540054
RESAMPLES = 1000
DIGITS = 6


class AccuracyError(CaliperError):
    """`accuracy.json` cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a prediction of one thing got right and wrong."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of both together."""
        return Counts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
        )

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None where there is nothing to find and nothing was said."""
        total = 2 * self.true_positive + self.false_positive + self.false_negative
        return 2 * self.true_positive / total if total else None


def count(predicted: Sequence[bool], true: Sequence[bool]) -> Counts:
    """Count two lists of the same length against each other."""
    pairs = list(zip(predicted, true, strict=True))
    return Counts(
        pairs.count((True, True)), pairs.count((True, False)), pairs.count((False, True)), pairs.count((False, False))
    )


def wilson(numerator: int, denominator: int) -> tuple[float, float] | None:
    """Return the Wilson score interval (95 %) of a share, None of nothing."""
    if not denominator:
        return None
    share, squared = numerator / denominator, Z * Z
    middle = share + squared / (2 * denominator)
    spread = Z * math.sqrt(share * (1 - share) / denominator + squared / (4 * denominator * denominator))
    scale = 1 + squared / denominator
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def bootstrap_f1(groups: Sequence[Counts]) -> tuple[float, float] | None:
    """Return an interval (95 %) of F1, from resampling whole groups, always the same for the same counts.

    Cells of one function depend on each other (what was missing in one release was missing in the one before), so
    functions are drawn, not cells.
    """
    if not groups or sum(groups, Counts()).f1 is None:
        return None
    import numpy as np  # noqa: PLC0415 # takes 0.1 s, and reading and merging scores needs none of it

    drawn = _draws(len(groups))
    hits = drawn @ np.array([2 * one.true_positive for one in groups])
    wholes = drawn @ np.array([2 * one.true_positive + one.false_positive + one.false_negative for one in groups])
    values = np.sort(hits[wholes > 0] / wholes[wholes > 0])
    if not len(values):
        return None
    return float(values[int(len(values) * 0.025)]), float(values[min(len(values) - 1, int(len(values) * 0.975))])


@cache
def _draws(groups: int) -> Any:  # noqa: ANN401 # numpy is only there where it is used
    """Return how often each group is drawn in each resample."""
    import numpy as np  # noqa: PLC0415

    # The legacy generator is the one whose numbers numpy promises never to change.
    generator = np.random.RandomState(0)
    return generator.multinomial(groups, [1 / groups] * groups, size=RESAMPLES)


def share(numerator: int, denominator: int) -> dict[str, Any]:
    """Return a share as JSON data, with what it was made of and its interval."""
    return {
        "numerator": numerator,
        "denominator": denominator,
        "share": round(numerator / denominator, DIGITS) if denominator else None,
        "interval": _rounded(wilson(numerator, denominator)),
    }


def scores(groups: Sequence[Counts]) -> dict[str, Any]:
    """Return precision, recall and F1 of the groups together, each with its interval."""
    total = sum(groups, Counts())
    said = total.true_positive + total.false_positive
    there = total.true_positive + total.false_negative
    f1 = total.f1
    return {
        "precision": share(total.true_positive, said),
        "recall": share(total.true_positive, there),
        "f1": {
            "numerator": 2 * total.true_positive,
            "denominator": said + there,
            "share": None if f1 is None else round(f1, DIGITS),
            "interval": _rounded(bootstrap_f1(groups)),
        },
        "cells": total.true_positive + total.false_positive + total.false_negative + total.true_negative,
    }


def _rounded(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [round(bound, DIGITS) for bound in interval]


def merge_scores(path: Path, section: str, scores: Mapping[str, Any]) -> None:
    """Put a section into `accuracy.json`, in place of what it held before; other sections stay as they are.

    Raises:
        AccuracyError: the file is there and is not what this function writes.
    """
    document = read_scores(path)
    document[section] = dict(scores)
    ordered = {"format": FORMAT, **{name: document[name] for name in sorted(document) if name != "format"}}
    atomic_write(path, (json.dumps(ordered, indent=1, ensure_ascii=False) + "\n").encode())


def read_scores(path: Path) -> dict[str, Any]:
    """Return the sections of `accuracy.json`, none where there is no file.

    Raises:
        AccuracyError: the file is not what `merge_scores` writes.
    """
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read ({error}): delete it, and score again"
        raise AccuracyError(message) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        message = f"{path} is not of format {FORMAT}: delete it, and score again"
        raise AccuracyError(message)
    return {name: value for name, value in document.items() if name != "format"}

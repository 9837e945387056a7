"""Scores, their intervals, and the file that holds all of them."""

import json
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.accuracy import AccuracyError, Counts, bootstrap_f1, count, merge_scores, read_scores, scores, share, wilson


def test_wilson_interval_of_known_shares() -> None:
    """The values that textbooks give."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0, 0) is None


@given(st.integers(1, 10_000).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_wilson_interval_holds_the_share(pair: tuple[int, int]) -> None:
    """For any share the interval is within 0 and 1 and holds it."""
    interval = wilson(*pair)
    assert interval is not None
    low, high = interval
    assert 0 <= low <= pair[0] / pair[1] + 1e-12
    assert pair[0] / pair[1] - 1e-12 <= high <= 1


def test_wilson_interval_holds_the_truth_in_19_of_20_samples() -> None:
    """Drawn many times from a known share, about 95 % of the intervals hold it."""
    generator, true = random.Random(1), 0.9
    held = 0
    for _ in range(400):
        interval = wilson(sum(generator.random() < true for _ in range(80)), 80)
        held += interval is not None and interval[0] <= true <= interval[1]
    assert 0.92 <= held / 400 <= 0.98


def test_f1_of_counts() -> None:
    """Twice the hits over all that was said and all that was there; of nothing there is none."""
    assert Counts(8, 2, 2, 5).f1 == pytest.approx(0.8)
    assert Counts(true_negative=9).f1 is None
    assert Counts(0, 1, 1).f1 == 0


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_counts_add_up(pairs: list[tuple[bool, bool]]) -> None:
    """Each cell is counted once."""
    counted = count([said for said, _ in pairs], [true for _, true in pairs])
    total = counted.true_positive + counted.false_positive + counted.false_negative + counted.true_negative
    assert total == len(pairs)


def test_bootstrap_is_the_same_every_time_and_holds_f1() -> None:
    """The interval is deterministic, and wider where there are fewer groups."""
    groups = [Counts(9, 1, 0, 5), Counts(2, 0, 3, 5), Counts(7, 1, 1, 0)]
    few, many = bootstrap_f1(groups), bootstrap_f1(groups * 10)
    assert few == bootstrap_f1(groups)
    assert few is not None
    assert many is not None
    f1 = sum(groups, Counts()).f1
    assert f1 is not None
    assert few[0] <= many[0] <= f1 <= many[1] <= few[1]
    assert bootstrap_f1([]) is None
    assert bootstrap_f1([Counts(true_negative=3)]) is None


def test_scores_carry_what_they_are_made_of() -> None:
    """Numerator, denominator and interval beside each share."""
    found = scores([Counts(8, 2, 0, 10)])
    assert found["precision"] == share(8, 10)
    assert found["recall"]["interval"][1] == 1.0
    assert found["f1"]["numerator"] / found["f1"]["denominator"] == pytest.approx(found["f1"]["share"], abs=1e-6)
    assert found["cells"] == 20
    assert not any(math.isnan(bound) for bound in found["f1"]["interval"])


def test_sections_are_merged(tmp_path: Path) -> None:
    """One section does not touch another, and the order of writing does not matter."""
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    merge_scores(one, "truth", {"agree": share(1, 2)})
    merge_scores(one, "predictions", {"f1": 1})
    merge_scores(one, "predictions", {"f1": 2})
    merge_scores(other, "predictions", {"f1": 2})
    merge_scores(other, "truth", {"agree": share(1, 2)})
    assert one.read_bytes() == other.read_bytes()
    assert read_scores(one) == {"truth": {"agree": share(1, 2)}, "predictions": {"f1": 2}}


@pytest.mark.parametrize("content", ["", "[]", '{"format": 2}', "{", '"text"'])
def test_file_that_holds_no_scores_is_refused(tmp_path: Path, content: str) -> None:
    """What is not ours is not overwritten, and the message says what to do."""
    path = tmp_path / "accuracy.json"
    path.write_text(content)
    with pytest.raises(AccuracyError, match="delete it"):
        merge_scores(path, "truth", {})
    assert path.read_text() == content


def test_no_file_has_no_scores(tmp_path: Path) -> None:
    """Before anything was scored there is nothing."""
    assert read_scores(tmp_path / "none.json") == {}
    merge_scores(tmp_path / "none.json", "truth", {})
    assert json.loads((tmp_path / "none.json").read_text())["format"] == 1

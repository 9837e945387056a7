"""Replays of what rests on chance, of callers with objects of others, and of what they take out of results."""

from collections.abc import Mapping

import pytest
from replays import Recorded

from matrix.baseline import compare_runs
from matrix.judging import Judge
from matrix.subject import Subject

COMMAND = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_kiln.py", "test_top.py")
SUBJECT = Subject("kiln", ("kiln",), COMMAND)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Record the suite on the new version of the package."""
    return Recorded.make(SUBJECT, tmp_path_factory.mktemp("kiln"))


@pytest.fixture(scope="module")
def old(recorded: Recorded) -> tuple[Mapping[str, tuple[str, str]], Mapping[str, str]]:
    """Return what becomes of calls and tests on the old version."""
    return recorded.judge("old")


def test_replays_on_the_recorded_release_are_all_ok(recorded: Recorded) -> None:
    """Replays on the version that was recorded draw the numbers that were drawn, and need no mask; every test works."""
    baseline = compare_runs(recorded.trace, recorded.reports(), recorded.reports())
    assert baseline.unreplayable == {}
    assert baseline.masks == {}
    assert list(baseline.checks.values()) == ["[] == [1] no longer holds"]
    _, tests = baseline.judge(recorded.trace).rows("new", recorded.reports())
    grades = {row.test.partition("::")[2]: row.gated for row in tests}
    assert {name for name, grade in grades.items() if grade != "works"} == {"test_constant_that_the_test_changes"}
    assert grades["test_constant_that_the_test_changes"] == "unknown"


@pytest.mark.parametrize(
    ("test", "grade"),
    [
        ("test_chance", "fails"),
        ("test_chances", "works"),
        ("test_local_error", "works"),
        ("TestOven::test_bound", "unknown"),
        ("TestFixture::test_method", "works"),
        ("TestFixture::test_unbound", "works"),
        ("test_mock_in_a_mock", "fails"),
        ("test_logger", "unknown"),
        ("test_attribute", "fails"),
        ("test_attribute_that_nobody_compares", "fails"),
        ("test_patch_of_a_part", "fails"),
        ("test_items", "fails"),
        ("test_nested_coroutines", "fails"),
        ("test_keyword_only", "works"),
        ("test_marker", "works"),
        ("test_made_class", "fails"),
        ("test_parts_of_a_tuple", "fails"),
        ("test_filled[Filled]", "works"),
        ("test_filled[Slotted]", "works"),
        ("test_annotation", "works"),
        ("test_globals", "works"),
        ("test_methods_of_one_text", "works"),
        ("test_constant", "fails"),
        ("test_pickle_of_a_class_of_the_callers", "works"),
        ("test_protocol[2]", "works"),
        ("test_protocol[3]", "works"),
        ("test_set_after_many_numbers", "works"),
        ("test_kept_functions", "works"),
        ("test_part_in_a_slot", "works"),
        ("test_odd_object", "works"),
        ("test_top", "fails"),
    ],
)
def test_each_test_has_its_grade(
    old: tuple[Mapping[str, tuple[str, str]], Mapping[str, str]], test: str, grade: str
) -> None:
    """On a version that does something else each test is told; what callers' functions were not asked is unknown."""
    assert old[1][test] == grade


def test_a_file_does_not_load_without_what_its_top_decides_by(recorded: Recorded) -> None:
    """A name that is only imported may be missing; one that the top of a file uses ends it, in both gradings."""
    _, tests = Judge(recorded.trace).rows("old", recorded.reports("old"))
    assert {row.ungated for row in tests if row.test.startswith("test_top.py")} == {"fails"}


def test_what_is_drawn_otherwise_is_changed(
    old: tuple[Mapping[str, tuple[str, str]], Mapping[str, str]],
) -> None:
    """A version that does not draw gives another value than the recording, and one that draws gives the same."""
    assert old[0]["test_chance kiln.heat"][0] == "changed"
    assert old[0]["test_chances kiln.heats"] == ("ok", "")

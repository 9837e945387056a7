"""Comparing what the replay says of tests with how they end."""

from pathlib import Path

import pytest

from matrix.scoring import (
    Case,
    Disagreement,
    WideTableError,
    as_scores,
    by_release,
    compare,
    passing_tests,
    read_cases,
    render_cases,
)

RELEASES = ["1.0", "1.1", "2.0"]
TRUTH = {
    Case("a", "p", "1.0"): "failed",
    Case("a", "p", "1.1"): "passed",
    Case("a", "p", "2.0"): "passed",
    Case("b", "p", "1.0"): "error",
    Case("b", "p", "1.1"): "skipped",
    Case("b", "p", "2.0"): "passed",
    Case("c", "p", "1.0"): "passed",
    Case("c", "p", "1.1"): "failed",
    Case("c", "p", "2.0"): "failed",
}
PASSING = {("a", "p"), ("b", "p")}


def said(**verdicts: str) -> dict[Case, str]:
    """Return verdicts by case, of arguments such as ``a10="works"``."""
    return {Case(name[0], "p", f"{name[1]}.{name[2]}"): verdict for name, verdict in verdicts.items()}


RIGHT = said(a10="fails", a11="works", a20="works", b10="fails", b11="fails", b20="works")


def test_passing_tests_are_those_of_the_recorded_release() -> None:
    """A test that fails on the recorded release is not among them."""
    assert passing_tests(TRUTH, "2.0") == PASSING


def test_agreement_counts_each_case_once() -> None:
    """Failed and error are both `fails`; skipped tests and those that never passed are left out."""
    found = compare(RIGHT, TRUTH, PASSING)
    assert (found.agree, found.judged, found.cases, found.left_out) == (5, 5, 5, 4)
    assert [len(wrong) for wrong in (found.false_works, found.false_fails, found.unknown)] == [0, 0, 0]


def test_a_false_works_is_listed() -> None:
    """A case that is said to work and fails is a false works, with what pytest said of it."""
    found = compare({**RIGHT, **said(b10="works")}, TRUTH, PASSING)
    assert found.false_works == (Disagreement(Case("b", "p", "1.0"), "works", "error"),)
    assert (found.agree, found.false_fails) == (4, ())


def test_a_false_fails_is_listed() -> None:
    """A case that is said to fail and passes is a false fails."""
    found = compare({**RIGHT, **said(a11="fails")}, TRUTH, PASSING)
    assert found.false_fails == (Disagreement(Case("a", "p", "1.1"), "fails", "passed"),)


@pytest.mark.parametrize("verdict", ["unknown", None])
def test_what_is_not_judged_is_unknown(verdict: str | None) -> None:
    """A case without a verdict counts as unknown and neither as right nor as wrong."""
    replayed = {case: found for case, found in {**RIGHT, **said(a10=verdict or "")}.items() if found}
    found = compare(replayed, TRUTH, PASSING)
    assert found.unknown == (Case("a", "p", "1.0"),)
    assert (found.judged, found.cases) == (4, 5)


def test_profiles_are_apart() -> None:
    """The same test may pass in one profile and fail in another."""
    truth = {Case("a", "p", "1"): "passed", Case("a", "q", "1"): "failed"}
    assert passing_tests(truth, "1") == {("a", "p")}
    assert compare({Case("a", "p", "1"): "works"}, truth, {("a", "p")}).agree == 1


def test_scores_have_numerators_denominators_and_reasons() -> None:
    """Each share says what it is made of, each disagreement is listed with its reason."""
    found = compare({**RIGHT, **said(b10="works", a11="unknown")}, TRUTH, PASSING)
    scores = as_scores(found, lambda case: f"because of {case.test}")
    shares = {name: (scores[name]["numerator"], scores[name]["denominator"]) for name in list(scores)[:4]}
    assert shares == {"agree": (3, 4), "false_works": (1, 4), "false_fails": (0, 4), "unknown": (1, 5)}
    assert scores["left_out"] == 4
    assert scores["disagreements"] == [
        {"test": "b", "profile": "p", "release": "1.0", "replayed": "works", "truth": "error", "reason": "because of b"}
    ]


def test_scores_of_nothing_are_no_share() -> None:
    """Without cases there is no share, not one of 0 or 1."""
    assert as_scores(compare({}, {}, set()))["agree"]["share"] is None


def test_releases_with_disagreements_are_named_in_order() -> None:
    """A release is listed if a test is judged wrongly there, in the order of the columns."""
    found = compare({**RIGHT, **said(b20="fails", a10="works", a11="fails")}, TRUTH, PASSING)
    assert by_release(found, RELEASES) == {"1.0": ["a"], "1.1": ["a"], "2.0": ["b"]}
    assert list(by_release(found, reversed(RELEASES))) == ["2.0", "1.1", "1.0"]


def test_tables_are_read_as_they_are_written(tmp_path: Path) -> None:
    """Names with commas and quotes survive; the rows are sorted by test and profile."""
    cases = {
        **TRUTH,
        Case('x[a,"b"]', "p", "1.0"): "passed",
        **{Case('x[a,"b"]', "p", v): "error" for v in RELEASES[1:]},
    }
    text = render_cases(cases, RELEASES)
    assert text.splitlines()[:2] == ["test,profile,1.0,1.1,2.0", "a,p,failed,passed,passed"]
    (tmp_path / "truth.csv").write_text(text)
    assert read_cases(tmp_path / "truth.csv") == cases


def test_a_case_that_is_not_there_is_written_as_an_error() -> None:
    """No cell is empty: what could not be run is an error."""
    assert render_cases({Case("a", "p", "1.0"): "passed"}, ["1.0", "1.1"]).splitlines()[1] == "a,p,passed,error"


@pytest.mark.parametrize(
    "text", ["", "test,release\n", "test,profile,1.0\na,p\n", "test,profile,1.0\na,p,passed,failed\n"]
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, text: str) -> None:
    """Wrong columns and rows of another length are one error, which names the file."""
    path = tmp_path / "tests.csv"
    path.write_text(text)
    with pytest.raises(WideTableError, match=r"tests\.csv: .*; make it anew"):
        read_cases(path)


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    """A missing file is the same error."""
    with pytest.raises(WideTableError, match="can't be read"):
        read_cases(tmp_path / "none.csv")

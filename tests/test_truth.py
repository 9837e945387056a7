"""Running the recorded release's suite on every release."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from suites import LEFT_OUT, SUITE, stage

from matrix import truth
from matrix.accuracy import read_scores
from matrix.commands.truth import score, summary
from matrix.releases import Release, ReleaseFile
from matrix.scoring import read_cases
from matrix.subject import Subject
from matrix.suite.source import SourceError, find_suite
from matrix.suite.stage import Selection, Stage, StageError
from matrix.truth import Ending, Part

DOUBLE, HALF = "demo/tests/test_double.py", "demo/tests/test_half.py"
RELEASES = ["1.0", "1.0.1", "1.1", "1.2"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return the stage of the subject `demo`, with its index running."""
    with pytest.MonkeyPatch.context() as monkeypatch, stage(tmp_path_factory.mktemp("demo"), monkeypatch) as made:
        yield made


@pytest.fixture(scope="module")
def selected(demo: Stage) -> dict[str, Selection]:
    """Return the tests of both profiles."""
    return truth.selections(demo, ["loud", "calm"])


@pytest.fixture(scope="module")
def endings(demo: Stage, selected: dict[str, Selection]) -> dict[Part, Ending]:
    """Return how all tests end on all releases."""
    found = truth.find_truth(demo, selected, RELEASES, 2)
    return {ending.part: ending for ending in found}


def outcomes(ending: Ending) -> dict[str, str]:
    """Return the outcomes by a test's name alone."""
    return {test.partition("::test_")[2]: outcome for test, (outcome, _) in ending.outcomes.items()}


def test_the_recorded_release_says_which_tests_there_are(selected: dict[str, Selection]) -> None:
    """In the order of the files, without what the profile leaves out."""
    assert selected["loud"].files == (DOUBLE, HALF)
    assert selected["loud"].tests[0] == f"{DOUBLE}::test_double"
    assert LEFT_OUT in selected["calm"].tests
    assert LEFT_OUT not in selected["loud"].tests


def test_all_but_skipped_tests_pass_on_the_recorded_release(endings: dict[Part, Ending]) -> None:
    """The suite runs in its place, with its data, a home of its own and the profile's environment."""
    found = outcomes(endings[Part("1.2", "loud", tolerant=False)])
    assert {name for name, outcome in found.items() if outcome != "passed"} == {"never"}
    assert found["never"] == "skipped"


def test_profiles_are_run_apart(endings: dict[Part, Ending]) -> None:
    """Each profile has its own environment and its own tests."""
    found = outcomes(endings[Part("1.2", "calm", tolerant=False)])
    assert (found["profile"], found["left_out"], found["double"]) == ("failed", "failed", "passed")


def test_an_import_error_fails_a_file_and_no_other(endings: dict[Part, Ending]) -> None:
    """1.0 has neither `half` nor `SIZE`: each test of that file is an error, also the one that is skipped elsewhere."""
    ending = endings[Part("1.0", "loud", tolerant=False)]
    found = outcomes(ending)
    assert {name for name, outcome in found.items() if outcome == "error"} == {"half", "size", "exact", "never"}
    assert found["double"] == "passed"
    assert "cannot import name 'SIZE'" in ending.uncollected[HALF]
    assert "cannot import name 'SIZE'" in ending.outcomes[f"{HALF}::test_size"][1]


def test_tolerant_truth_fails_what_uses_a_missing_name(endings: dict[Part, Ending]) -> None:
    """With placeholders each test is judged for itself."""
    found = outcomes(endings[Part("1.0", "loud", tolerant=True)])
    assert {name: found[name] for name in ("half", "size", "exact", "never")} == {
        "half": "failed",
        "size": "failed",
        "exact": "failed",
        "never": "skipped",
    }


def test_behaviour_that_changed_fails_its_test_alone(endings: dict[Part, Ending]) -> None:
    """1.1 has all the names, but `half` does not refuse odd numbers."""
    found = outcomes(endings[Part("1.1", "loud", tolerant=False)])
    assert {name for name, outcome in found.items() if outcome == "failed"} == {"exact"}


def test_a_release_that_cannot_be_installed_has_no_truth(endings: dict[Part, Ending]) -> None:
    """Its column says so, and it is compared with nothing."""
    ending = endings[Part("1.0.1", "loud", tolerant=False)]
    assert set(outcomes(ending).values()) == {"install-error"}
    assert "Python" in ending.outcomes[f"{HALF}::test_half"][1]


def test_nothing_is_run_twice(
    demo: Stage, selected: dict[str, Selection], endings: dict[Part, Ending], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found before is read; other inputs find nothing there."""

    def refuse(*_: object) -> None:
        pytest.fail("a suite was run")

    assert recalled(demo, endings) == 6
    monkeypatch.setattr(Stage, "serve", refuse)
    again = truth.find_truth(demo, selected, ["1.0", "1.1", "1.2"], 1)
    assert {ending.part: ending.outcomes for ending in again} == {
        part: ending.outcomes for part, ending in endings.items() if part.release != "1.0.1"
    }
    part = Part("1.2", "loud", tolerant=False)
    assert truth.recall(demo.cache, part, "other inputs") is None


def recalled(demo: Stage, endings: dict[Part, Ending]) -> int:
    """Return how many plain endings of installable releases the cache holds."""
    inputs = truth.digest_inputs(demo)
    return sum(1 for part in endings if not part.tolerant and truth.recall(demo.cache, part, inputs))


def test_inputs_are_the_suite_the_subject_and_the_code(demo: Stage) -> None:
    """Another Python or another subject's file makes what was found stale."""
    inputs = truth.digest_inputs(demo)
    assert inputs == truth.digest_inputs(demo)
    assert inputs != truth.digest_inputs(replace(demo, python="3.12.99"))
    assert inputs != truth.digest_inputs(replace(demo, subject=replace(demo.subject, command=("pytest", "demo"))))


def test_a_broken_cache_is_no_result(endings: dict[Part, Ending], tmp_path: Path) -> None:
    """A file that is no ending is made anew."""
    part = Part("1.2", "loud", tolerant=False)
    (tmp_path / "endings").mkdir()
    for text in ("", "[]", "{}", '{"inputs": "x", "outcomes": {"a": 1}, "uncollected": {}}'):
        (tmp_path / "endings" / f"{part.name}.json").write_text(text)
        assert truth.recall(tmp_path, part, "x") is None
    truth.remember(tmp_path, endings[part], "x")
    assert truth.recall(tmp_path, part, "x") == endings[part]


def test_truth_is_scored_against_the_results(endings: dict[Part, Ending], tmp_path: Path) -> None:
    """The files have a row a test and profile, a column a release; a wrong verdict is listed in `accuracy.json`."""
    truth.write_truth(tmp_path, endings.values(), RELEASES)
    cases = read_cases(tmp_path / "truth.csv")
    assert {case.release for case in cases} == set(RELEASES)
    assert (tmp_path / "truth.csv").read_text().splitlines()[0] == "test,profile,1.0,1.0.1,1.1,1.2"
    meaning = {"passed": "works", "install-error": "unknown"}
    for replayed, true in (("tests.csv", "truth.csv"), ("tests-ungated.csv", "truth-tolerant.csv")):
        lines = [
            ",".join([*line.split(",")[:2], *(meaning.get(word, "fails") for word in line.split(",")[2:])])
            for line in (tmp_path / true).read_text().splitlines()[1:]
        ]
        (tmp_path / replayed).write_text("\n".join(["test,profile," + ",".join(RELEASES), *lines]) + "\n")
    scores = score(tmp_path, "1.2", RELEASES)
    assert scores == read_scores(tmp_path / "accuracy.json")["tests"]
    assert all(scores[grading]["agree"]["share"] == 1 for grading in ("gated", "ungated"))
    text = (tmp_path / "tests.csv").read_text()
    (tmp_path / "tests.csv").write_text(
        text.replace("exact,loud,fails,unknown,fails", "exact,loud,fails,unknown,works")
    )
    wrong = score(tmp_path, "1.2", RELEASES)
    assert [item["release"] for item in wrong["gated"]["disagreements"]] == ["1.1"]
    assert wrong["gated"]["releases"] == {"1.1": [f"{HALF}::test_exact"]}
    assert "1 false works, 0 false fails" in summary(wrong)


def test_without_results_there_is_nothing_to_compare(endings: dict[Part, Ending], tmp_path: Path) -> None:
    """The truth is written, and the command says what is missing."""
    truth.write_truth(tmp_path, endings.values(), RELEASES)
    assert score(tmp_path, "1.2", RELEASES) == {}
    assert "caliper-matrix matrix" in summary({})
    assert not (tmp_path / "accuracy.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"suite": ""}, "it has no suite"),
        ({"suite": "demo/other"}, "there is no demo/other in"),
        ({"command": ("python", "script.py")}, "is not pytest"),
        ({"command": ("pytest", "-k", "nothing", "demo/tests")}, "no test was found"),
    ],
)
def test_a_subject_without_a_suite_is_refused(demo: Stage, change: dict[str, str], message: str) -> None:
    """One line names the subject and what is wrong."""
    other = replace(demo, subject=replace(demo.subject, **change))  # type: ignore[arg-type]
    with pytest.raises((StageError, SourceError), match=f"^demo: .*{message}"):
        truth.selections(other, ["loud"])


def test_the_suite_is_left_alone(demo: Stage, endings: dict[Part, Ending]) -> None:
    """Nothing is written into the environments: no caches, no rewritten files."""
    source = demo.suite().root / demo.suite().folder
    assert sorted(f"demo/tests/{path.name}" for path in source.iterdir()) == sorted(SUITE)
    assert len(endings) == len(RELEASES) * 2 * 2


def test_a_suite_may_come_with_the_source_archive(tmp_path: Path) -> None:
    """The suite's folder and the files beside it are taken from the sdist that the list of releases names, checked."""
    files = {"tests/test_a.py": b"a", "tests/data/x.txt": b"x", "conftest.py": b"import c", "setup.py": b"s"}
    archive = tmp_path / "demo-1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in {**files, "tests/../../evil.py": b"e"}.items():
            member = tarfile.TarInfo(f"demo-1/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    kept = tmp_path / "cache" / "sdists" / digest / archive.name
    kept.parent.mkdir(parents=True)
    archive.rename(kept)
    file = ReleaseFile(archive.name, f"https://localhost/{archive.name}", digest, None, "sdist", "")
    release = Release.of("1", [file], yanked=False, requires_python=None)
    subject = Subject("demo", ("demo",), ("pytest",), suite="tests", suite_from="sdist", suite_files=("conftest.py",))
    found = find_suite(subject, tmp_path, release, tmp_path / "cache")
    found.copy(tmp_path / "work")
    copied = {str(path.relative_to(tmp_path / "work")): path.read_bytes() for path in (tmp_path / "work").rglob("*.*")}
    assert copied == {"tests/test_a.py": b"a", "tests/data/x.txt": b"x", "conftest.py": b"import c"}
    found.copy(tmp_path / "tolerant", tolerant=True)
    assert "except" in (tmp_path / "tolerant" / "conftest.py").read_text()
    assert sorted(name for name, _ in found.digests()) == sorted(copied)
    with pytest.raises(SourceError, match="demo: there is no suite/of in the source archive; see `suite`"):
        find_suite(replace(subject, suite="suite/of"), tmp_path, release, tmp_path / "cache")
    with pytest.raises(SourceError, match="the list of releases names no source archive"):
        find_suite(subject, tmp_path, None, tmp_path / "cache")

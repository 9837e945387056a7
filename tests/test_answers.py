"""What the results answer: explain, floor, verify, changes; on folders as they are written."""

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import RELEASES, SMALL, Rows, rows
from packaging.specifiers import SpecifierSet

from matrix.answers.changes import changes
from matrix.answers.explain import explain
from matrix.answers.floor import Floor, floor
from matrix.answers.results import NoSuchError, Results, ResultsError, find_folder, read_results
from matrix.answers.uses import answers, select
from matrix.answers.verify import SpecifierError, parse, verify
from matrix.cli import main


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the small results, not to be changed."""
    out = tmp_path_factory.mktemp("answers") / "results" / "pkg"
    SMALL.write(out)
    return out


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """Return a copy of it, to be damaged."""
    return Path(shutil.copytree(written, tmp_path / "results" / "pkg"))


@pytest.fixture
def results(written: Path) -> Results:
    """Return the results, read back."""
    return read_results(written)


def made(cells: Mapping[str, str], tests: Mapping[str, str] | None = None, recorded: str = "") -> Results:
    """Return results of releases 1, 2, 3 … with a verdict per release for each function, a grade for each test."""
    count = len(next(iter([*cells.values(), *(tests or {}).values()])).split())
    releases = tuple(str(number) for number in range(1, count + 1))
    return Results(
        folder=Path("made"),
        subject="pkg",
        recorded_release=recorded or releases[-1],
        releases=releases,
        tiers=dict.fromkeys(cells, "boundary"),
        cells={name: dict(zip(releases, verdicts.split(), strict=True)) for name, verdicts in cells.items()},
        tests={
            f"{name} [anonymous]": dict(zip(releases, grades.split(), strict=True))
            for name, grades in (tests or {}).items()
        },
        reasons={},
    )


def floor_of(cells: Mapping[str, str], tests: Mapping[str, str] | None = None, recorded: str = "") -> Floor:
    """Return the floor of everything in such results."""
    results = made(cells, tests, recorded)
    return floor(results, select(results))


def ask(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Run the command line; return its status and all that it printed."""
    status = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return status, printed.out + printed.err


def test_results_are_read_as_they_were_written(results: Results) -> None:
    """Cells, tiers, tests, reasons, releases in version order."""
    assert (results.subject, results.recorded_release, results.releases) == ("pkg", "1.1", RELEASES)
    assert results.cells["pkg.core.Thing.run"]["1.0"] == "raised"
    assert results.tiers["pkg.hidden._Box.open"] == "inner"
    assert results.tests["tests/test_pkg.py::test_run [anonymous]"]["1.0"] == "fails"
    assert results.reason("pkg.core.Thing.run", "1.0")["detail"] == "raised for a reason"
    assert results.reason("pkg.core.Thing.run", "1.1") == {}


def test_the_only_results_are_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the project's folder nothing need be said."""
    monkeypatch.chdir(folder.parents[1])
    assert find_folder(None) == Path("results/pkg")
    shutil.copytree(folder, folder.parent / "pkg-py3.13")
    with pytest.raises(ResultsError, match=r"results holds pkg, pkg-py3\.13; say which with --results FOLDER"):
        find_folder(None)


@pytest.mark.parametrize("name", ["matrix.csv", "tests.csv", "matrix.json"])
def test_a_file_that_is_missing_is_named(folder: Path, name: str) -> None:
    """With what to do."""
    (folder / name).unlink()
    with pytest.raises(ResultsError, match=rf"{name}: No such file or directory; make it with `nox -s matrix`"):
        read_results(folder)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("matrix.csv", b"raised", b"risen"),
        ("matrix.csv", b",raised,ok", b",raised"),
        ("matrix.csv", b",raised,ok", b",raised,ok,ok"),
        ("matrix.csv", b"function,tier", b"what,tier"),
        ("matrix.csv", b"function,tier", b"function,\xff"),
        ("tests.csv", b"works", b"ok"),
        ("matrix.json", b'"subject"', b'"object"'),
        ("matrix.json", b"{", b""),
    ],
)
def test_a_file_that_is_damaged_is_named(folder: Path, name: str, before: bytes, after: bytes) -> None:
    """One line that says which file and what to do, not a traceback."""
    damaged = (folder / name).read_bytes().replace(before, after, 1)
    (folder / name).write_bytes(damaged)
    with pytest.raises(ResultsError, match=rf"{name} cannot be read: .*; make it anew with `nox -s matrix`$"):
        read_results(folder)


def test_files_of_different_runs_are_refused(folder: Path, tmp_path: Path) -> None:
    """They would answer with what never was."""
    rows("f boundary anonymous ok", ["1.1"]).write(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "matrix.json", folder)
    with pytest.raises(ResultsError, match="not of one run"):
        read_results(folder)


# Floor.


def test_the_floor_is_the_lowest_release_from_which_all_works() -> None:
    """The one below is named, with what fails there."""
    found = floor_of({"a": "missing ok ok ok", "b": "ok signature ok ok"})
    assert (found.specifier, found.lowest, found.stopped_by) == (">=3", "3", "2")
    assert found.stopped == ("b: signature",)


def test_what_only_differs_works() -> None:
    """The recorded code never looked there."""
    assert floor_of({"a": "missing differs ok"}).specifier == ">=2"


def test_a_floor_may_be_the_first_release() -> None:
    """Then nothing stopped it."""
    found = floor_of({"a": "ok ok"})
    assert (found.specifier, found.stopped_by, found.stopped) == (">=1", None, ())


def test_unknown_releases_within_are_excluded_and_named() -> None:
    """It is not claimed that they work, nor that nothing below them does."""
    found = floor_of({"a": "missing ok install-error ok"})
    assert (found.specifier, found.unknown) == (">=2,!=3", ("3",))


def test_unknown_releases_at_the_lower_end_are_not_the_floor() -> None:
    """The floor is known to work."""
    found = floor_of({"a": "missing install-error ok ok"})
    assert (found.specifier, found.stopped_by, found.unknown) == (">=3", "2", ())


def test_holes_are_told() -> None:
    """Lower releases that work all the same are listed, with those between that do not."""
    found = floor_of({"a": "ok missing ok raised ok"})
    assert (found.specifier, found.also, found.holes) == (">=5", ("1", "3"), ("2", "4"))


def test_a_newer_release_that_fails_bounds_the_specifier() -> None:
    """The floor is about the recorded release's surroundings, and admits nothing that does not work."""
    found = floor_of({"a": "missing ok ok raised ok"}, recorded="3")
    assert (found.specifier, found.newer_failing) == (">=2,<4", ("4",))


def test_tests_count_too() -> None:
    """An import that fails belongs to no function, but its tests fail."""
    assert floor_of({"a": "ok ok ok"}, {"t": "works fails works"}).specifier == ">=3"


def test_what_is_unknown_on_the_recorded_release_is_left_out_and_named() -> None:
    """It could be judged nowhere, and would otherwise hide everything else."""
    found = floor_of({"a": "missing ok ok", "b": "unreplayable unreplayable unreplayable"})
    assert (found.specifier, found.uses.left_out) == (">=2", ("b",))


def test_no_floor_where_the_recorded_release_itself_fails() -> None:
    """There is nothing to build on."""
    found = floor_of({"a": "ok missing"})
    assert (found.specifier, found.stopped_by, found.stopped) == (None, "2", ("a: missing",))


def test_nothing_that_could_be_judged_is_an_error() -> None:
    """Rather than a floor that rests on nothing."""
    with pytest.raises(ResultsError, match="none of what is asked for could be judged"):
        floor_of({"a": "ok unreplayable"})


VERDICTS = st.sampled_from(["ok", "ok", "ok", "differs", "missing", "raised", "install-error", "unreplayable"])


@given(st.lists(st.lists(VERDICTS, min_size=7, max_size=7), min_size=1, max_size=4), st.integers(1, 7))
@settings(deadline=None)
def test_a_floor_admits_only_releases_that_work(grid: list[list[str]], recorded: int) -> None:
    """Whatever the verdicts: all admitted releases work, the floor is one of them, and the next lower does not join."""
    results = made({f"f{number}": " ".join(line) for number, line in enumerate(grid)}, recorded=str(recorded))
    try:
        uses = select(results)
    except ResultsError:
        return
    found, judged = floor(results, uses), answers(results, uses)
    if found.specifier is None:
        assert judged[str(recorded)].works == "no"
        return
    admitted = list(SpecifierSet(found.specifier).filter(results.releases))
    assert [judged[release].works for release in admitted] == ["yes"] * len(admitted)
    assert found.lowest in admitted
    assert str(recorded) in admitted
    assert set(found.also).isdisjoint(admitted)
    assert all(judged[release].works == "yes" for release in found.also)
    assert verify(results, uses, found.specifier).failing == {}
    if found.stopped_by:
        assert judged[found.stopped_by].works != "yes"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("pkg.core.make", ("pkg.core.make",)),
        ("make", ("pkg.core.make",)),
        ("Thing.run", ("pkg.core.Thing.run",)),
        ("pkg.core.*", ("pkg.core.Thing.run", "pkg.core.make")),
    ],
)
def test_functions_are_named_in_full_by_their_end_or_by_a_pattern(
    results: Results, pattern: str, found: tuple[str, ...]
) -> None:
    """Nobody needs to type the whole path."""
    assert select(results, [pattern]).functions == found


@pytest.mark.parametrize("pattern", ["tests/test_pkg.py::test_run", "test_run", "*test_run*"])
def test_tests_are_named_likewise(results: Results, pattern: str) -> None:
    """In any profile, by their id, its end or a pattern."""
    assert select(results, [], [pattern]).tests == ("tests/test_pkg.py::test_run [anonymous]",)


def test_everything_called_from_outside_is_used_unless_something_is_named(results: Results) -> None:
    """Functions that only the subject itself calls are its own matter, unless asked for."""
    assert "pkg.hidden._Box.open" not in select(results).functions
    assert "pkg.hidden._Box.open" in select(results, inner=True).functions
    assert select(results, ["make"]).tests == ()


def test_what_is_not_there_is_refused_with_what_comes_close(results: Results) -> None:
    """A typing error does not become 'everything works'."""
    with pytest.raises(NoSuchError, match=r"no function 'pkg\.core\.mak' in the results; close to it: pkg\.core\.make"):
        select(results, ["pkg.core.mak"])
    with pytest.raises(NoSuchError, match="no test 'zzz' in the results; there are 3, such as"):
        select(results, [], ["zzz"])


def test_floor_prints_a_specifier(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """First, and alone on its line; then on what it rests."""
    status, printed = ask(capsys, "floor", "--results", written, "--function", "make", "--function", "read_file")
    lines = printed.splitlines()
    assert (status, lines[0]) == (0, "pkg>=1.0.dev1")
    assert (
        lines[1] == "Everything used (2 functions) works on each release that this admits, of those judged (up to 1.1)."
    )
    assert lines[2] == "0.10, the one below, does not work for all, or is not known to:"
    assert lines[3] == "  pkg.core.make: install-error (does not build)"


def test_floor_tells_holes_and_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In words."""
    made = rows(
        """
        f boundary anonymous ok missing ok install-error ok
        g boundary anonymous unreplayable unreplayable unreplayable unreplayable unreplayable
        """,
        broken=["1.0"],
    )
    made.write(tmp_path)
    status, printed = ask(capsys, "floor", "--results", tmp_path)
    assert status == 0
    assert printed.splitlines()[0] == "pkg>=1.0.dev1,!=1.0"
    assert "Unknown, and so excluded: 1.0" in printed
    assert "Below the floor these work all the same: 0.9" in printed
    assert "between them these do not, or are unknown: 0.10" in printed
    assert "Not judged on any release, and so left out: g" in printed


def test_floor_without_an_answer_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script sees it by the exit status, and in JSON."""
    rows("f boundary anonymous ok missing", ["1.0", "1.1"]).write(tmp_path)
    assert ask(capsys, "floor", "--results", tmp_path)[0] == 1
    status, printed = ask(capsys, "floor", "--results", tmp_path, "--json")
    assert (status, json.loads(printed)["specifier"]) == (1, None)


# Verify.


@pytest.mark.parametrize("text", [">=1.0", "pkg>=1.0", "Pkg [extra] >= 1.0 ; python_version > '3'", "pkg"])
def test_a_specifier_or_a_requirement_is_understood(text: str) -> None:
    """As it stands in pyproject.toml or in a requirements file; names as packaging compares them."""
    assert str(parse(text, "PKG")) == ("" if text == "pkg" else ">=1.0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pkg >> 1", "'pkg >> 1' is no version specifier; write one like"),
        ("other>=1", "'other>=1' is about other, but the results are about pkg"),
        (">=7", "'>=7' admits none of the 5 judged releases of pkg"),
    ],
)
def test_a_specifier_that_cannot_be_verified_is_refused(results: Results, text: str, message: str) -> None:
    """What says nothing about the results is a mistake, not a pass."""
    with pytest.raises(SpecifierError, match=message):
        verify(results, select(results), text)


def test_verify_finds_releases_that_do_not_work(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, with the release and what fails there first."""
    status, printed = ask(capsys, "verify", "pkg>=1.0", "--results", written)
    assert status == 1
    assert printed.splitlines() == [
        ">=1.0 admits 2 of 5 judged releases: 1 work, 1 do not work",
        "  1.0 does not work: pkg.core.Thing.run: raised (raised for a reason), and 1 more",
    ]


def test_verify_passes_what_works(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0, and what could be admitted besides."""
    status, printed = ask(capsys, "verify", "==1.1", "--results", written, "--function", "make")
    assert status == 0
    assert "not admitted, though they work: 1.0.dev1 to 1.0" in printed


def test_verify_counts_what_is_unknown_only_when_strict(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A release that cannot be installed here proves nothing either way."""
    arguments = ["verify", ">0.9,!=1.0", "--results", written, "--function", "make"]
    status, printed = ask(capsys, *arguments)
    assert (status, "0.10 unknown: pkg.core.make: install-error" in printed) == (0, True)
    assert ask(capsys, *arguments, "--strict")[0] == 1


def test_verify_speaks_json(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same, for a script."""
    status, printed = ask(capsys, "verify", ">=1.0", "--results", written, "--json")
    told = json.loads(printed)
    assert status == 1
    assert told["working"] == ["1.1"]
    assert told["failing"]["1.0"]["against"][0].startswith("pkg.core.Thing.run: raised")


# Explain.


def test_explain_tells_verdict_reason_and_calls(results: Results) -> None:
    """The calls that do not work, of all tiers, worst first."""
    found = explain(results, "Thing.run", "1.0.dev1")
    assert (found.function, found.verdict, found.detail) == (
        "pkg.core.Thing.run",
        "signature",
        "signature for a reason",
    )
    assert (found.judged, found.failing) == (2, 1)
    assert found.calls is not None
    assert [(row.call, row.verdict, row.tier) for row in found.calls] == [
        (3, "crash", "inner"),
        (1, "signature", "boundary"),
    ]


def test_explain_prints_them(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For people."""
    status, printed = ask(capsys, "explain", "Thing.run", "1.0.dev1", "--results", written)
    assert status == 0
    assert printed.splitlines() == [
        "pkg.core.Thing.run on 1.0.dev1: signature (the arguments do not bind to its parameters)",
        "  signature for a reason",
        "  1 of 2 judged calls do not work",
        "Calls that do not work or could not be replayed:",
        "  crash: call 3 of tests/test_pkg.py::test_0 [auth, inner]: crash for a reason",
        "  signature: call 1 of tests/test_pkg.py::test_1 [anonymous, boundary]",
    ]


def test_explain_works_on_committed_results(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They have no calls.csv.gz; the reason is still told, and where the calls would be."""
    (folder / "calls.csv.gz").unlink()
    status, printed = ask(capsys, "explain", "pkg.core.make", "0.9", "--results", folder)
    assert status == 0
    assert "missing for a reason" in printed
    assert "calls.csv.gz, which `nox -s matrix` writes; it is not there" in printed


def test_explain_tells_where_else_it_is_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same verdict for the same reason."""
    rows("f boundary anonymous missing missing ok missing ok").write(tmp_path)
    _, printed = ask(capsys, "explain", "f", "0.9", "--results", tmp_path)
    assert "  the same on 0.10, 1.0\n" in printed


def test_explain_lists_some_calls_unless_asked_for_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A function may have thousands."""
    rows("\n".join(["f boundary anonymous raised ok"] * 25), ["1.0", "1.1"]).write(tmp_path)
    _, printed = ask(capsys, "explain", "f", "1.0", "--results", tmp_path)
    assert printed.count("  raised: call ") == 20
    assert "… and 5 more (--all lists them)" in printed
    _, printed = ask(capsys, "explain", "f", "1.0", "--results", tmp_path, "--all")
    assert printed.count("  raised: call ") == 25


@pytest.mark.parametrize(
    ("function", "release", "message"),
    [
        ("pkg.core.making", "1.0", "there is no function 'pkg.core.making' in the results; close to it: pkg.core.make"),
        ("make", "1.2", "there is no release '1.2' in the results; close to it:"),
    ],
)
def test_explain_refuses_what_is_not_there(
    written: Path, capsys: pytest.CaptureFixture[str], function: str, release: str, message: str
) -> None:
    """One line, exit status 2."""
    status, printed = ask(capsys, "explain", function, release, "--results", written)
    assert (status, printed.startswith(f"caliper-matrix: {message}"), printed.count("\n")) == (2, True, 1)


def test_a_name_that_may_be_several_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One is not picked silently."""
    rows("pkg.a.run boundary anonymous ok\npkg.b.run boundary anonymous ok", ["1.1"]).write(tmp_path)
    status, printed = ask(capsys, "explain", "run", "1.1", "--results", tmp_path)
    assert (status, printed) == (2, "caliper-matrix: 'run' may be pkg.a.run, pkg.b.run; say which\n")


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(b"a,b\n1,2\n"), gzip.compress(b"x" * 9000)[:30]])
def test_damaged_calls_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str], data: bytes) -> None:
    """Not gzip, other columns, cut off."""
    (folder / "calls.csv.gz").write_bytes(data)
    status, printed = ask(capsys, "explain", "make", "0.9", "--results", folder)
    assert (status, printed.count("\n")) == (2, 1)
    assert "calls.csv.gz cannot be read: " in printed


# Changes.


def turned(release: str, verdict: str) -> Rows:
    """Return the small rows, the calls of a release changed to a verdict."""
    detail = "" if verdict == "ok" else "anew"
    calls = tuple(
        replace(row, verdict=verdict, detail=detail) if row.release == release else row for row in SMALL.calls
    )
    return replace(SMALL, calls=calls)


def test_changes_tell_what_turned_and_what_broke_first(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Functions and tests; equal turns of one function on several releases are one line."""
    made = turned("1.0", "raised")
    tests = tuple(replace(row, gated="works") if row.release in {"1.0", "1.0.dev1"} else row for row in made.tests)
    replace(made, tests=tests).write(tmp_path)
    status, printed = ask(capsys, "changes", written, tmp_path)
    lines = printed.splitlines()
    assert status == 0
    assert lines[:2] == ["functions:", "  broke: pkg.core.make: ok -> raised on 1.0"]
    assert "  turned: pkg.tools.lock: unreplayable -> raised on 1.0" in lines
    assert "  mended: tests/test_pkg.py::test_run [anonymous]: fails -> works on 1.0.dev1 to 1.0" in lines


def test_changes_name_releases_that_came_and_went(tmp_path: Path) -> None:
    """A cell of a release that only one of the two has did not turn."""
    rows("f boundary anonymous ok ok", ["1.0", "1.1"]).write(tmp_path / "old")
    rows("f boundary anonymous ok ok\ng boundary anonymous ok ok", ["1.1", "1.2"]).write(tmp_path / "new", "1.2")
    found = changes(read_results(tmp_path / "old"), read_results(tmp_path / "new"))
    assert (found.added, found.removed) == (("1.2",), ("1.0",))
    assert [(turn.function, turn.before, turn.after, turn.releases) for turn in found.functions] == [
        ("g", "", "ok", ("1.1",))
    ]


def test_equal_results_have_no_changes(written: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Told in words, and as empty lists."""
    assert ask(capsys, "changes", written, folder) == (0, "nothing turned\n")
    _, printed = ask(capsys, "changes", written, folder, "--json")
    assert json.loads(printed) == {"functions": [], "tests": [], "added": [], "removed": []}


def test_changes_speak_json(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each turn with its kind."""
    turned("1.1", "crash").write(tmp_path)
    _, printed = ask(capsys, "changes", written, tmp_path, "--json")
    told: list[dict[str, Any]] = json.loads(printed)["functions"]
    assert told[0] == {
        "kind": "broke", "function": "pkg.core.Thing.run", "before": "ok", "after": "crash", "releases": ["1.1"],
    }  # fmt: skip


# The command line.


@pytest.mark.parametrize("command", ["explain", "floor", "verify", "changes"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command shows how it is used."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"examples:\n  caliper-matrix {command}" in capsys.readouterr().out


def test_no_results_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong and what to do."""
    monkeypatch.chdir(tmp_path)
    status, printed = ask(capsys, "floor")
    assert status == 2
    assert printed.startswith("caliper-matrix: there is no results/*/matrix.csv here; make one with `nox -s matrix`, ")
    assert printed.count("\n") == 1


def test_answers_do_not_load_pandas(written: Path) -> None:
    """They are read with the standard library, so that an answer takes a tenth of a second."""
    program = (
        "import sys; from matrix.cli import main; main(sys.argv[1:]);"
        "sys.exit(any(name in sys.modules for name in ('pandas', 'numpy', 'matplotlib', 'jinja2')))"
    )
    command = [sys.executable, "-c", program, "verify", "==1.1", "--results", str(written)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0

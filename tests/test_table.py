"""Rows of judged calls become one verdict per cell, and files that are the same for any order of the rows."""

import csv
import gzip
import io
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import MASKS, RELEASES, SMALL, Rows, naive_worst, release_row, rows

from matrix import table as table_module
from matrix.cells import Extras, GapError
from matrix.rows import CALL_COLUMNS, VERDICTS, CallRow, TestRow, module_of, ranges, version_key, works
from matrix.table import matrix_csv, write_results

FILES = {
    "matrix.csv", "calls.csv.gz", "tests.csv", "tests-ungated.csv", "releases.csv", "run.json", "matrix.json",
    "heatmap.png", "heatmap.svg", "report.html", "summary.md", "junit.xml",
}  # fmt: skip
JUDGED = [verdict.name for verdict in VERDICTS[:-2]]


def read(data: bytes) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def cells(made: Rows, function: str, recorded: str = "1.1") -> list[str]:
    """Return the verdicts of a function, in version order."""
    table = made.build(recorded)
    return [table.cells[function, release].verdict for release in table.versions]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the small results."""
    out = tmp_path_factory.mktemp("results") / "pkg"
    SMALL.write(out)
    return out


def test_the_verdicts_are_those_of_the_design_worst_first() -> None:
    """The order in which a cell takes the worst of its calls is fixed."""
    assert [verdict.name for verdict in VERDICTS] == [
        "crash", "import-error", "missing", "signature", "shifted", "timeout", "raised", "changed", "blocked",
        "differs", "ok", "unreplayable", "install-error",
    ]  # fmt: skip


def test_only_ok_and_differs_work_and_two_are_unknown() -> None:
    """Everything else does not work."""
    assert {verdict.name for verdict in VERDICTS if verdict.works == "yes"} == {"ok", "differs"}
    assert {verdict.name for verdict in VERDICTS if verdict.works == "unknown"} == {"unreplayable", "install-error"}


def test_a_cell_is_the_worst_verdict_of_its_calls() -> None:
    """The calls of all profiles count together."""
    assert cells(SMALL, "pkg.core.Thing.run") == ["missing", "install-error", "signature", "raised", "ok"]


def test_inner_calls_of_a_boundary_function_do_not_count_in_its_cell() -> None:
    """The function that crashed when called from inside is a boundary row, so its cell does not say crash."""
    table = SMALL.build()
    assert table.cells["pkg.core.Thing.run", "1.0.dev1"].verdict == "signature"
    assert any(table.calls["verdict"] == "crash")


def test_unreplayable_calls_are_left_out_where_another_could_be_judged() -> None:
    """One call of the function cannot be replayed; the other one decides."""
    assert cells(SMALL, "pkg.tools.read_file") == ["missing", "install-error", "differs", "ok", "ok"]


def test_a_function_that_no_call_can_judge_is_unreplayable() -> None:
    """There is nothing else to say of it."""
    assert cells(SMALL, "pkg.tools.lock")[2:] == ["unreplayable"] * 3


def test_install_error_covers_the_whole_column() -> None:
    """No function has another verdict on a release that cannot be installed, and the release's reason is the cell's."""
    table = SMALL.build()
    found = {table.cells[row.function, "0.10"] for row in table.functions}
    assert {(cell.verdict, cell.detail) for cell in found} == {("install-error", "does not build")}


def test_the_reason_of_a_cell_is_the_one_that_most_of_its_worst_calls_give() -> None:
    """Among as many, the first in the alphabet, so that the order of the rows does not matter."""
    made = rows("\n".join(["pkg.a boundary anonymous missing ok"] * 3), ["1.0", "1.1"])
    details = iter(["b", "a", "b"])
    calls = tuple(replace(row, detail=next(details)) if row.verdict != "ok" else row for row in made.calls)
    assert replace(made, calls=calls).build().cells["pkg.a", "1.0"].detail == "b"
    details = iter(["c", "b", "a"])
    calls = tuple(replace(row, detail=next(details)) if row.verdict != "ok" else row for row in made.calls)
    assert replace(made, calls=calls).build().cells["pkg.a", "1.0"].detail == "a"


def test_a_cell_counts_its_calls() -> None:
    """Judged, failing and unreplayable calls are told apart."""
    cell = SMALL.build().cells["pkg.tools.read_file", "1.0.dev1"]
    assert (cell.judged, cell.failing, cell.unreplayable) == (1, 0, 1)


def test_releases_are_in_version_order() -> None:
    """0.10 follows 0.9, and a development release precedes its release."""
    shuffled = replace(SMALL, releases=tuple(reversed(SMALL.releases)))
    assert shuffled.build().versions == RELEASES


def test_functions_are_by_tier_then_module_then_path() -> None:
    """Every output has the same order."""
    table = SMALL.build()
    assert [row.function for row in table.functions] == [
        "pkg.core.Thing.run", "pkg.core.make", "pkg.tools.lock", "pkg.tools.read_file", "pkg.hidden._Box.open",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "module"),
    [
        ("oras.provider.Registry.push", "oras.provider"),
        ("oras.utils.fileio.read_file", "oras.utils.fileio"),
        ("packaging.version._BaseVersion.__lt__", "packaging.version"),
        ("pkg.make.<locals>.inner", "pkg"),
        ("pkg.core.Thing.Inner.run", "pkg.core"),
        ("Thing.run", "Thing.run"),
        ("lone", "lone"),
    ],
)
def test_the_module_of_a_function_is_read_from_its_path(function: str, module: str) -> None:
    """Classes begin with a capital letter, by convention."""
    assert module_of(function) == module


def test_the_module_can_be_told() -> None:
    """The convention does not always hold."""
    table = rows("pkg.auth.header.show boundary anonymous ok", ["1.1"]).build(
        extras=Extras(modules={"pkg.auth.header.show": "pkg.auth"})
    )
    assert (table.functions[0].module, table.functions[0].name) == ("pkg.auth", "header.show")


@pytest.mark.parametrize(
    ("releases", "words"),
    [
        (("0.9",), "0.9"),
        (("0.10", "0.9"), "0.9 to 0.10"),
        (("0.9", "1.0", "1.1"), "0.9, 1.0 to 1.1"),
        ((), ""),
    ],
)
def test_neighbouring_releases_are_told_as_a_range(releases: tuple[str, ...], words: str) -> None:
    """A gap begins a new range."""
    assert ranges(releases, RELEASES) == words


def test_what_is_no_version_sorts_first() -> None:
    """An index may hold such, and it must not stop the others."""
    assert sorted(["1.0", "banana", "0.9"], key=version_key) == ["banana", "0.9", "1.0"]


def test_a_call_without_a_row_is_an_error_of_ours() -> None:
    """A cell is never guessed: the error names release, function and call."""
    calls = tuple(row for row in SMALL.calls if not (row.call == 4 and row.release == "1.0"))
    with pytest.raises(GapError, match=r"no row for profile anonymous.*call 4.*pkg\.core\.make.*release 1\.0$"):
        replace(SMALL, calls=calls).build()


def test_a_test_without_a_row_is_an_error_of_ours() -> None:
    """Tests are graded on every release, also where nothing can be installed."""
    with pytest.raises(
        GapError, match=r"no row for test tests/test_pkg.py::test_run, profile anonymous, release 0\.9$"
    ):
        replace(SMALL, tests=SMALL.tests[1:]).build()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "fine"}, "'fine' is no verdict"),
        ({"tier": "outer"}, "'outer' is no tier"),
        ({"release": "7.0"}, "CallRow for 7.0, which is none of the releases"),
        ({"verdict": "install-error"}, "install-error on a release that was replayed"),
    ],
)
def test_a_call_that_no_list_of_ours_has_is_an_error(change: dict[str, str], message: str) -> None:
    """Unknown names do not become cells."""
    changed: list[CallRow] = [replace(SMALL.calls[0], **change), *SMALL.calls[1:]]  # type: ignore[arg-type]
    with pytest.raises(GapError, match=message):
        replace(SMALL, calls=tuple(changed)).build()


def test_two_rows_for_one_call_are_an_error() -> None:
    """One of them would be lost."""
    with pytest.raises(GapError, match=r"two rows for .*call 1"):
        replace(SMALL, calls=(*SMALL.calls, SMALL.calls[0])).build()


def test_a_release_that_is_there_twice_is_an_error() -> None:
    """One of them would be lost."""
    with pytest.raises(GapError, match="a release is there twice"):
        replace(SMALL, releases=(*SMALL.releases, SMALL.releases[0])).build()


def test_nothing_on_the_recorded_release_is_an_error() -> None:
    """The share of calls replayed, and the rows, rest on it."""
    with pytest.raises(GapError, match=r"nothing replayed on 0\.10, the recorded release"):
        SMALL.build("0.10")
    with pytest.raises(GapError, match="nothing replayed"):
        Rows((), (), (release_row("1.1"),)).build()


@st.composite
def grids(draw: st.DrawFn) -> tuple[Rows, random.Random]:
    """Return rows of a few functions on a few releases, and what shuffles them."""
    releases = draw(st.lists(st.sampled_from(RELEASES), min_size=1, max_size=5, unique=True))
    broken = draw(st.sets(st.sampled_from(releases), max_size=len(releases) - 1))
    verdicts = st.lists(st.sampled_from([*JUDGED, "unreplayable"]), min_size=len(releases), max_size=len(releases)).map(
        " ".join
    )
    names = st.sampled_from(["pkg.a", "pkg.B.c", "pkg.d.E.f"])
    line = st.tuples(names, st.sampled_from(["boundary", "inner"]), st.sampled_from(["anonymous", "auth"]), verdicts)
    lines = draw(st.lists(line.map(" ".join), min_size=1, max_size=8))
    return rows("\n".join(lines), releases, broken), draw(st.randoms(use_true_random=False))


@given(grids())
@settings(deadline=None, max_examples=30)
def test_every_cell_is_the_worst_of_its_tier_whatever_the_rows(grid: tuple[Rows, random.Random]) -> None:
    """Worked out anew the plain way: no cell is empty, none holds two verdicts."""
    made, _ = grid
    recorded = next(row.release for row in made.releases if row.status == "replayed")
    table = made.build(recorded)
    assert len(table.cells) == len({row.function for row in made.calls}) * len(made.releases)
    for function in table.functions:
        for release in made.releases:
            cell = table.cells[function.function, release.release]
            own = [row for row in made.calls if row.function == function.function]
            tier = "boundary" if any(row.tier == "boundary" for row in own) else "inner"
            here = [row.verdict for row in own if row.tier == tier and row.release == release.release]
            expected = naive_worst(here, [*JUDGED, "unreplayable"]) if here else "install-error"
            assert (function.tier, cell.verdict) == (tier, expected)
            assert cell.failing == sum(works(verdict) == "no" for verdict in here)


@given(grids())
@settings(deadline=None, max_examples=20)
def test_the_order_of_the_rows_does_not_matter(grid: tuple[Rows, random.Random]) -> None:
    """The same rows in another order give the same bytes."""
    made, shuffler = grid
    recorded = next(row.release for row in made.releases if row.status == "replayed")
    shuffled = Rows(
        tuple(shuffler.sample(made.calls, len(made.calls))),
        tuple(shuffler.sample(made.tests, len(made.tests))),
        tuple(shuffler.sample(made.releases, len(made.releases))),
    )
    one, other = made.build(recorded), shuffled.build(recorded)
    assert matrix_csv(one) == matrix_csv(other)
    assert one.cells == other.cells
    assert one.calls.equals(other.calls)


def test_matrix_csv_has_the_columns_of_the_design(folder: Path) -> None:
    """A row per function, a column per release in version order."""
    found = read((folder / "matrix.csv").read_bytes())
    assert list(found[0]) == ["function", "tier", "profiles", "calls", "unreplayable", *RELEASES]
    assert found[0] == {
        "function": "pkg.core.Thing.run", "tier": "boundary", "profiles": "anonymous auth", "calls": "2",
        "unreplayable": "0", "0.9": "missing", "0.10": "install-error", "1.0.dev1": "signature", "1.0": "raised",
        "1.1": "ok",
    }  # fmt: skip
    assert [row["unreplayable"] for row in found] == ["0", "0", "1", "1", "0"]


def test_calls_are_packed_without_a_time(folder: Path) -> None:
    """The header of the gzip file holds no time, and the columns are those of the design."""
    packed = (folder / "calls.csv.gz").read_bytes()
    assert packed[4:8] == b"\0\0\0\0"
    found = read(gzip.decompress(packed))
    assert tuple(found[0]) == CALL_COLUMNS
    assert len(found) == len(SMALL.calls)
    assert [row["release"] for row in found[:5]] == ["0.9", "1.0.dev1", "1.0", "1.1", "0.9"]


def test_tests_are_graded_in_two_tables(tmp_path: Path) -> None:
    """One gated by the imports of the file, one not."""
    first = replace(SMALL.tests[0], ungated="works")
    replace(SMALL, tests=(first, *SMALL.tests[1:])).write(tmp_path)
    gated, ungated = (read((tmp_path / name).read_bytes()) for name in ("tests.csv", "tests-ungated.csv"))
    assert list(gated[0]) == ["test", "profile", *RELEASES]
    assert [row["0.9"] for row in gated] == ["fails"] * 3
    assert [row["0.9"] for row in ungated] == ["fails", "fails", "works"]


def test_releases_count_what_works_of_what_is_known(folder: Path) -> None:
    """A release that cannot be installed has nothing that is known to work or not to."""
    found = read((folder / "releases.csv").read_bytes())
    assert list(found[0]) == [
        "release", "uploaded", "yanked", "installed", "plain_import", "python", "functions_working",
        "functions_total", "tests_working",
    ]  # fmt: skip
    counts = [(row["functions_working"], row["functions_total"], row["tests_working"]) for row in found]
    assert counts == [("0", "5", "0"), ("0", "0", "0"), ("2", "4", "1"), ("3", "4", "1"), ("4", "4", "2")]
    assert [row["yanked"] for row in found] == ["no"] * 5


def test_what_varies_is_in_run_json_alone(folder: Path) -> None:
    """It holds what the caller gave, no other file does."""
    assert json.loads((folder / "run.json").read_bytes()) == {"host": "here"}


def test_every_file_is_written_and_nothing_else(folder: Path) -> None:
    """No temporary file stays."""
    assert {path.name for path in folder.iterdir()} == FILES


def test_all_files_are_the_same_for_any_order_and_hash_seed(tmp_path: Path, folder: Path) -> None:
    """Another process, with other hashes and the rows the other way round, writes the same bytes."""
    program = (
        "from pathlib import Path; from judged import SMALL, Rows; import sys;"
        "Rows(*(part[::-1] for part in (SMALL.calls, SMALL.tests, SMALL.releases))).write(Path(sys.argv[1]))"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": os.pathsep.join(["tests", "."]),
        "TZ": "Asia/Tokyo",
    }
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, env=environment, cwd=root)
    different = {name for name in FILES if (tmp_path / name).read_bytes() != (folder / name).read_bytes()}
    assert different == set()


def test_writing_equal_results_again_changes_nothing(tmp_path: Path) -> None:
    """What the summary says of turning stays until something turns again."""
    SMALL.write(tmp_path)
    mended = tuple(replace(row, verdict="ok", detail="") if row.release == "1.0" else row for row in SMALL.calls)
    replace(SMALL, calls=mended).write(tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert "raised → **ok** on 1.0" in after["summary.md"].decode()
    replace(SMALL, calls=mended).write(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == after


def test_a_gap_leaves_earlier_results_as_they_were(tmp_path: Path) -> None:
    """Nothing is half-written: everything is made before the first file is."""
    SMALL.write(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(GapError):
        replace(SMALL, calls=SMALL.calls[1:]).write(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_summary_tells_what_was_written(tmp_path: Path) -> None:
    """A caller prints it, and need not read the files."""
    summary = SMALL.write(tmp_path)
    assert (summary.functions, summary.replayed, summary.calls) == (5, 6, 8)
    assert sum(summary.verdicts.values()) == 25
    assert summary.verdicts["install-error"] == 5
    assert summary.working == {"0.9": 0, "0.10": 0, "1.0.dev1": 2, "1.0": 3, "1.1": 4}


def test_hostile_text_survives_in_csv(tmp_path: Path) -> None:
    """Quotes, newlines and lone surrogates in a reason make neither a broken row nor an error."""
    detail = 'say "no",\nor\r\n\udc80 not'
    calls = (replace(SMALL.calls[0], detail=detail), *SMALL.calls[1:])
    replace(SMALL, calls=calls).write(tmp_path)
    found = read(gzip.decompress((tmp_path / "calls.csv.gz").read_bytes()))
    assert [row["detail"] for row in found if "say" in row["detail"]] == ['say "no",\nor\r\n\\udc80 not']


def test_results_without_tests_can_be_written(tmp_path: Path) -> None:
    """A trace of a script has none."""
    replace(SMALL, tests=()).write(tmp_path)
    assert read((tmp_path / "tests.csv").read_bytes()) == []
    assert (tmp_path / "tests.csv").read_text().startswith("test,profile,0.9,")


def test_the_table_offers_what_the_contract_names() -> None:
    """Callers import rows, verdicts and the writer from one place."""
    assert {"CallRow", "TestRow", "ReleaseRow", "VERDICTS", "write_results"} <= set(table_module.__all__)
    assert table_module.TestRow is TestRow
    assert write_results is table_module.write_results
    assert MASKS[0].field

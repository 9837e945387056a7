"""The whole job on another package, from a folder that knows nothing of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from indexes import Index, wheel

from matrix import cli
from matrix.commands.run import Place

OLD = "def add(a): return a\n"
NEW = "def add(a, b): return a + b\ndef double(a): return 2 * a\n"
FILES = (
    wheel("my-demo", "1.0", {"demo.py": OLD}),
    wheel("my-demo", "2.0", {"demo.py": NEW}),
    wheel("my-demo", "3.0rc1", {"demo.py": ""}),
    wheel("helper", "1.0", {"helper.py": "NUMBER = 4\n"}),
)
USE = "import demo, helper\n\nassert demo.double(helper.NUMBER) == 8\nassert demo.add(1, b=2) == 3\n"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """Start an index, and work in a folder with a program that uses a package of it."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "use.py").write_text(USE)
    (tmp_path / "work" / "trace.py").write_text("raise RuntimeError('not the one of the standard library')\n")
    monkeypatch.chdir(tmp_path / "work")
    for name, value in {
        "HOME": tmp_path,
        "XDG_CACHE_HOME": tmp_path / "cache",
        "UV_CACHE_DIR": tmp_path / "uv",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with Index(FILES) as running:
        monkeypatch.setenv("UV_DEFAULT_INDEX", running.address)
        yield running


@pytest.mark.slow
def test_a_package_is_judged_by_a_program_that_uses_it(index: Index, tmp_path: Path) -> None:
    """One command lists, records and judges; the results lie here, everything else in the cache."""
    command = ["run", "--package", "my-demo", "--module", "demo", "--with", "helper", "--", "python", "use.py"]
    assert cli.main(command) == cli.FINE
    work = tmp_path / "work"
    assert sorted(path.name for path in work.iterdir()) == ["results", "trace.py", "use.py"]
    assert (work / "results" / "my-demo" / "matrix.csv").read_text().splitlines() == [
        "function,tier,profiles,calls,unreplayable,1.0,2.0",
        "demo.add,boundary,default,1,0,signature,ok",
        "demo.double,boundary,default,1,0,missing,ok",
    ]
    place = Place.of("my-demo", work)
    assert place.folder.parent == tmp_path / "cache" / "caliper-matrix"
    index.asked.clear()
    assert cli.main(command) == cli.FINE
    assert not any("my-demo" in path for path in index.asked)
    assert cli.main(["clean"]) == cli.FINE
    assert not place.folder.parent.exists()
    assert "| self replay, " in (work / "results" / "my-demo" / "summary.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--package", "nodemo", "--", "python", "use.py"], "has no releases of a package 'nodemo'"),
        (["--package", "helper", "--", "nocommand"], "nocommand: no such command"),
        (["--package", "helper", "--", "python", "-c", "pass"], "the command called nothing of helper"),
        (["--package", "helper", "--with", "nowhere", "--", "python", "use.py"], "nowhere"),
    ],
)
@pytest.mark.usefixtures("index")
def test_what_cannot_be_done_is_told_in_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package, command or requirement that is not there: exit status 2."""
    assert cli.main(["run", *words]) == cli.USAGE
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if line.startswith("caliper-matrix: ")]) == 1
    assert said in lines[-1]


def test_a_folder_and_a_package_have_a_place_of_their_own(tmp_path: Path) -> None:
    """Two projects that judge the same package do not share a trace."""
    assert Place.of("demo", tmp_path) == Place.of("demo", tmp_path)
    assert Place.of("demo", tmp_path).folder != Place.of("demo", tmp_path / "other").folder
    assert Place.of("demo", tmp_path).folder != Place.of("other", tmp_path).folder

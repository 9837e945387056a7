"""``caliper-matrix release`` by hand, and what it says of bad input."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from indexes import Index, wheel

from matrix import cli, staleness
from matrix.index import fetch_releases
from matrix.releases import write_releases

FILES = (
    wheel("demo", "1.0", {"demo.py": ""}, ["nowhere"]),
    wheel("demo", "1.1", {"demo.py": ""}),
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder with a subject, its releases, and a file where its trace should be."""
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "demo-1.1-default.trace.jsonl.gz").write_bytes(b"no trace")
    (tmp_path / "demo.toml").write_text(f'name = "demo"\npython = "{staleness.PRESENT}"\ncommand = ["python"]\n')
    for name in ("HOME", "UV_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with Index(FILES) as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.address)
        releases = fetch_releases("demo", date(2026, 1, 1), index.address)
        write_releases(tmp_path / "traces" / "demo.releases.json", releases)
        yield tmp_path


def release(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command there."""
    command = [sys.executable, "-P", "-m", "matrix", "release", "--subject", "demo.toml", "--venv", "venv", *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


def test_an_environment_is_made_where_there_is_none(place: Path) -> None:
    """By hand no nox is needed; facts come as JSON, and the run file lies where the noxfile looks for it."""
    done = release(place, "1.0", "--json")
    assert done.returncode == cli.FINE, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["status"], facts["release"], facts["installed"]) == ("install-error", "1.0", "")
    assert facts["reason"].startswith("Because nowhere was not found in the package registry")
    run = json.loads((place / ".nox/.cache/caliper/demo/runs/1.0.json").read_text())
    assert {name: run[name] for name in facts if name != "run_file"} == {
        name: value for name, value in facts.items() if name != "run_file"
    }
    assert (place / "venv" / "pyvenv.cfg").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["7.0"], "demo has no release 7.0 in the list (there are 1.0, 1.1 …)"),
        (["1.1"], "not a trace"),
        (["1.0", "--cache", "demo.toml"], "demo.toml: nothing can be written (Not a directory)"),
        (["1.0", "--releases", "none.json"], "none.json: cannot be read (No such file or directory)"),
        (["1.0", "--python", "2.2"], "an environment of Python 2.2 was not installed"),
        (["1.0", "--subject", "none.toml"], "none.toml: no such subject file"),
    ],
)
def test_bad_input_is_one_line(place: Path, arguments: list[str], said: str) -> None:
    """What, where and what to do; nothing is stored."""
    done = release(place, *arguments)
    assert done.returncode == cli.USAGE
    assert done.stdout == ""
    assert done.stderr.startswith("caliper-matrix: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(place.glob(".nox/.cache/caliper/demo/runs/*"))


def test_without_a_trace_there_is_nothing_to_replay(place: Path) -> None:
    """One line tells how to get one."""
    next(place.glob("traces/*.gz")).unlink()
    done = release(place, "1.1")
    assert done.returncode == cli.USAGE
    assert "there is no trace of demo in traces/;" in done.stderr

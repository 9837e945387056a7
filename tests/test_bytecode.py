"""Bytecode that environments share, as Python itself takes it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from matrix.bytecode import keep, lend
from matrix.environment import Environment, read_environment, site_packages
from matrix.installer import make_environment

SOURCE = "def name(): return 'old'\n"


def install(venv: Path, wheel: Path, name: str) -> Environment:
    """Install a package of one module as uv does, by linking what was unpacked once."""
    make_environment(venv, sys.executable)
    site = site_packages(venv)
    (site / name).mkdir()
    os.link(wheel, site / name / "__init__.py")
    record = f"{name}/__init__.py,sha256={hashlib.sha256(wheel.read_bytes()).hexdigest()},1\n../../../bin/{venv},,\n"
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text(record)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    return read_environment(venv)


def run(environment: Environment) -> str:
    """Import the package and return what it says; whether it was compiled shows in its folder."""
    command = [str(environment.python), "-c", "import thing; print(thing.name(), thing.__cached__)"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Return a module that was unpacked once."""
    (tmp_path / "unpacked.py").write_text(SOURCE)
    return tmp_path / "unpacked.py"


def compiled(environment: Environment) -> list[Path]:
    """Return the files of bytecode in an environment."""
    return sorted(site_packages(environment.venv).rglob("*.pyc"))


def test_a_package_is_compiled_once(tmp_path: Path, wheel: Path) -> None:
    """What one environment compiled is what Python takes in the next."""
    first, second = (install(tmp_path / name, wheel, "thing") for name in ("one", "two"))
    run(first)
    keep(tmp_path / "shelf", first, "other")
    lend(tmp_path / "shelf", second)
    (bytecode,) = compiled(second)
    there = bytecode.stat()
    assert there.st_ino == compiled(first)[0].stat().st_ino
    assert str(bytecode) in run(second)
    assert bytecode.stat().st_ino == there.st_ino  # Python would have put another one in its place


def test_bytecode_of_another_source_is_not_used(tmp_path: Path, wheel: Path) -> None:
    """A module that was edited is compiled again, and what others have stays as it is."""
    first, second = (install(tmp_path / name, wheel, "thing") for name in ("one", "two"))
    run(first)
    keep(tmp_path / "shelf", first, "other")
    lend(tmp_path / "shelf", second)
    module = site_packages(second.venv) / "thing" / "__init__.py"
    module.unlink()
    module.write_text("def name(): return 'newer'\n")
    assert run(second).startswith("newer ")
    assert run(first).startswith("old ")


def test_the_subject_is_not_kept(tmp_path: Path, wheel: Path) -> None:
    """It is another one in each environment; and what is there already is no mistake."""
    environment = install(tmp_path / "one", wheel, "thing")
    run(environment)
    keep(tmp_path / "shelf", environment, "Thing")
    assert list(tmp_path.glob("shelf/*")) == []
    for _ in range(2):
        keep(tmp_path / "shelf", environment, "other")
        lend(tmp_path / "shelf", environment)
    assert len(list(tmp_path.rglob("shelf/**/*.pyc"))) == len(compiled(environment)) == 1

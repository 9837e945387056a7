"""A subject in three releases, whose wheels bring a suite, on an index on loopback."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest
from indexes import File, Index, wheel

from matrix.index import fetch_releases
from matrix.releases import ReleaseList
from matrix.staleness import PRESENT
from matrix.subject import Profile, Subject
from matrix.suite.stage import Stage

AS_OF = date(2024, 6, 1)
NEEDED = ("pluggy", "iniconfig", "packaging", "pygments")

DEMO = {
    "1.0": """
def double(value):
    return value + value
""",
    "1.1": """
SIZE = 3

def double(value):
    return value * 2

def half(value, exact=False):
    return value / 2
""",
    "1.2": '''
SIZE = 3

def double(value):
    """Return twice the value."""
    return value * 2

def half(value, exact=True):
    if exact and value % 2:
        raise ValueError("not even")
    return value // 2

def unused(value):
    return -value
''',
}
SUITE = {
    "demo/tests/__init__.py": "",
    "demo/tests/data.txt": "4",
    "demo/tests/test_double.py": """
import os
from pathlib import Path
from demo import double

def test_double():
    assert double(int((Path(__file__).parent / "data.txt").read_text())) == 8

def test_place():
    assert Path.cwd().joinpath("demo/tests").is_dir() and Path.home() != Path("/root")

def test_profile():
    assert os.environ["DEMO"] == "loud"
""",
    "demo/tests/test_half.py": """
import pytest
from demo import SIZE, half

def test_half():
    assert half(4) == 2

def test_size():
    assert SIZE == 3

def test_exact():
    with pytest.raises(ValueError):
        half(3)

def test_never():
    pytest.skip("never")

def test_left_out():
    assert False
""",
}
LEFT_OUT = "demo/tests/test_half.py::test_left_out"


def sources(name: str) -> dict[str, str]:
    """Return the files of an installed package or module."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    if not spec.submodule_search_locations:
        return {f"{name}.py": Path(spec.origin).read_text()}
    root = Path(spec.origin).parent
    return {f"{name}/{path.relative_to(root)}": path.read_text() for path in root.rglob("*.py")}


def files() -> list[File]:
    """Return what the index has: the releases, one that needs another Python, and the pytest that runs this."""
    releases = [wheel("demo", number, {"demo/__init__.py": text, **SUITE}) for number, text in DEMO.items()]
    return [*releases, wheel("demo", "1.0.1", {"demo/__init__.py": ""}, requires_python=">=3.99"), *tools()]


def tools() -> list[File]:
    """Return the pytest that runs this, with what it needs."""
    needs = [wheel(name, version(name), sources(name)) for name in NEEDED]
    pytest_files = sources("py") | sources("_pytest") | sources("pytest")
    return [*needs, wheel("pytest", version("pytest"), pytest_files, NEEDED)]


@contextmanager
def stage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Start the index, and return a stage for the subject on it."""
    with Index(files()) as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.address)
        monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv-cache"))
        listed = fetch_releases("demo", AS_OF, index.address)
        yield make_stage(listed, folder)


def make_stage(listed: ReleaseList, folder: Path) -> Stage:
    """Return the stage."""
    subject = Subject(
        name="demo",
        modules=("demo",),
        command=("pytest", "-q", "demo/tests"),
        suite="demo/tests",
        test_requires=("pytest",),
        profiles={"loud": Profile("loud", {"DEMO": "loud"}, (LEFT_OUT,)), "calm": Profile("calm", {"DEMO": "calm"})},
    )
    return Stage(subject, listed, "1.2", PRESENT, folder / "cache")

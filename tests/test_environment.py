"""Installing one release alone: what is there afterwards, what a refusal says, and what is no refusal."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from indexes import Index, sdist, wheel

from matrix import environment, installer
from matrix.environment import EnvironmentError as NoEnvironmentError
from matrix.environment import conflicts, prepare, read_environment, shared_folder
from matrix.index import fetch_releases
from matrix.installer import InstallerError, InstallError, failure, make_environment, normal, one_line, reason
from matrix.releases import ReleaseList

AS_OF = date(2024, 6, 1)
FAILING = 'def build_wheel(*_): raise RuntimeError("no compiler in /usr/local/bin/gcc")'
OFFLINE = 'def build_wheel(*_): raise OSError("[Errno 101] Network is unreachable")'
FILES = (
    wheel("demo", "1.0", {"demo/__init__.py": "import base\n"}, ["base>=1"]),
    wheel("demo", "1.1", {"demo/__init__.py": "import base, extra\n"}, ["base"]),
    wheel("demo", "1.2", {"demo/__init__.py": "import base\n"}, ["base==9"]),
    wheel(
        "demo",
        "1.3",
        {"demo/__init__.py": ""},
        requires_python=">=3.99",
    ),
    sdist("demo", "1.4"),
    sdist("demo", "1.5", FAILING),
    sdist("demo", "1.6", OFFLINE),
    wheel("demo", "1.7", {"demo/__init__.py": ""}, ["nowhere"]),
    wheel("demo", "1.8", {"demo/__init__.py": "import base\n"}, ["base"], uploaded="2024-06-01T08:00:00.000000Z"),
    wheel("base", "1.0", {"base.py": "VERSION = 1\n"}),
    wheel("base", "2.0", {"base.py": "VERSION = 2\n"}, uploaded="2024-05-31T23:59:59.000000Z"),
    wheel("base", "3.0", {"base.py": "VERSION = 3\n"}, uploaded="2024-06-01T00:00:00.000000Z"),
    wheel("extra", "1.0", {"extra.py": ""}, ["base<2"]),
    wheel("extra", "1.1", {"extra.py": ""}, ["base; python_version<'3'"], uploaded="2025-01-01T00:00:00.000000Z"),
)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    """Start an index and make it the one that uv uses, with a cache of its own and no second tries."""
    with Index(FILES) as running:
        monkeypatch.setenv("UV_DEFAULT_INDEX", running.address)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        yield running


@pytest.fixture
def releases(index: Index) -> ReleaseList:
    """Return the list of the index's releases."""
    return fetch_releases("demo", AS_OF, index.address)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Return an empty environment of this Python."""
    make_environment(tmp_path / "venv", sys.executable)
    return tmp_path / "venv"


def test_a_release_is_installed_alone_as_of_a_day(venv: Path, releases: ReleaseList) -> None:
    """It is there with what it declares, in the newest versions from before that day (UTC), and nothing else."""
    there = prepare(venv, "demo", releases.find("1.0"), releases.as_of)
    assert there.packages == {"base": "2.0", "demo": "1.0"}
    assert there.minor == f"{sys.version_info.major}.{sys.version_info.minor}"
    told = subprocess.run(
        [there.python, "-c", "import demo; print(demo.base.VERSION)"], check=True, capture_output=True
    )
    assert told.stdout == b"2\n"


def test_a_release_may_be_as_young_as_the_list(venv: Path, releases: ReleaseList) -> None:
    """The day holds for dependencies; a release of that very day is listed and so can be installed."""
    assert prepare(venv, "demo", releases.find("1.8"), releases.as_of).packages == {"base": "2.0", "demo": "1.8"}


def test_a_source_distribution_is_built(venv: Path, releases: ReleaseList) -> None:
    """A release without a wheel is installed all the same."""
    assert prepare(venv, "demo", releases.find("1.4"), releases.as_of).packages == {"demo": "1.4"}


def test_an_unchanged_environment_costs_no_request(venv: Path, releases: ReleaseList, index: Index) -> None:
    """The second time nothing is asked and nothing written but the stamp."""
    first = prepare(venv, "demo", releases.find("1.0"), releases.as_of)
    index.asked.clear()
    assert prepare(venv, "demo", releases.find("1.0"), releases.as_of) == first
    assert index.asked == []


def test_an_environment_with_anything_else_is_emptied_first(venv: Path, releases: ReleaseList) -> None:
    """What another day or another release left behind does not stay where it happens to satisfy."""
    prepare(venv, "demo", releases.find("1.0"), releases.as_of)
    older = prepare(venv, "demo", releases.find("1.0"), "2024-05-31")
    assert older.packages == {"base": "1.0", "demo": "1.0"}
    assert prepare(venv, "demo", releases.find("1.4"), releases.as_of).packages == {"demo": "1.4"}


def test_an_installation_that_was_cut_off_is_begun_again(venv: Path, releases: ReleaseList) -> None:
    """Without a stamp nothing that lies there is trusted."""
    prepare(venv, "demo", releases.find("1.0"), releases.as_of)
    (venv / environment.STAMP).unlink()
    (environment.site_packages(venv) / "base.py").unlink()
    prepare(venv, "demo", releases.find("1.0"), releases.as_of)
    assert (environment.site_packages(venv) / "base.py").exists()


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("1.2", "Because there is no version of base==9 and demo==1.2 depends on base==9, we can conclude"),
        ("1.3", "does not satisfy Python>=3.99 and demo==1.3 depends on Python>=3.99"),
        ("1.5", "Failed to build `demo==1.5`: RuntimeError: no compiler in gcc"),
        ("1.7", "Because nowhere was not found in the package registry and demo==1.7 depends on nowhere"),
    ],
)
def test_a_refusal_is_told_in_one_line_that_is_equal_everywhere(
    venv: Path, releases: ReleaseList, version: str, why: str
) -> None:
    """What cannot be resolved, built or run on this Python is an install error, without paths."""
    with pytest.raises(InstallError) as raised:
        prepare(venv, "demo", releases.find(version), releases.as_of)
    assert why in raised.value.reason
    assert "\n" not in raised.value.reason
    assert "/" not in raised.value.reason
    assert not (venv / environment.STAMP).exists()


def test_a_build_that_lacks_the_network_is_no_refusal(venv: Path, releases: ReleaseList) -> None:
    """What failed for an accident is raised as one."""
    with pytest.raises(InstallerError, match="nothing is recorded"):
        prepare(venv, "demo", releases.find("1.6"), releases.as_of)


@pytest.mark.parametrize("status", [500, 403, 404])
def test_an_index_that_does_not_answer_is_no_refusal(
    venv: Path, releases: ReleaseList, index: Index, status: int
) -> None:
    """A server that is down, denies, or has never heard of a package that is listed says nothing about a release."""
    index.status = status
    with pytest.raises(InstallerError, match="nothing is recorded"):
        prepare(venv, "demo", releases.find("1.0"), releases.as_of)


def test_an_index_that_is_gone_is_no_refusal(
    venv: Path, releases: ReleaseList, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection and uv's offline mode are accidents."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    with pytest.raises(InstallerError, match=r"Failed to fetch|error sending request"):
        prepare(venv, "demo", releases.find("1.0"), releases.as_of)
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(InstallerError):
        prepare(venv, "demo", releases.find("1.0"), releases.as_of)


def test_an_index_without_upload_times_is_no_refusal(venv: Path, releases: ReleaseList, index: Index) -> None:
    """Where no time is told nothing is "as of" a day: uv leaves such files out, which is not the release's fault."""
    index.forms = frozenset({"simple-html"})
    with pytest.raises(InstallerError, match="tells no upload times"):
        prepare(venv, "demo", releases.find("1.0"), releases.as_of)


def test_a_file_of_another_hash_is_no_refusal(venv: Path, releases: ReleaseList, index: Index) -> None:
    """What the index serves must be what the list was made of."""
    index.files = [wheel("demo", "1.0", {"demo/__init__.py": "EVIL = 1\n"}), *FILES[1:]]
    with pytest.raises(InstallerError, match="Hash mismatch"):
        prepare(venv, "demo", releases.find("1.0"), releases.as_of)
    assert "demo" not in read_environment(venv).packages


def test_a_folder_that_is_no_environment_is_named(tmp_path: Path, releases: ReleaseList) -> None:
    """One line for a folder that is not there, and for one without a Python that starts."""
    with pytest.raises(NoEnvironmentError, match="is not a virtual environment"):
        prepare(tmp_path / "none", "demo", releases.find("1.0"), releases.as_of)
    with pytest.raises(InstallerError, match=r"an environment of Python 2\.1 was not installed"):
        make_environment(tmp_path / "venv", "2.1")


def test_a_python_that_does_not_start_is_no_refusal(venv: Path, releases: ReleaseList) -> None:
    """An environment whose interpreter is broken fails with one line."""
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").write_text("#!/nonexistent\n")
    with pytest.raises(InstallerError) as raised:
        prepare(venv, "demo", releases.find("1.0"), releases.as_of)
    assert "\n" not in str(raised.value)


def test_a_config_file_around_changes_nothing(
    venv: Path, releases: ReleaseList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The uv.toml of the folder that we run in does not count, nor does an exclude-newer of the user's."""
    (tmp_path / "uv.toml").write_text('constraint-dependencies = ["base<2"]\n[pip]\nno-deps = true\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2020-01-01")
    assert prepare(venv, "demo", releases.find("1.0"), releases.as_of).packages == {"base": "2.0", "demo": "1.0"}


def test_what_the_tests_need_besides_is_installed_once(venv: Path, releases: ReleaseList, tmp_path: Path) -> None:
    """Sessions at the same time share one folder, found again by what it was made of."""
    there = prepare(venv, "demo", releases.find("1.0"), releases.as_of)
    found: list[Path | None] = []
    sessions = [
        threading.Thread(target=lambda: found.append(shared_folder(["extra"], there, releases.as_of, tmp_path)))
        for _ in range(3)
    ]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()
    folder = found[0]
    assert found == [folder] * 3
    assert folder is not None
    assert {path.name for path in folder.iterdir()} >= {"extra.py", "base.py"}
    assert sorted(path.name for path in folder.parent.iterdir() if not path.name.endswith(".lock")) == [folder.name]
    later = shared_folder(["extra"], there, "2025-06-01", tmp_path)
    assert later != folder
    assert shared_folder([], there, releases.as_of, tmp_path) is None


def test_a_shared_folder_that_cannot_be_filled_says_nothing_about_a_release(
    venv: Path, releases: ReleaseList, tmp_path: Path, index: Index
) -> None:
    """The error is raised, nothing half-filled stays, and the next try succeeds."""
    there = prepare(venv, "demo", releases.find("1.0"), releases.as_of)
    index.status = 500
    with pytest.raises(InstallerError, match="extra"):
        shared_folder(["extra"], there, releases.as_of, tmp_path)
    assert [path.suffix for path in (tmp_path / "also").iterdir()] == [".lock"]
    index.status = 200
    assert shared_folder(["extra"], there, releases.as_of, tmp_path)


def test_conflicts_of_the_shared_folder_are_told(venv: Path, releases: ReleaseList, tmp_path: Path) -> None:
    """The release's own packages win; what in the folder needs other versions of them is named."""
    there = prepare(venv, "demo", releases.find("1.0"), releases.as_of)
    folder = shared_folder(["extra"], there, releases.as_of, tmp_path)
    assert folder is not None
    assert conflicts(folder, there) == ["extra 1.0 needs base<2, the release brings 2.0"]
    alone = prepare(venv, "demo", releases.find("1.4"), releases.as_of)
    assert conflicts(folder, alone) == []
    later = shared_folder(["extra"], there, "2025-06-01", tmp_path)
    assert later is not None
    assert conflicts(later, there) == []  # its requirement is for another Python


def test_uv_is_found_and_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The uv that nox brings is used; without one the line says how to get it."""
    assert Path(installer.uv()).name == "uv"
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InstallerError, match="pip install uv"):
        installer.uv()


def test_words_that_are_not_known_are_no_refusal() -> None:
    """Whatever uv may say one day: only what is understood is recorded."""
    assert isinstance(failure("demo==1", "error: something new"), InstallerError)
    assert isinstance(failure("demo==1", ""), InstallerError)
    crowded = "error: Failed to build `demo==1`\n  cause: No space left on device (os error 28)"
    assert isinstance(failure("demo==1", crowded), InstallerError)


def test_what_uv_says_is_made_one_line() -> None:
    """Lines before the error and hints are left out; a cause that the line before it holds is not repeated."""
    said = "warning: old\nUsing Python 3.11\nerror: A\n  cause: B of x\n  cause: B of x\n\nhint: C: error: D"
    assert one_line(said) == "A; B of x"
    assert reason("error: No solution found when resolving dependencies\n  cause: Because x") == "Because x"
    assert normal("the current Python version (3.11.7) at 0x7f0000001234 in /a/b/c.py") == (
        "the current Python version (3.11) at 0x… in c.py"
    )


def test_an_environment_is_read_without_a_process(tmp_path: Path) -> None:
    """Names are normal, versions as installed; a stamp that is broken counts as none."""
    site = tmp_path / "lib" / "python3.9" / "site-packages"
    (site / "My_Demo-1.0.dist-info").mkdir(parents=True)
    (site / "My_Demo-1.0.dist-info" / "METADATA").write_text("Name: My_Demo\nVersion: 1.0\n")
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.9.2\n")
    (tmp_path / environment.STAMP).write_text(json.dumps([]))
    there = read_environment(tmp_path)
    assert (there.packages, there.python_version, there.minor) == ({"my-demo": "1.0"}, "3.9.2", "3.9")

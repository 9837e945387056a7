"""The container image: its parts by themselves, and built and run wherever a Docker daemon answers."""

import gzip
import hashlib
import importlib.util
import json
import os
import py_compile
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from matrix.turned import turned

ROOT = Path(__file__).parents[1]
BASE, OFFICIAL = "caliper-base:bookworm", "python:3.11-slim-bookworm"
# `nox -s image` names it, and has it built of all releases; else the latest four are enough to see that it works.
WHOLE = "CALIPER_IMAGE" in os.environ
TAG = os.environ.get("CALIPER_IMAGE", "caliper-matrix:checked")
ROUNDS = int(os.environ.get("CALIPER_IMAGE_ROUNDS", "5"))
HARDENED = ["--network=none", "--read-only", "--tmpfs=/tmp:exec", "--cap-drop=ALL"]
UNPRIVILEGED = os.getuid() or 10001
HARDENED += ["--security-opt=no-new-privileges", f"--user={UNPRIVILEGED}"]


def program(name: str) -> ModuleType:
    """Load one of the image's programs."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "container" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


entrypoint, tidy = program("entrypoint"), program("tidy")


# -- the parts


def test_without_a_daemon_there_is_one_line(tmp_path: Path) -> None:
    """`nox -s image` says what is missing, and that it is the environment: exit 2."""
    command = [sys.executable, "-m", "nox", "--envdir", str(tmp_path), "-s", "image"]
    nowhere = {**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:1"}
    done = subprocess.run(command, cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("no Docker daemon answers: start one, or set DOCKER_HOST") == 1
    assert "Traceback" not in done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder laid out as /opt/caliper is."""
    home = tmp_path / "home"
    for name in (".nox/engine/bin", ".nox/release-oras-1/lib", ".nox/.cache/caliper/oras/also/abc", "matrix", "traces"):
        (home / name).mkdir(parents=True)
    for name in ("noxfile.py", "pyproject.toml", "traces/oras.releases.json", ".nox/.cache/caliper/python-3.11.json"):
        (home / name).write_text("{}", encoding="utf-8")
    return home


def test_what_follows_the_image_is_a_command() -> None:
    """Nothing is the matrix, nox is nox, anything else is a command of caliper-matrix."""
    assert entrypoint.command([])[-3:] == ["nox", "-s", "matrix"]
    assert entrypoint.command(["nox", "-l"])[-2:] == ["nox", "-l"]
    assert entrypoint.command(["diff", "1", "2"])[-4:] == ["matrix", "diff", "1", "2"]


def test_the_work_folder_links_what_is_large(home: Path, tmp_path: Path) -> None:
    """Environments and code are links; the list of releases is a copy, so that it can be renewed; results are empty."""
    work = tmp_path / "work"
    entrypoint.lay_out(home, work, tmp_path / "none")
    for name in (".nox/engine", ".nox/release-oras-1", ".nox/.cache/caliper/oras/also/abc", "matrix", "noxfile.py"):
        assert (work / name).readlink() == home / name
    assert not (work / "traces").is_symlink()
    assert (work / "traces/oras.releases.json").is_file()
    assert (work / ".nox/.cache/caliper/python-3.11.json").is_file()
    assert list((work / "results").iterdir()) == []


def test_the_work_folder_is_laid_anew(home: Path, tmp_path: Path) -> None:
    """What a killed container left is gone, and traces that are mounted take the place of those in the image."""
    work, traces = tmp_path / "work", tmp_path / "traces"
    traces.mkdir()
    (work / "results").mkdir(parents=True)
    (work / "results/old").write_text("x", encoding="utf-8")
    entrypoint.lay_out(home, work, traces)
    assert (work / "traces").readlink() == traces
    assert list((work / "results").iterdir()) == []


def test_results_are_read_without_following_links(tmp_path: Path) -> None:
    """Old code cannot have a file of ours delivered in its place."""
    (tmp_path / "oras").mkdir()
    (tmp_path / "oras/matrix.csv").write_bytes(b"table")
    (tmp_path / "oras/secret.csv").symlink_to("/etc/passwd")
    (tmp_path / "elsewhere").symlink_to("/etc")
    (tmp_path / "oras/.matrix.csv.making").write_bytes(b"half")
    assert entrypoint.read(tmp_path) == {"oras/matrix.csv": b"table"}


def test_results_are_written_whole(tmp_path: Path) -> None:
    """Files are written under another name first, which a later delivery uses again."""
    (tmp_path / "oras").mkdir()
    (tmp_path / "oras/.matrix.csv.making").write_bytes(b"left by a killed container")
    entrypoint.write(tmp_path, {"oras/matrix.csv": b"table"})
    assert [path.name for path in (tmp_path / "oras").iterdir()] == ["matrix.csv"]


def test_results_belong_to_the_owner_of_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is delivered is the folder's owner's, whoever this process is."""
    owner = os.getuid() or 1234
    # Not pytest's folder, which nobody else may enter.
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(entrypoint, "RESULTS", Path(folder))
        give(Path(folder), owner)
        entrypoint.deliver({"oras/matrix.csv": b"table"}, draws=True)
        assert Path(folder, "oras/matrix.csv").read_bytes() == b"table"
        assert Path(folder, "oras/matrix.csv").stat().st_uid == owner
    assert os.geteuid() == os.getuid()


def test_results_without_a_folder_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A matrix that nobody will see is worth a line; a command that made no file is not."""
    monkeypatch.setattr(entrypoint, "RESULTS", tmp_path / "none")
    entrypoint.deliver({}, draws=False)
    assert capsys.readouterr().err == ""
    entrypoint.deliver({"oras/matrix.csv": b"table"}, draws=True)
    assert "no folder is mounted" in capsys.readouterr().err


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is an error with its reason, not a traceback."""
    monkeypatch.setattr(entrypoint, "RESULTS", tmp_path)
    (tmp_path / "oras").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(entrypoint.LackingError, match="cannot be written: File exists"):
        entrypoint.deliver({"oras/matrix.csv": b"table"}, draws=True)


def test_a_command_that_is_stopped_is_ended(tmp_path: Path) -> None:
    """The entry point ends a command that ignores being asked, and says which signal it was."""
    code = (
        "import importlib.util, os, pathlib, signal, sys\n"
        f"sys.path.insert(0, {str(ROOT / 'container')!r})\n"
        "import entrypoint\n"
        "stubborn = 'import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)'\n"
        "user = entrypoint.User(os.getuid(), os.getgid())\n"
        "running = entrypoint.Running([sys.executable, '-c', stubborn], pathlib.Path(sys.argv[1]), user)\n"
        "code = running.wait()\n"
        "print(code, running.stopped)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        began = time.monotonic()
        process.terminate()
        assert process.stdout.readline() == f"{128 + 9} 15\n"
    assert time.monotonic() - began < 2


def test_bytecode_of_one_source_is_one_file(tmp_path: Path) -> None:
    """Environments that share a source share its bytecode, which still loads; bytecode without a source goes."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a/module.py").write_text("VALUE = 1\n", encoding="utf-8")
    (tmp_path / "b/module.py").hardlink_to(tmp_path / "a/module.py")
    (tmp_path / "b/other.py").write_text("VALUE = 2\n", encoding="utf-8")
    compiled = {}
    for path in ("a/module.py", "b/module.py", "b/other.py"):
        compiled[path] = Path(str(py_compile.compile(str(tmp_path / path), doraise=True)))
    (tmp_path / "b/__pycache__/gone.cpython-311.pyc").write_bytes(b"x")
    assert tidy.share_bytecode(tmp_path) == compiled["a/module.py"].stat().st_size + 1
    assert compiled["a/module.py"].samefile(compiled["b/module.py"])
    assert not compiled["a/module.py"].samefile(compiled["b/other.py"])
    assert not (tmp_path / "b/__pycache__/gone.cpython-311.pyc").exists()
    command = [sys.executable, "-v", "-B", "-c", "import module; print(module.VALUE)"]
    done = subprocess.run(command, cwd=tmp_path / "b", check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "1\n"
    assert f"matches {tmp_path / 'b/module.py'}" in done.stderr


def test_equal_files_are_one_file_whose_bytecode_is_good(tmp_path: Path) -> None:
    """Equal files of several packages are kept once, and what bytecode is left is that of the source that is left."""
    names = ("a/module.py", "b/module.py", "c/module.py", "d/other.py")
    for at, name in enumerate(names):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("VALUE = 2\n" if name == "d/other.py" else "VALUE = 1\n", encoding="utf-8")
        os.utime(tmp_path / name, (at, at))
        if name != "a/module.py":
            py_compile.compile(str(tmp_path / name), doraise=True)
    (tmp_path / "b/program").write_text("VALUE = 1\n", encoding="utf-8")
    (tmp_path / "b/program").chmod(0o755)
    assert tidy.share_files(tmp_path) == 2 * len("VALUE = 1\n")
    assert len({(tmp_path / name).stat().st_ino for name in names}) == 2
    assert not (tmp_path / "b/program").samefile(tmp_path / "b/module.py")
    tidy.share_bytecode(tmp_path)
    for name in ("b", "c"):
        command = [sys.executable, "-v", "-B", "-c", "import module; print(module.VALUE)"]
        done = subprocess.run(command, cwd=tmp_path / name, check=True, capture_output=True, text=True, timeout=60)
        assert done.stdout == "1\n"
        assert f"matches {tmp_path / name / 'module.py'}" in done.stderr


def test_what_no_run_needs_goes(tmp_path: Path) -> None:
    """Suites and stubs of the libraries go, stubs inside of suites too; the libraries stay."""
    for name in ("pandas/tests/a.py", "pandas/tests/a.pyi", "pandas/core.py", "pandas/core.pyi", "fontTools/misc/b.so"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    tidy.remove(tmp_path, tidy.UNUSED)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")] == ["pandas/core.py"]


def test_what_root_made_can_be_read(tmp_path: Path) -> None:
    """Folders and files that only their owner may read are opened up, links left alone."""
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "folder/file").write_text("x", encoding="utf-8")
    (tmp_path / "folder/file").chmod(0o600)
    (tmp_path / "folder/link").symlink_to("nowhere")
    tidy.open_up(tmp_path)
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "folder/file").stat().st_mode & 0o777 == 0o644


def test_a_python_that_cannot_be_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out with a line that names it; the build goes on."""
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    present = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [sys.executable, str(ROOT / "container/pythons.py"), "3.99", present]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    missing, found = done.stdout.splitlines()
    assert missing == "Python 3.99: left out, uv cannot fetch it here and the base image has none"
    assert found.startswith(f"Python {present}: ")


def test_the_image_is_built_without_the_committed_results() -> None:
    """What is not named stays out of the build, and results are not named: those in the image are its own."""
    first, *named = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()[1:]
    assert first == "*"
    assert not [line for line in named if line.startswith("!") and (line == "!results" or "/" in line or "*" in line)]
    assert "COPY . " not in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_lock_holds_what_the_project_needs() -> None:
    """Each dependency is locked by version and hash, at a version that the project allows."""
    packaging = pytest.importorskip("packaging.requirements")
    tomllib = pytest.importorskip("tomllib")
    text = (ROOT / "container/requirements.txt").read_text(encoding="utf-8")
    blocks = [block for block in text.split("\n") if "==" in block]
    locked: dict[str, list[str]] = {}
    for line in blocks:
        name, _, version = line.partition(" ")[0].partition("==")
        locked.setdefault(name, []).append(version)
    assert text.count("--hash=sha256:") >= len(blocks)
    for dependency in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]:
        requirement = packaging.Requirement(dependency)
        assert any(version in requirement.specifier for version in locked[requirement.name]), dependency


# -- the image


def docker(*arguments: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the docker command line."""
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True, timeout=timeout)
    assert not check or done.returncode == 0, (
        f"docker {' '.join(arguments)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )
    return done


def inspect(name: str) -> Any:  # noqa: ANN401 (JSON is anything)
    """Return what Docker knows of an image."""
    return json.loads(docker("image", "inspect", name).stdout)[0]


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of traces with a list of the latest four releases."""
    folder = tmp_path_factory.mktemp("few") / "traces"
    shutil.copytree(ROOT / "traces", folder)
    listed = folder / "oras.releases.json"
    content = json.loads(listed.read_bytes())
    listed.write_text(json.dumps(content | {"releases": content["releases"][-4:]}), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def sample(few: Path) -> str:
    """Return the option of docker that has four releases judged: a job with every kind of step."""
    return f"--volume={few}:/traces:ro"


@pytest.fixture(scope="session")
def context(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder to build of: this one, or a copy with four releases."""
    if WHOLE:
        return ROOT
    folder = tmp_path_factory.mktemp("context")
    names = [line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()]
    for path in [ROOT / name for name in ("Dockerfile", ".dockerignore", *names) if re.fullmatch(r"[\w.]+", name)]:
        if path.is_dir():
            shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        else:
            shutil.copy(path, folder)
    shutil.copytree(few, folder / "traces", dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest) -> str:
    """Build the image, of the base that is there if none can be pulled, and return its name.

    ``CALIPER_IMAGE_READY`` names one that is to be checked as it is.
    """
    if shutil.which("docker") is None or docker("info", check=False).returncode != 0:
        pytest.skip("no Docker daemon answers")
    if ready := os.environ.get("CALIPER_IMAGE_READY"):
        return ready
    if not list((ROOT / "traces").glob("*.trace.jsonl.gz")):
        pytest.skip("there is no trace to judge by: nox -s record makes one")
    environment = dict(os.environ)
    if docker("buildx", "version", check=False).returncode != 0:
        environment["DOCKER_BUILDKIT"] = "0"
    command = ["docker", "build", "--quiet", "--tag", TAG]
    if docker("image", "inspect", BASE, check=False).returncode == 0:
        command += ["--build-arg", f"BASE_IMAGE={BASE}"]
    elif docker("pull", "--quiet", OFFICIAL, check=False).returncode != 0:
        pytest.skip(f"no base image: neither {BASE} is here nor can {OFFICIAL} be pulled")
    done = subprocess.run(
        [*command, str(request.getfixturevalue("context"))],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return TAG


def give(folder: Path, uid: int) -> None:
    """Make somebody the owner of a folder, where this user may."""
    if os.getuid() == 0:
        os.chown(folder, uid, uid)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a folder that the unprivileged user may write to."""
    folder = tmp_path / "results"
    folder.mkdir()
    give(folder, UNPRIVILEGED)
    return folder


@pytest.fixture(scope="session")
def undisturbed(image: str, sample: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    """Return the tables that one undisturbed, hardened run of the sample makes, and the seconds that it takes."""
    folder = tmp_path_factory.mktemp("expected")
    folder.chmod(0o755)
    give(folder, UNPRIVILEGED)
    began = time.monotonic()
    docker("run", "--rm", *HARDENED, sample, "-v", f"{folder}:/results", image)
    return tables(folder), time.monotonic() - began


@pytest.fixture
def expected(undisturbed: tuple[dict[str, bytes], float]) -> dict[str, bytes]:
    """Return the tables that an undisturbed run makes."""
    return undisturbed[0]


def tables(folder: Path) -> dict[str, bytes]:
    """Return the CSV files below ``folder``."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.csv*"))}


@pytest.fixture
def container() -> Iterator[str]:
    """Return a name for a container, which is removed in the end."""
    name = f"caliper-{os.getpid()}-{random.randrange(1 << 32):08x}"
    yield name
    docker("rm", "--force", "--volumes", name, check=False)


@pytest.mark.slow
def test_the_hardened_box_gives_what_nox_gives(image: str, results: Path) -> None:
    """Without network, capabilities and a writable disk the tables are those that were committed, byte for byte."""
    committed = tables(ROOT / "results")
    if "oras/matrix.csv" not in committed:
        pytest.skip("no results are committed to compare with")
    docker("run", "--rm", *HARDENED, "-v", f"{results}:/results", image, timeout=1800)
    made = tables(results)
    common = made.keys() & committed.keys()
    assert {"oras/matrix.csv", "oras/tests.csv", "oras/releases.csv"} <= common
    if WHOLE:
        assert {name for name in common if made[name] != committed[name]} == set()
    else:
        before, after = committed["oras/matrix.csv"], made["oras/matrix.csv"]
        assert [cell for cell in turned(before, after) if cell.after] == []


@pytest.mark.slow
def test_the_owner_of_the_folder_owns_the_results(
    image: str, sample: str, expected: dict[str, bytes], tmp_path: Path
) -> None:
    """Without any option the results belong to whom the mounted folder belongs to, though nothing ran as that user."""
    folder = tmp_path / "results"
    folder.mkdir()
    owner = os.getuid() or 1234
    give(folder, owner)
    docker("run", "--rm", sample, "-v", f"{folder}:/results", image)
    assert tables(folder) == expected
    assert {path.stat().st_uid for path in folder.rglob("*")} == {owner}


def alter(traces: Path) -> None:
    """Change one argument of one recorded call: a name that no parameter has."""
    path = min(traces.glob("*.trace.jsonl.gz"))
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    for event in lines:
        named = [argument for argument in event.get("args", []) if argument.get("form") == "keyword"]
        if event.get("e") == "call" and event.get("tier") == "boundary" and named:
            named[0]["name"] += "_altered"
            break
    else:
        pytest.fail("no call with a keyword argument")
    path.write_bytes(gzip.compress("".join(f"{json.dumps(line)}\n" for line in lines).encode(), mtime=0))
    # The masks are those of one trace; here they are to hold for the altered one.
    masks = path.with_name(path.name.replace(".trace.jsonl.gz", ".masks.json"))
    baseline = json.loads(masks.read_bytes()) | {"trace": hashlib.sha256(path.read_bytes()).hexdigest()}
    masks.write_text(json.dumps(baseline), encoding="utf-8")


@pytest.mark.slow
def test_another_trace_gives_another_table(
    image: str, few: Path, expected: dict[str, bytes], results: Path, tmp_path: Path
) -> None:
    """The job is really done: one argument changed in the trace changes the table."""
    traces = tmp_path / "traces"
    shutil.copytree(few, traces)
    alter(traces)
    docker("run", "--rm", *HARDENED, "-v", f"{results}:/results", "-v", f"{traces}:/traces:ro", image)
    assert tables(results)["oras/calls.csv.gz"] != expected["oras/calls.csv.gz"]
    assert tables(results)["oras/matrix.csv"] != expected["oras/matrix.csv"]


@pytest.mark.slow
def test_a_killed_container_begins_again(
    image: str, sample: str, undisturbed: tuple[dict[str, bytes], float], tmp_path: Path, container: str
) -> None:
    """Killed at random moments and started again on the same folder, it ends with the same results."""
    expected, seconds = undisturbed
    folder = tmp_path / "results"
    folder.mkdir()
    moments = random.Random(20260131)
    for _ in range(ROUNDS):
        docker("run", "--detach", "--name", container, sample, "-v", f"{folder}:/results", image)
        time.sleep(moments.uniform(0, seconds * 1.1))
        docker("rm", "--force", "--volumes", container)
        assert not {name for name, data in tables(folder).items() if data != expected[name]}
    docker("run", "--rm", sample, "-v", f"{folder}:/results", image)
    assert tables(folder) == expected


@pytest.mark.slow
def test_docker_stop_is_heeded(image: str, results: Path, container: str) -> None:
    """Asked to stop in the middle of the job it is gone within two seconds, and left nothing."""
    docker("run", "--detach", "--name", container, "-v", f"{results}:/results", image)
    time.sleep(3)
    began = time.monotonic()
    docker("stop", "--time=10", container)
    assert time.monotonic() - began < 2
    assert docker("inspect", "--format", "{{.State.ExitCode}}", container).stdout == "143\n"
    assert tables(results) == {}


@pytest.mark.slow
def test_any_command_follows_the_name(image: str) -> None:
    """The version, a comparison of two releases, a mistake: as outside."""
    assert docker("run", "--rm", *HARDENED, image, "--version").stdout.startswith("caliper-matrix ")
    assert docker("run", "--rm", *HARDENED, image, "releases", "oras").stdout.count("\n") >= 4
    assert docker("run", "--rm", image, "nonsense", check=False).returncode == 2


@pytest.mark.slow
def test_the_registry_is_reached_from_outside(image: str, container: str) -> None:
    """The embedded registry serves a published port, as the unprivileged user."""
    command = ["registry", "--host", "0.0.0.0", "--port", "5000"]
    docker("run", "--detach", "--name", container, "-p", "127.0.0.1:0:5000", image, *command)
    address = docker("port", container, "5000").stdout.split()[0]
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/v2/", timeout=5) as answer:
                assert answer.status == 200
            break
        except OSError:
            assert time.monotonic() < deadline, docker("logs", container).stderr
            time.sleep(0.05)
    owners = docker("top", container, "-eo", "pid,uid,args").stdout.splitlines()[1:]
    assert {line.split()[1] for line in owners if "-m matrix" in line} == {"10001"}


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_one_line(image: str, tmp_path: Path) -> None:
    """A folder of somebody else is told before the job, exit 2."""
    folder = tmp_path / "results"
    folder.mkdir(mode=0o555)
    done = docker("run", "--rm", *HARDENED, "-v", f"{folder}:/results", image, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"cannot be written by user {UNPRIVILEGED}" in done.stderr


@pytest.mark.slow
def test_a_box_that_lacks_something_says_so(image: str) -> None:
    """No /tmp on a read-only disk, and root that may not become another user: one line each, exit 2."""
    for options, told in (
        (["--read-only", f"--user={UNPRIVILEGED}"], "--tmpfs /tmp:exec"),
        (["--cap-drop=ALL"], "--user 10001"),
    ):
        done = docker("run", "--rm", *options, image, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert told in done.stderr


@pytest.mark.slow
def test_the_image_is_small_and_clean(image: str) -> None:
    """Less than 450 MB, labelled, without compilers, caches and runs that were made before."""
    facts = inspect(image)
    assert facts["Size"] < 450_000_000
    assert facts["Config"]["Labels"]["org.opencontainers.image.title"] == "caliper-matrix"
    script = (
        "for tool in gcc cc make g++; do command -v $tool; done; "
        "ls -d /root/.cache /var/cache/uv /opt/boot /opt/caliper/.nox/.cache/caliper/*/runs; "
        "ls -d /opt/caliper/.nox/release* | wc -l"
    )
    done = docker("run", "--rm", "--entrypoint", "sh", image, "-c", script)
    assert int(done.stdout) >= (56 if WHOLE else 4)


@pytest.mark.slow
def test_environments_share_their_files(image: str) -> None:
    """What many releases need lies on the disk once."""
    script = f"find /opt/caliper/.nox -path '*/requests/api.py' -links +{40 if WHOLE else 3} | head -n 1"
    assert docker("run", "--rm", "--entrypoint", "sh", image, "-c", script).stdout

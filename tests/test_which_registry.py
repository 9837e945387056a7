"""Which registry recordings and replays use: what is chosen, where its results go, and what is said of bad choices."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from matrix import sessions, staleness
from matrix.commands.which_registry import on_registry
from matrix.errors import CaliperError
from matrix.registry import Registry
from matrix.registry.choice import AnyRegistry
from matrix.registry.external import DockerRegistry
from matrix.registry.remote import RemoteError, RemoteRegistry
from matrix.services import Control, load_services
from matrix.subject import Subject, load_subject

TRACE = Path(__file__).parent.parent / "traces" / "oras-0.2.43-anonymous.trace.jsonl.gz"
RECORD = ["record", "--subject", "oras", "--python", sys.executable]


def run(arguments: Sequence[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours in a folder."""
    command = [sys.executable, "-P", "-m", "matrix", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **env})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*RECORD, "--registry", "debian"], "'debian' names no registry: it is embedded, docker-registry or http"),
        (["release", "0.2.43", "--venv", "v", "--registry", "h:5000"], "'h:5000' names no registry"),
        (["replay", str(TRACE), "--python", sys.executable, "--registry", "x"], "'x' names no registry"),
        (["truth", "--registry", "x"], "'x' names no registry"),
        ([*RECORD, "--registry", "http://127.0.0.1:9"], "http://127.0.0.1:9: it does not answer"),
        ([*RECORD, "--registry", "https://ada:secret@127.0.0.1:9"], "without TLS and password is needed"),
        ([*RECORD, "--registry", "docker-registry"], "docker-registry: not found; install it"),
        (
            ["record", "--module", "json", "--registry", "docker-registry", "--", "python", "-c", "import json"],
            "there are no services that take the option 'registry'",
        ),
    ],
)
def test_a_bad_choice_is_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    """What, where and what to do, exit status 2, no password, and nothing is written."""
    done = run(arguments, tmp_path, PATH=str(tmp_path))
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stderr.startswith("caliper-matrix: ")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_variable_says_it_as_well(tmp_path: Path) -> None:
    """What nox was started with reaches the commands that its sessions run; an option goes before it."""
    done = run(RECORD, tmp_path, CALIPER_REGISTRY="debian")
    assert (done.returncode, "'debian' names no registry" in done.stderr) == (2, True)
    done = run([*RECORD, "--registry", "ubuntu"], tmp_path, CALIPER_REGISTRY="debian")
    assert (done.returncode, "'ubuntu' names no registry" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("choice", "label"),
    [
        ("", ""),
        ("embedded", ""),
        ("docker-registry", "docker-registry"),
        ("http://127.0.0.1:5000", "127.0.0.1-5000"),
        ("https://ada:secret@registry.example:5000/", "registry.example-5000"),
    ],
)
def test_each_registry_has_traces_and_results_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str, label: str
) -> None:
    """What another registry gave lies beside the rest, under a name without a password."""
    (tmp_path / "demo.toml").write_text(f'name = "demo"\npython = "{staleness.PRESENT}"\ncommand = ["python"]\n')
    traces = [tmp_path / "traces" / folder / "demo-1.0-default.trace.jsonl.gz" for folder in {"", label}]
    for trace in traces:
        trace.parent.mkdir(exist_ok=True)
        trace.touch()
    monkeypatch.setenv(staleness.REGISTRY_VARIABLE, choice)
    plan = sessions.make_plan(tmp_path / "demo.toml", tmp_path, tmp_path / "results")
    name = f"demo-{label}" if label else "demo"
    assert (plan.results, plan.cache) == (tmp_path / "results" / name, tmp_path / ".nox/.cache/caliper" / name)
    assert plan.traces == (tmp_path / "traces" / label / "demo-1.0-default.trace.jsonl.gz",)
    assert plan.registry == label


@pytest.mark.parametrize("kind", [Registry, DockerRegistry, RemoteRegistry])
def test_the_services_of_oras_use_the_chosen_one(kind: type) -> None:
    """By default it is the embedded registry, else what was asked for."""
    if kind is DockerRegistry and shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
    with Registry() as somewhere:
        choice = {"Registry": "", "DockerRegistry": "docker-registry"}.get(kind.__name__, somewhere.url)
        chosen = on_registry(load_subject("oras"), choice)
        with load_services(chosen.services, chosen.options)("anonymous") as services:
            registry: AnyRegistry = vars(services.services["registry"])["registry"]
            assert services.templates["registry"] == registry.address
            assert isinstance(registry, kind)


def test_the_password_of_a_url_is_what_the_suite_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """User and password of the URL reach the suite, and not the trace."""
    with Registry(tls=True, auth=("ada", "p@ss")) as registry:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(registry.ca_file))
        chosen = on_registry(load_subject("oras"), f"https://ada:p%40ss@{registry.address}")
        with load_services(chosen.services, chosen.options)("auth") as services:
            assert (services.env["ORAS_USER"], services.env["ORAS_PASS"]) == ("ada", "p@ss")
            assert services.templates["password"] == "p@ss"


def ask_in_vain(registry: Registry, folder: Path) -> None:
    """Ask for the state of a registry at a URL that has gone away, as a replay does."""
    chosen = on_registry(load_subject("oras"), registry.url)
    with (
        load_services(chosen.services, chosen.options)("anonymous") as services,
        Control(services.services, folder) as control,
        socket.socket(socket.AF_UNIX) as link,
    ):
        registry.stop()
        link.connect(control.address)
        link.sendall(b'{"do": "generations"}\n')
        assert link.recv(1) == b""


def test_a_registry_that_goes_away_is_no_result(tmp_path: Path) -> None:
    """What is asked of it gets no answer, and the run ends with the reason, whatever came of it until then."""
    with Registry() as registry, pytest.raises(RemoteError, match="it does not answer"):
        ask_in_vain(registry, tmp_path)


def test_the_variable_is_for_subjects_with_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not asked for by name does not keep a package without services from being recorded."""
    monkeypatch.setenv(staleness.REGISTRY_VARIABLE, "docker-registry")
    subject = Subject("demo", ("demo",), ("python",))
    assert on_registry(subject, "docker-registry") is subject
    assert on_registry(subject, "embedded") is subject
    with pytest.raises(CaliperError, match="no services that take the option 'registry'"):
        on_registry(subject, "http://127.0.0.1:5000")

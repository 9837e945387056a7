"""`caliper-matrix registry`: what it prints, what it refuses, how it ends."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from matrix.cli import main
from matrix.registry import Registry
from matrix.registry.switches import SWITCHES

from .client import Client, basic


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Yield a running command and the lines that it prints before it waits."""
    command = [sys.executable, "-m", "matrix", "registry", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("stop:"):
                break
        try:
            yield process, lines
        finally:
            if process.poll() is None:
                process.terminate()


def client_of(lines: list[str], user: str = "", password: str = "") -> Client:
    """Return a client of what the command says that it serves."""
    address = Registry()
    address.port = int(lines[0].rpartition(":")[2])
    for line in lines:
        if line.startswith("trust:"):
            address.ca_file = Path(line.partition(":")[2].strip())
    return Client(address, basic(user, password) if user else None)


def test_it_tells_how_to_use_it() -> None:
    """The address and what to type or write are printed."""
    with running() as (_, lines), client_of(lines) as client:
        assert re.fullmatch(r"listening on http://127\.0\.0\.1:\d+", lines[0])
        address = lines[0].rpartition("/")[2]
        assert f'OrasClient(hostname="{address}", insecure=True)' in lines[1]
        assert f"oras push --plain-http {address}/NAME:TAG FILE" in lines[2]
        assert client.push_manifest("a", "v1")


def test_it_protects_what_it_serves(tmp_path: Path) -> None:
    """TLS, a password and a storage folder are as asked for; the password is printed nowhere."""
    for kept in (False, True):
        with running("--tls", "--auth", "me:secret", "--storage", str(tmp_path)) as (_, lines):
            assert "secret" not in "".join(lines)
            with client_of(lines) as stranger:
                assert stranger("GET", "/v2/").status == 401
            with client_of(lines, "me", "secret") as client:
                assert client("HEAD", "/v2/a/manifests/v1").status == (200 if kept else 404)
                client.push_manifest("a", "v1")


def test_switches_are_taken() -> None:
    """A switch with a number, and another one."""
    options = ("--switch", "short-pages=1", "--switch", "no-delete")
    with running(*options) as (_, lines), client_of(lines) as client:
        client.push_manifest("a", "v1")
        client.push_manifest("a", "v2")
        assert client("GET", "/v2/a/tags/list").json()["tags"] == ["v1"]
        assert client("DELETE", "/v2/a/manifests/v1").status == 405


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly(stop: signal.Signals) -> None:
    """Ctrl-C and a termination signal end it with status 0, also while a client is there."""
    with running() as (process, lines), client_of(lines) as client:
        client.push_blob("a", b"x")
        os.kill(process.pid, stop)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == "stopped\n"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--switch", "nonsense"], "no switch 'nonsense'; there are: no-referrers"),
        (["--auth", "nobody"], "--auth wants USER:PASSWORD"),
        (["--auth", ":secret"], "--auth wants USER:PASSWORD"),
        (["--htpasswd", "no/such/file"], "htpasswd -Bc file USER"),
        (["--port", "99999"], "can't listen on 127.0.0.1:99999"),
        (["--tls", "--name", "no name"], "one of them is no host name or address"),
        (["--storage", __file__], "nothing can be kept there (Not a directory); name another folder with --storage"),
    ],
)
def test_what_can_not_be_done_is_one_line(capsys: pytest.CaptureFixture[str], options: list[str], problem: str) -> None:
    """The line says what to do, and the status is 2."""
    assert main(["registry", *options]) == 2
    error = capsys.readouterr().err
    assert (problem in error, error.count("\n"), "secret" in error) == (True, 1, False)


@pytest.mark.parametrize("left", ["", "{", "[]", '{"repositories": {"a": 1}}'])
def test_a_folder_that_no_registry_left_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, left: str
) -> None:
    """A broken list of repositories is not taken for an empty one, and stays as it is."""
    (tmp_path / "registry.json").write_text(left)
    assert main(["registry", "--storage", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert ("registry.json cannot be read" in error, error.count("\n")) == (True, 1)
    assert (tmp_path / "registry.json").read_text() == left


def test_help_documents_every_switch(capsys: pytest.CaptureFixture[str]) -> None:
    """Examples and switches are in `--help`."""
    with pytest.raises(SystemExit) as caught:
        main(["registry", "--help"])
    text = capsys.readouterr().out
    assert (caught.value.code, "examples:" in text) == (0, True)
    for name in SWITCHES:
        assert f"  {name}" in text

"""Debian's registry behind the same interface, and the embedded one beside it: they answer alike."""

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from matrix.registry import Registry
from matrix.registry.content import UnknownContentError
from matrix.registry.external import DockerRegistry, MissingRegistryError

from .client import OCI_MANIFEST, Client, basic, digest_of, with_digest

DATA = b"0123456789" * 20
UNKNOWN = digest_of(b"never pushed")


@pytest.fixture
def external() -> Iterator[DockerRegistry]:
    """Start Debian's registry."""
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
    with DockerRegistry() as registry:
        yield registry


def test_a_program_that_is_not_there_is_an_error() -> None:
    """The error says what to install."""
    with pytest.raises(MissingRegistryError, match="apt-get install docker-registry"):
        DockerRegistry(program="no-such-registry").start()


def test_a_program_that_does_not_come_up_is_an_error(tmp_path: Path) -> None:
    """The error has the last line that it wrote, and no process is left."""
    program = tmp_path / "registry"
    program.write_text("#!/bin/sh\necho it is broken >&2\n")
    program.chmod(0o755)
    with pytest.raises(MissingRegistryError, match=r"did not come up .it is broken"):
        DockerRegistry(program=str(program)).start()


def test_its_state_is_kept_and_put_back(external: DockerRegistry) -> None:
    """A snapshot holds tags, manifests and blobs, and brings them back."""
    with Client(external) as client:
        digest, before = client.push_manifest("a/b", "v1"), external.generation
        snapshot = external.snapshot()
        assert external.generation == before
        assert snapshot["repositories"] == {
            "a/b": {"tags": {"v1": digest}, "manifests": {digest: OCI_MANIFEST}, "blobs": [digest_of(b"{}")]}
        }
        client("DELETE", f"/v2/a/b/manifests/{digest}")
        client.push_blob("c", DATA)
        assert external.generation > before
        external.restore(snapshot)
        assert external.snapshot()["repositories"] == snapshot["repositories"]
        assert client("GET", "/v2/a/b/manifests/v1", accept=OCI_MANIFEST).status == 200
        assert client("GET", "/v2/_catalog").json() == {"repositories": ["a/b"]}
        external.restore({"generation": 0, "repositories": {}})
        assert client("GET", "/v2/a/b/manifests/v1", accept=OCI_MANIFEST).status == 404


def test_states_go_from_one_registry_to_the_other(external: DockerRegistry, registry: Registry) -> None:
    """What was pushed to either is served by the other, from its snapshot and content, and can be deleted there."""
    pairs: list[tuple[Registry | DockerRegistry, ...]] = [(registry, external), (external, registry)]
    for number, (source, target) in enumerate(pairs):
        with Client(source) as client:
            digest = client.push_manifest("a/b", f"v{number}", number=number)
        snapshot = source.snapshot()
        for repository in snapshot["repositories"].values():
            for content in (*repository["manifests"], *repository["blobs"]):
                target.add_blob(source.read_blob(content))
        target.restore(snapshot)
        assert target.snapshot()["repositories"] == snapshot["repositories"]
        with Client(target) as client:
            pulled = client("GET", f"/v2/a/b/manifests/v{number}", accept=OCI_MANIFEST)
            assert (pulled.status, digest_of(pulled.body)) == (200, digest)
            assert client("DELETE", f"/v2/a/b/manifests/{digest}").status == 202
            assert f"v{number}" not in (client("GET", "/v2/a/b/tags/list").json()["tags"] or [])


def test_uploads_are_part_of_its_state(external: DockerRegistry) -> None:
    """An upload goes on where it was when the snapshot was taken, at the same address, in another run as well."""
    with Client(external) as client:
        fresh, location = client.start("a"), client.start("a")
        location = client("PATCH", location, DATA[:50], content_range="0-49").headers["location"]
        snapshot = external.snapshot()
        content = external.read_blob(digest_of(DATA[:50]))
        assert client("PUT", with_digest(location, digest_of(DATA)), DATA[50:]).status == 201
        assert len(external.snapshot()["uploads"]) == 1
    with DockerRegistry() as other, Client(other) as client:
        other.add_blob(content)
        other.restore(snapshot)
        assert other.snapshot()["uploads"] == snapshot["uploads"]
        for begun, rest in ((location, DATA[50:]), (fresh, DATA)):
            url = with_digest(begun.removeprefix(external.url), digest_of(DATA))
            assert client("PUT", url, rest).status == 201
        assert "uploads" not in other.snapshot()


def test_what_was_not_added_can_not_be_restored(external: DockerRegistry) -> None:
    """The missing content is named, and the state stays."""
    with Client(external) as client:
        client.push_manifest("a", "v1")
    before = external.snapshot()
    with pytest.raises(UnknownContentError, match=UNKNOWN):
        external.restore({"generation": 0, "repositories": {"b": {"tags": {}, "manifests": {}, "blobs": [UNKNOWN]}}})
    assert external.snapshot() == before
    with pytest.raises(UnknownContentError, match="add_blob"):
        external.read_blob(UNKNOWN)


def test_it_ends_with_whoever_started_it(external: DockerRegistry, tmp_path: Path) -> None:
    """A program that is killed leaves no registry behind."""
    del external  # it is installed
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process that its parent ended")
    program = tmp_path / "program.py"
    program.write_text(
        "from matrix.registry.external import DockerRegistry\n"
        "print(DockerRegistry().start().port, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen([sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            process.kill()
            process.wait()
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""


def test_it_takes_a_password_and_tls(external: DockerRegistry, tmp_path: Path) -> None:
    """An htpasswd file and a certificate of its own, as the embedded one has them."""
    del external  # it is installed
    path = tmp_path / "htpasswd"
    path.write_text(f"u:{bcrypt.hashpw(b'p', bcrypt.gensalt(4)).decode()}\n")
    with DockerRegistry(htpasswd=path, tls=True) as registry:
        with Client(registry) as client:
            assert client("GET", "/v2/").status == 401
        with Client(registry, basic("u", "p")) as client:
            assert client("GET", "/v2/").status == 200


def conversation(client: Client) -> Iterator[object]:
    """Say many things to a registry and yield what must be the same in all of them."""
    digest = digest_of(DATA)
    yield client("GET", "/v2/").status
    yield client("HEAD", f"/v2/a/blobs/{digest}").status
    started = client("POST", "/v2/a/blobs/uploads/", b"")
    yield started.status, started.headers["range"], started.headers["location"].startswith(client.base)
    location = started.headers["location"]
    for span, chunk in (("0-9", DATA[:10]), ("10-19", DATA[10:20])):
        reply = client("PATCH", location, chunk, content_range=span, content_type="application/octet-stream")
        yield reply.status, reply.headers.get("range")
        location = reply.headers.get("location", location)
    status = client("GET", location)
    yield status.status, status.headers["range"]
    pushed = client("PUT", with_digest(status.headers["location"], digest), DATA[20:])
    yield pushed.status, pushed.headers["docker-content-digest"]
    for asked in ({}, {"Range": "bytes=0-9"}, {"Range": "bytes=190-"}, {"Range": "bytes=-5"}):
        part = client("GET", f"/v2/a/blobs/{digest}", headers=asked)
        yield part.status, part.headers.get("content-range"), part.body if part.status < 300 else b""
    wrong = client("PUT", with_digest(client.start("a"), UNKNOWN), DATA)
    yield wrong.status, wrong.code
    yield client("POST", f"/v2/b/blobs/uploads/?mount={digest}&from=a", b"").status
    yield client("POST", f"/v2/b/blobs/uploads/?mount={UNKNOWN}&from=a", b"").status
    yield client.push_manifest("a", "v1")
    manifest = client("GET", "/v2/a/manifests/v1", accept=OCI_MANIFEST)
    yield manifest.status, manifest.body, manifest.headers["content-type"], manifest.headers["docker-content-digest"]
    missing = client(
        "PUT", "/v2/a/manifests/v2", manifest.body.replace(b"44136f", b"000000"), content_type=OCI_MANIFEST
    )
    yield missing.status, missing.code
    invalid = client("PUT", "/v2/a/manifests/v2", b"not json", content_type=OCI_MANIFEST)
    yield invalid.status, invalid.code
    yield client("GET", "/v2/a/manifests/v9", accept=OCI_MANIFEST).code
    yield client("GET", "/v2/a/tags/list").json()
    yield client("GET", "/v2/nobody/tags/list").code
    yield client("DELETE", f"/v2/a/blobs/{digest}").status
    yield client("GET", f"/v2/a/blobs/{digest}").code
    yield client("DELETE", f"/v2/a/manifests/{manifest.headers['docker-content-digest']}").status
    yield client("GET", "/v2/a/manifests/v1", accept=OCI_MANIFEST).code
    yield client("GET", "/v2/a/tags/list").json()["tags"] or []


def test_both_registries_answer_alike(external: DockerRegistry, registry: Registry) -> None:
    """Where the specification says what to answer, the embedded registry answers as the one that everybody runs."""
    with Client(external) as theirs, Client(registry) as ours:
        assert list(conversation(ours)) == list(conversation(theirs))

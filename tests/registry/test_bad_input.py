"""Bad input gets the right refusal, leaves nothing behind, and harms nobody else."""

import contextlib
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from matrix.registry import Registry

from .client import Client, digest_of, with_digest

DATA = b"0123456789" * 1000
DIGEST = digest_of(DATA)


@pytest.fixture(autouse=True)
def harmless(registry: Registry, client: Client) -> Iterator[None]:
    """Check after each test that pushing still works and that no file of an upload is left."""
    yield
    with Client(registry) as other:
        assert other("GET", f"/v2/z/blobs/{other.push_blob('z', DATA)}").body == DATA
    client.connection.close()
    registry.restore({"generation": 0, "repositories": {}})
    assert list((registry.store.root / "unfinished").iterdir()) == []


def connect(registry: Registry) -> socket.socket:
    """Open a connection to write to by hand."""
    return socket.create_connection((registry.host, registry.port), timeout=20)


def converse(registry: Registry, *pieces: bytes, end: bool = False) -> bytes:
    """Send bytes as they are and return all that comes back until the registry hangs up."""
    with connect(registry) as plain:
        for piece in pieces:
            plain.sendall(piece)
        if end:
            plain.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):  # hung up before all was read: the answer may be lost
            while received := plain.recv(65536):
                answer += received
    return answer


@pytest.mark.parametrize(
    "name", ["A", "a//b", "a/../b", "..", "-a", "a%20b", "a%00b", "%C3%A4", "%FF", "a" * 256, "a:1"]
)
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", "tags/list"),
        ("GET", "manifests/v1"),
        ("PUT", "manifests/v1"),
        ("DELETE", "manifests/v1"),
        ("GET", f"blobs/{DIGEST}"),
        ("DELETE", f"blobs/{DIGEST}"),
        ("POST", "blobs/uploads/"),
        ("PATCH", "blobs/uploads/x"),
        ("PUT", f"blobs/uploads/x?digest={DIGEST}"),
        ("GET", f"referrers/{DIGEST}"),
    ],
)
def test_malformed_names(client: Client, method: str, rest: str, name: str) -> None:
    """Every endpoint refuses a name that no repository can have."""
    reply = client(method, f"/v2/{name}/{rest}")
    assert (reply.status, reply.code) == (400, "NAME_INVALID")


@pytest.mark.parametrize("digest", ["sha256:", "sha256:0", f"sha256:{'G' * 64}", f"md5:{'0' * 32}", ":", "sha256%3A0"])
def test_malformed_digests(client: Client, digest: str) -> None:
    """Every endpoint refuses a digest that no content can have."""
    location = client.start("a")
    replies = [
        client("GET", f"/v2/a/blobs/{digest}"),
        client("DELETE", f"/v2/a/blobs/{digest}"),
        client("GET", f"/v2/a/manifests/{digest}"),
        client("PUT", f"/v2/a/manifests/{digest}", b"{}"),
        client("DELETE", f"/v2/a/manifests/{digest}"),
        client("POST", f"/v2/a/blobs/uploads/?digest={digest}", DATA),
        client("POST", f"/v2/a/blobs/uploads/?mount={digest}&from=b", b""),
        client("PUT", with_digest(location, digest), DATA),
        client("GET", f"/v2/a/referrers/{digest}"),
    ]
    assert {(reply.status, reply.code) for reply in replies} == {(400, "DIGEST_INVALID")}


@pytest.mark.parametrize("tag", [".x", "-x", "a" * 129, "a b".replace(" ", "%20"), "%C3%A4"])
def test_malformed_tags(client: Client, tag: str) -> None:
    """A manifest can't be pushed under such a tag; looking for it finds nothing."""
    digest = client.push_manifest("a", "v1")
    body = client("GET", f"/v2/a/manifests/{digest}").body
    assert client("PUT", f"/v2/a/manifests/{tag}", body).code == "MANIFEST_INVALID"
    assert client("GET", f"/v2/a/manifests/{tag}").code == "MANIFEST_UNKNOWN"


@pytest.mark.parametrize("span", ["", "x", "0", "0-", "-9", "9-0", "bytes 0-9", "0-9/10", "0-99999999999999999999"])
def test_malformed_chunks(client: Client, span: str) -> None:
    """A range that says nothing is refused; the upload stays where it was."""
    location = client.start("a")
    reply = client("PATCH", location, DATA, content_range=span)
    assert (reply.status, reply.code) == (400, "BLOB_UPLOAD_INVALID")
    assert client("GET", location).headers["range"] == "0-0"


def test_a_chunk_of_another_length_than_its_range(client: Client) -> None:
    """Range and length must agree."""
    reply = client("PATCH", client.start("a"), DATA, content_range="0-99")
    assert (reply.status, reply.code) == (400, "SIZE_INVALID")


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "OPTIONS", "TRACE", "FOO"])
@pytest.mark.parametrize("path", ["/v2/", "/v2/a/tags/list", "/v2/_catalog", f"/v2/a/blobs/{DIGEST}"])
def test_methods_that_a_path_does_not_have(client: Client, method: str, path: str) -> None:
    """405 says which there are."""
    reply = client(method, path)
    assert (reply.status, reply.code) == (405, "UNSUPPORTED")
    assert reply.headers["allow"].startswith("HEAD, GET")


@pytest.mark.parametrize(
    "path", ["/", "/v1/", "/v2/a", "/v2/a/b/c", "/v2//", "/token", "/v2/a/blobs/", "/../etc/passwd"]
)
def test_paths_that_mean_nothing(client: Client, path: str) -> None:
    """404, with an error body."""
    reply = client("GET", path)
    assert (reply.status, reply.code) in {(404, "UNSUPPORTED"), (400, "NAME_INVALID")}


@pytest.mark.parametrize(
    "request_text",
    [
        b"nonsense\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\n\r\n",
        b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_malformed_requests(registry: Registry, request_text: bytes) -> None:
    """What is not HTTP is answered 400, and the connection ends."""
    assert converse(registry, request_text).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("begin", [b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ", b"GET /v2/"])
def test_headers_without_end(registry: Registry, begin: bytes) -> None:
    """Headers of 64 KiB are enough; then the connection ends."""
    assert converse(registry, begin + b"y" * 100_000)[:13] in {b"HTTP/1.1 400 ", b""}


def request_line(method: str, url: str, length: int) -> bytes:
    """Return the beginning of a request that announces so many bytes."""
    return f"{method} {url} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_body_that_is_longer_than_announced(registry: Registry, client: Client) -> None:
    """Only what was announced counts; the rest is no request."""
    location = client.start("a").removeprefix(registry.url)
    answer = converse(registry, request_line("PUT", with_digest(location, DIGEST), 10) + DATA + b"\r\n\r\n")
    assert {line for line in answer.split(b"\r\n") if line.startswith(b"HTTP")} == {b"HTTP/1.1 400 Bad Request"}
    assert client("HEAD", f"/v2/a/blobs/{DIGEST}").status == 404


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_body_that_ends_early_is_not_kept(registry: Registry, client: Client, method: str) -> None:
    """The upload stays where it was before, and the client can send the chunk again."""
    location = client.start("a")
    client("PATCH", location, DATA[:100])
    url = with_digest(location.removeprefix(registry.url), DIGEST)
    converse(registry, request_line(method, url, len(DATA) - 100), DATA[100:5000], end=True)
    assert client("GET", location).headers["range"] == "0-99"
    assert client("PUT", with_digest(location, DIGEST), DATA[100:]).status == 201


@pytest.mark.parametrize("url", [f"/v2/a/blobs/uploads/?digest={DIGEST}", "/v2/a/manifests/v1"])
def test_a_push_in_one_request_that_ends_early_is_not_there(registry: Registry, client: Client, url: str) -> None:
    """Neither a blob nor a manifest."""
    method = "POST" if "uploads" in url else "PUT"
    converse(registry, request_line(method, url, len(DATA)), DATA[:5000], end=True)
    assert client("GET", "/v2/_catalog").json() == {"repositories": []}


@pytest.mark.slow
def test_ten_thousand_uploads_that_nobody_finishes(registry: Registry, client: Client) -> None:
    """They cost neither files nor other clients, and each can still be finished."""
    batch, batches, answers = 100, 100, b""
    with connect(registry) as plain:
        for _ in range(batches):
            plain.sendall(request_line("POST", "/v2/a/blobs/uploads/", 0) * batch)
            answers = b""
            while answers.count(b"\r\n\r\n") < batch:
                answers += plain.recv(1 << 20)
            assert answers.count(b"HTTP/1.1 202") == batch
    assert len(registry.snapshot()["uploads"]) == batch * batches
    assert list((registry.store.root / "unfinished").iterdir()) == []
    location = re.findall(rb"location: http://x(\S+)", answers)[-1].decode()
    assert client("PUT", with_digest(location, DIGEST), DATA).status == 201


def test_hundreds_of_clients_in_the_middle_of_a_body(registry: Registry, client: Client) -> None:
    """Nobody waits for them; when they go away nothing of theirs stays."""
    with ExitStack() as stack:
        for _ in range(200):
            plain = stack.enter_context(connect(registry))
            plain.sendall(request_line("POST", f"/v2/a/blobs/uploads/?digest={DIGEST}", len(DATA)) + DATA[:5000])
        assert client.push_blob("b", DATA) == DIGEST
    assert client("HEAD", f"/v2/a/blobs/{DIGEST}").status == 404


@contextmanager
def served(folder: Path) -> Iterator[tuple[Registry, int]]:
    """Yield the address of a registry in a process of its own, whose limits can be set, and the process."""
    if not hasattr(resource, "prlimit"):
        pytest.skip("limits of another process can be set on Linux only")
    command = [sys.executable, "-m", "matrix", "registry", "--storage", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = Registry()
        address.port = int(process.stdout.readline().rpartition(":")[2])
        yield address, process.pid
        process.terminate()


def test_a_process_that_may_open_no_more_files_asks_for_patience(tmp_path: Path) -> None:
    """What needs a file is answered 429, what needs none goes on, and afterwards all is as before."""
    with served(tmp_path) as (registry, process), Client(registry) as client:
        digest, location = client.push_blob("a", DATA), client.start("a")
        before = resource.prlimit(process, resource.RLIMIT_NOFILE)
        taken = {int(file.name) for file in Path(f"/proc/{process}/fd").iterdir()}
        lowest = min(set(range(len(taken) + 1)) - taken)
        resource.prlimit(process, resource.RLIMIT_NOFILE, (lowest, before[1]))
        for method, url in (("GET", f"/v2/a/blobs/{digest}"), ("PUT", with_digest(location, DIGEST))):
            reply = client(method, url, DATA if method == "PUT" else None)
            assert (reply.status, reply.code, reply.headers["retry-after"]) == (429, "TOOMANYREQUESTS", "1")
        assert client("HEAD", f"/v2/a/blobs/{digest}").status == 200
        resource.prlimit(process, resource.RLIMIT_NOFILE, before)
        assert client("GET", f"/v2/a/blobs/{digest}").body == DATA
        assert client("PUT", with_digest(client.start("a"), DIGEST), DATA).status == 201


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    """Blobs and manifests that do not fit are answered 507; what fits goes on working, and nothing is left over."""
    with served(tmp_path) as (registry, process), Client(registry) as client:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (100_000, 100_000))
        small, large = bytes(1000), bytes(200_000)
        location = client.start("a")
        client("PATCH", location, small)
        replies = [
            client("PATCH", location, large),
            client("PUT", with_digest(location, digest_of(small + large)), large),
            client("POST", f"/v2/a/blobs/uploads/?digest={digest_of(large)}", large),
            client("PUT", "/v2/a/manifests/v1", json.dumps("x" * 200_000).encode(), content_type="x/y"),
        ]
        assert {(reply.status, reply.code) for reply in replies} == {(507, "BLOB_UPLOAD_INVALID")}
        assert client("GET", location).headers["range"] == "0-999"
        assert client("PUT", with_digest(location, digest_of(small)), b"").status == 201
        assert client("GET", f"/v2/a/blobs/{digest_of(small)}").body == small
        assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_disk_without_room_is_no_end(tmp_path: Path) -> None:
    """On a file system of two megabytes what does not fit is answered 507, and what was there is served on and on."""
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*mount, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here: unshare is not there, or not allowed")
    script = 'mount -t tmpfs -o size=2m none "$0" && exec "$@"'
    command = [*mount, script, str(tmp_path), sys.executable, "-m", "matrix", "registry", "--storage", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        registry = Registry()
        registry.port = int(process.stdout.readline().rpartition(":")[2])
        with Client(registry) as client:
            digest = client.push_blob("a", DATA)
            large = [os.urandom(1 << 20) for _ in range(3)]
            urls = [f"/v2/a/blobs/uploads/?digest={digest_of(data)}" for data in large]
            replies = [client("POST", url, data) for url, data in zip(urls, large, strict=True)]
            assert [reply.status for reply in replies] == [201, 507, 507]
            tags = [
                client("PUT", f"/v2/a/manifests/{n}", large[0][:4096] + b"%d" % n, content_type="x/y")
                for n in range(600)
            ]
            assert {reply.status for reply in tags} == {201, 507}
            assert client("GET", f"/v2/a/blobs/{digest}").body == DATA
        process.terminate()
        assert process.communicate()[1].startswith(f"caliper-matrix: {tmp_path}: what it holds cannot be written down")
        assert process.returncode == 2

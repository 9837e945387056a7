"""A registry starts, stops, keeps what it should, and is put back into the states that it had."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from matrix.registry import Registry
from matrix.registry.content import UnknownContentError
from matrix.registry.server import PortTakenError
from matrix.registry.store import Snapshot, StorageError, Store

from .client import OCI_MANIFEST, Client, digest_of, tls_context, with_digest

EMPTY: Snapshot = {"generation": 0, "repositories": {}}


def test_starting_and_stopping_leaves_nothing_behind() -> None:
    """The folder, the port and the thread are gone; stopping twice does no harm."""
    threads = threading.active_count()
    registry = Registry()
    with registry:
        folder = registry.store.root
        with Client(registry) as client:
            client.push_blob("a", b"x")
        assert folder.exists()
    registry.stop()
    assert (folder.exists(), threading.active_count()) == (False, threads)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((registry.host, registry.port))


def test_a_registry_stops_while_clients_are_there() -> None:
    """Idle connections and half-sent requests do not keep it."""
    registry = Registry().start()
    idle, busy = socket.create_connection((registry.host, registry.port)), Client(registry)
    location = busy.start("a")
    busy.connection.putrequest("PATCH", location.removeprefix(registry.url))
    busy.connection.putheader("Content-Length", "1000")
    busy.connection.endheaders(b"half")
    begin = time.perf_counter()
    registry.stop()
    assert time.perf_counter() - begin < 2
    assert idle.recv(1) == b""
    idle.close()
    busy.connection.close()


def test_a_registry_starts_again() -> None:
    """One that was stopped listens on the same port, empty."""
    registry = Registry()
    with registry, Client(registry) as client:
        client.push_blob("a", b"x")
    port = registry.port
    with registry, Client(registry) as client:
        assert registry.port == port
        assert client("GET", "/v2/_catalog").json() == {"repositories": []}


def test_a_port_that_is_taken_is_an_error(registry: Registry) -> None:
    """The error names it and says what to do; nothing is left behind."""
    with pytest.raises(PortTakenError, match=rf"127.0.0.1:{registry.port}.*name another port"):
        Registry(port=registry.port).start()
    with pytest.raises(PortTakenError):
        Registry(port=70000).start()


def test_a_registry_that_was_not_started_says_so() -> None:
    """Asking it for its state is a mistake of the program."""
    with pytest.raises(RuntimeError, match="not started"):
        Registry().snapshot()


def test_two_registries_are_two(registry: Registry, client: Client) -> None:
    """Each has its own port and content."""
    with Registry() as another, Client(another) as other:
        client.push_blob("a", b"x")
        assert another.address != registry.address
        assert other("GET", "/v2/_catalog").json() == {"repositories": []}


def test_a_snapshot_is_small_and_json(registry: Registry, client: Client) -> None:
    """It names content by digest, and is the same after a trip through JSON."""
    blob, manifest = client.push_blob("a/b", bytes(100_000)), client.push_manifest("a/b", "v1")
    snapshot = registry.snapshot()
    assert snapshot == {
        "generation": registry.generation,
        "repositories": {
            "a/b": {
                "tags": {"v1": manifest},
                "manifests": {manifest: OCI_MANIFEST},
                "blobs": sorted([blob, digest_of(b"{}")]),
            }
        },
    }
    assert json.loads(json.dumps(snapshot)) == snapshot


def test_a_snapshot_is_not_changed_by_what_follows(registry: Registry, client: Client) -> None:
    """Later pushes and deletions do not reach into it."""
    digest = client.push_manifest("a", "v1")
    snapshot = registry.snapshot()
    before = json.dumps(snapshot)
    client.push_manifest("a", "v2", annotations={"x": "y"})
    client("DELETE", f"/v2/a/manifests/{digest}")
    client.push_blob("b", b"x")
    assert json.dumps(snapshot) == before


def test_restoring_brings_back_exactly_what_was_there(registry: Registry, client: Client) -> None:
    """What came after is gone, what was deleted is there again, byte for byte."""
    digest = client.push_manifest("a", "v1")
    snapshot = registry.snapshot()
    client("DELETE", f"/v2/a/manifests/{digest}")
    client.push_manifest("b", "v2")
    registry.restore(snapshot)
    assert registry.snapshot()["repositories"] == snapshot["repositories"]
    assert client("GET", "/v2/_catalog").json() == {"repositories": ["a"]}
    assert digest_of(client("GET", "/v2/a/manifests/v1").body) == digest


def test_a_snapshot_is_restored_in_another_process(registry: Registry, client: Client) -> None:
    """A fresh registry that was given the content serves the same."""
    client.push_manifest("a", "v1")
    client.push_blob("a", b"data", "sha512")
    snapshot: Snapshot = json.loads(json.dumps(registry.snapshot()))
    named = snapshot["repositories"]["a"]
    content = {digest: registry.read_blob(digest) for digest in (*named["manifests"], *named["blobs"])}
    with Registry() as another, Client(another) as other:
        for digest, data in content.items():
            assert another.add_blob(data, digest.partition(":")[0]) == digest
        another.restore(snapshot)
        assert other("GET", "/v2/a/manifests/v1").body == client("GET", "/v2/a/manifests/v1").body


def test_restoring_what_is_not_there_changes_nothing(registry: Registry, client: Client) -> None:
    """Content that was not added is named, and the state stays."""
    client.push_manifest("a", "v1")
    before, missing = registry.snapshot(), digest_of(b"missing")
    for part in ({"manifests": {missing: "x/y"}, "blobs": []}, {"manifests": {}, "blobs": [missing]}):
        snapshot: Snapshot = {"generation": 1, "repositories": {"b": {"tags": {}, **part}}}  # type: ignore[typeddict-item]
        with pytest.raises(UnknownContentError, match=missing):
            registry.restore(snapshot)
    assert registry.snapshot() == before


def test_uploads_are_part_of_a_snapshot(registry: Registry, client: Client) -> None:
    """A session goes on where it was when the snapshot was taken, even after it was closed."""
    empty, begun = client.start("a"), client.start("a")
    client("PATCH", begun, b"first")
    snapshot: Snapshot = json.loads(json.dumps(registry.snapshot()))
    assert len(snapshot["uploads"]) == 2
    client("PATCH", begun, b"second")
    client("PUT", with_digest(begun, digest_of(b"firstsecond")), b"")
    client("DELETE", empty)
    for _ in range(2):
        registry.restore(snapshot)
        assert client("GET", begun).headers["range"] == "0-4"
        assert client("GET", empty).status == 204
    assert client("PUT", with_digest(begun, digest_of(b"firstother")), b"other").status == 201
    registry.restore(EMPTY)
    assert "uploads" not in registry.snapshot()
    assert list((registry.store.root / "unfinished").iterdir()) == []


def test_an_upload_that_is_under_way_when_a_state_is_restored_is_over(registry: Registry, client: Client) -> None:
    """What it goes on sending is dropped."""
    location = client.start("a")
    client.connection.putrequest("PATCH", location.removeprefix(registry.url))
    client.connection.putheader("Content-Length", "10")
    client.connection.endheaders(b"12345")
    with Client(registry) as other:  # answered after what was sent before it has been read
        other("GET", "/v2/")
    registry.restore(EMPTY)
    client.connection.send(b"67890")
    response = client.connection.getresponse()
    response.read()
    assert response.status == 404
    assert list((registry.store.root / "unfinished").iterdir()) == []


def _push_blob(client: Client) -> None:
    client.push_blob("a", b"more")


CHANGES: list[Callable[[Client], object]] = [
    _push_blob,
    lambda client: client.push_manifest("a", "v2"),
    lambda client: client("DELETE", "/v2/a/manifests/v1"),
    lambda client: client("DELETE", f"/v2/a/blobs/{digest_of(b'{}')}"),
    lambda client: client("POST", f"/v2/b/blobs/uploads/?mount={digest_of(b'{}')}", b""),
    lambda client: client.start("a"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_generation_grows_with_each_change(
    registry: Registry, client: Client, change: Callable[[Client], object]
) -> None:
    """Whatever changes the state is counted, and so is a restore."""
    client.push_manifest("a", "v1")
    before = registry.generation
    change(client)
    changed = registry.generation
    assert changed > before
    registry.restore(EMPTY)
    assert registry.generation > changed


def test_the_generation_stays_where_nothing_changes(registry: Registry, client: Client) -> None:
    """Reading and refused requests are not counted, nor content that no repository holds."""
    client.push_manifest("a", "v1")
    before = registry.generation
    for method, path in (("GET", "/v2/a/manifests/v1"), ("GET", "/v2/a/tags/list"), ("DELETE", "/v2/b/manifests/x")):
        client(method, path)
    client("POST", "/v2/a/blobs/uploads/?digest=sha256:0", b"")
    registry.add_blob(b"content")
    registry.snapshot()
    assert registry.generation == before


def test_snapshots_and_restores_are_quick(registry: Registry, client: Client) -> None:
    """Taking one and putting it back takes less than a millisecond for a state as a test leaves it."""
    for number in range(20):
        client.push_manifest(f"a/{number}", "v1", number=number)

    def quickest(work: Callable[[], object]) -> float:
        spent = []
        for _ in range(20):
            begin = time.perf_counter()
            work()
            spent.append(time.perf_counter() - begin)
        return min(spent)

    client.push_blob("a/0", b"x")
    snapshot: Snapshot = json.loads(json.dumps(registry.snapshot()))
    assert quickest(registry.snapshot) < 0.001
    assert quickest(lambda: registry.restore(snapshot)) < 0.001


def test_content_is_read_and_added(registry: Registry, client: Client) -> None:
    """Blobs and manifests alike are read by digest; what is added is in no repository."""
    digest = client.push_manifest("a", "v1")
    assert registry.read_blob(digest) == client("GET", "/v2/a/manifests/v1").body
    added = registry.add_blob(b"content")
    assert (added, registry.read_blob(added)) == (digest_of(b"content"), b"content")
    assert client("HEAD", f"/v2/a/blobs/{added}").status == 404
    with pytest.raises(UnknownContentError, match="add_blob first"):
        registry.read_blob(digest_of(b"missing"))


def test_a_storage_folder_is_kept(tmp_path: Path) -> None:
    """Content and repositories are there again in the next run, leftovers of a killed one are not."""
    with Registry(tmp_path) as registry, Client(registry) as client:
        digest = client.push_manifest("a", "v1")
        client("PATCH", client.start("a"), b"half")
    (tmp_path / "unfinished" / "leftover").write_bytes(b"x")
    with Registry(tmp_path) as registry, Client(registry) as client:
        assert client("HEAD", "/v2/a/manifests/v1").headers["docker-content-digest"] == digest
        assert client("GET", f"/v2/a/blobs/{digest_of(b'{}')}").body == b"{}"
        assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_storage_folder_is_written_while_the_registry_runs(tmp_path: Path) -> None:
    """A run that is killed loses the last half second at most."""
    with Registry(tmp_path) as registry, Client(registry) as client:
        client.push_manifest("a", "v1")
        deadline = time.monotonic() + 10
        while not (tmp_path / "registry.json").exists():
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        assert "v1" in (tmp_path / "registry.json").read_text()


def test_a_list_that_cannot_be_written_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry outlives a failure to keep its list, tries again, and says so where it still fails at the end."""
    tried, save = threading.Semaphore(0), Store.save

    def watched(store: Store) -> None:
        try:
            save(store)
        finally:
            tried.release()

    monkeypatch.setattr(Store, "save", watched)
    blocking = tmp_path / "registry.json"
    with Registry(tmp_path) as registry, Client(registry) as client:
        blocking.mkdir()  # nothing can take the place of a folder
        client.push_manifest("a", "v1")
        for _ in range(2):
            assert tried.acquire(timeout=10)
        blocking.rmdir()
        assert tried.acquire(timeout=10)
    assert "v1" in blocking.read_text()
    registry = Registry(tmp_path).start()
    with Client(registry) as client:
        client.push_manifest("a", "v2")
    blocking.unlink(missing_ok=True)
    blocking.mkdir()
    registry.store.state.changed()
    with pytest.raises(StorageError, match="what it holds cannot be written down"):
        registry.stop()


def test_content_that_somebody_removed_is_unknown(registry: Registry, client: Client) -> None:
    """A file that is gone from the folder is a 404, not a failure."""
    digest = client.push_blob("a", b"will be removed")
    registry.store.content.path(digest).unlink()
    reply = client("GET", f"/v2/a/blobs/{digest}")
    assert (reply.status, reply.code) == (404, "BLOB_UNKNOWN")
    client.push_blob("a", b"will be removed")
    assert client("GET", f"/v2/a/blobs/{digest}").body == b"will be removed"


def test_tls_is_for_those_who_trust_the_authority() -> None:
    """A client that trusts it connects; one that does not refuses to."""
    with Registry(tls=True) as registry, Client(registry) as client:
        assert registry.url.startswith("https://")
        assert client.start("a").startswith("https://")
        stranger = http.client.HTTPSConnection(registry.host, registry.port, context=ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.request("GET", "/v2/")
        stranger.close()


def test_the_certificate_is_for_further_names() -> None:
    """A registry can answer for a public one, where names are resolved to it."""
    with Registry(tls=True, names=["ghcr.io"]) as registry:
        context = tls_context(registry.ca_file)
        for name in ("ghcr.io", "localhost", "127.0.0.1"):
            with (
                socket.create_connection((registry.host, registry.port)) as plain,
                context.wrap_socket(plain, server_hostname=name) as secure,
            ):
                secure.sendall(b"GET /v2/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n")
                assert secure.recv(12) == b"HTTP/1.1 200"
        with socket.create_connection((registry.host, registry.port)) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname="example.org")


def test_locations_name_the_host_that_the_client_named(registry: Registry, client: Client) -> None:
    """Another name for this machine stays; one that can't be a host is not repeated."""
    for host, shown in (("localhost:5", "localhost:5"), ("ghcr.io", "ghcr.io"), ('"x y', registry.address)):
        reply = client("POST", "/v2/a/blobs/uploads/", b"", host=host)
        assert reply.headers["location"].startswith(f"http://{shown}/v2/a/blobs/uploads/")

"""A registry that runs somewhere, through its API alone: the embedded one, Debian's, and odd ones."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator

import pytest

from matrix.registry import Registry
from matrix.registry.choice import ChoiceError, check_choice, check_kind, credentials_of, open_registry, reachable
from matrix.registry.content import UnknownContentError
from matrix.registry.external import DockerRegistry
from matrix.registry.remote import PROBE, RemoteError, RemoteRegistry
from matrix.registry.state import RepositorySnapshot
from matrix.registry.store import Snapshot

from .client import OCI_INDEX, OCI_MANIFEST, Client, digest_of

NOTHING: Snapshot = {"generation": 0, "repositories": {}}
KINDS: dict[str, Callable[[], Registry | DockerRegistry]] = {
    "embedded": Registry,
    "docker-registry": DockerRegistry,
    "wild": lambda: Registry(
        switches=["relative-location", "short-pages=1", "no-content-digest", "content-type-parameters"]
    ),
}


@pytest.fixture(params=KINDS)
def there(request: pytest.FixtureRequest) -> Iterator[Registry | DockerRegistry]:
    """Start a registry of some kind, which is then known by its URL alone."""
    if request.param == "docker-registry" and shutil.which(request.param) is None:
        pytest.skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
    with KINDS[request.param]() as registry:
        yield registry


def contents(registry: Registry | DockerRegistry) -> dict[str, RepositorySnapshot]:
    """Return what a registry holds, without the names of what it held once."""
    found = registry.snapshot()["repositories"]
    return {name: repository for name, repository in found.items() if any(repository.values())}


def learn(remote: RemoteRegistry, registry: Registry) -> Snapshot:
    """Return the state of a registry, once its content was given to another."""
    snapshot = registry.snapshot()
    for repository in snapshot["repositories"].values():
        for digest in (*repository["manifests"], *repository["blobs"]):
            remote.add_blob(registry.read_blob(digest))
    return snapshot


def test_states_are_put_into_it_and_taken_out_again(
    there: Registry | DockerRegistry, registry: Registry, client: Client
) -> None:
    """A state with tags, an index, untagged manifests and lonely blobs is there exactly, and gone at the end."""
    digest = client.push_manifest("a/b", "v1")
    untagged = client.push_manifest("a/b", "v2", number=2)
    client("DELETE", "/v2/a/b/manifests/v2")
    entry = {"mediaType": OCI_MANIFEST, "digest": untagged, "size": len(registry.read_blob(untagged))}
    listed = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).encode()
    client("PUT", "/v2/a/b/manifests/all", listed, content_type=OCI_INDEX)
    client.push_blob("c", b"lonely")
    with RemoteRegistry(there.url) as remote:
        state = learn(remote, registry)
        remote.restore(state)
        assert contents(there) == state["repositories"]
        client("DELETE", f"/v2/a/b/manifests/{digest_of(listed)}")
        client("PUT", "/v2/a/b/manifests/v9", registry.read_blob(digest), content_type=OCI_MANIFEST)
        client("DELETE", "/v2/a/b/manifests/v1")
        less = registry.snapshot()
        remote.restore(less)
        assert contents(there) == {name: found for name, found in less["repositories"].items() if any(found.values())}
        remote.restore(state)
        assert contents(there) == state["repositories"]
    assert contents(there) == {}


def test_what_a_client_pushes_is_seen(there: Registry | DockerRegistry) -> None:
    """Tags, manifests and what they refer to are in the snapshot, and each change is noticed."""
    with RemoteRegistry(there.url) as remote, Client(there) as client:
        before = remote.generation
        assert remote.generation == before
        digest = client.push_manifest("a/b", "v1")
        assert remote.generation > before
        expected = {"tags": {"v1": digest}, "manifests": {digest: OCI_MANIFEST}, "blobs": [digest_of(b"{}")]}
        assert remote.snapshot()["repositories"] == {"a/b": expected}
        assert remote.read_blob(digest_of(b"{}")) == b"{}"
        with pytest.raises(UnknownContentError, match="add_blob"):
            remote.read_blob(digest_of(b"never pushed"))


def test_lonely_content_is_taken_out_where_its_digest_is_known(there: Registry | DockerRegistry) -> None:
    """No list shows a blob without a tag; a restored state has it, and it goes, all the same."""
    with RemoteRegistry(there.url) as remote, Client(there) as client:
        digest = remote.add_blob(b"lonely")
        client.push_manifest("a", "v1")
        client.push_blob("a", b"lonely")
        assert digest not in remote.snapshot()["repositories"]["a"]["blobs"]
        before = remote.generation
        remote.restore(NOTHING)
        assert client("HEAD", f"/v2/a/blobs/{digest}").status == 404
        assert before < remote.generation < remote.generation


def test_what_somebody_keeps_there_is_left_alone(there: Registry | DockerRegistry) -> None:
    """A registry that holds anything is refused before anything is changed."""
    with Client(there) as client:
        client.push_manifest("somebody/kept", "v1")
    before = contents(there)
    with pytest.raises(RemoteError, match=f"{there.url}: it holds somebody/kept:v1: .*has to be empty"):
        RemoteRegistry(there.url).start()
    assert contents(there) == before


def test_a_registry_that_does_not_delete_is_refused() -> None:
    """What is put into it could not be taken out."""
    with (
        Registry(switches=["no-delete"]) as registry,
        pytest.raises(RemoteError, match=f"it does not delete {PROBE}:v1, and what a replay puts into it"),
    ):
        RemoteRegistry(registry.url).start()


def test_a_password_is_given_to_the_registry_that_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With TLS and a password it works; without the right one, it is said, without telling it."""
    with Registry(tls=True, auth=("ada", "p@ss")) as registry:
        url = f"https://ada:p%40ss@{registry.address}"
        with pytest.raises(RemoteError, match="its certificate is not trusted"):
            RemoteRegistry(url).start()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(registry.ca_file))
        with RemoteRegistry(url) as remote, Client(registry) as client:
            assert remote.snapshot()["repositories"] == {}
            assert client("GET", "/v2/").status == 401
        with pytest.raises(RemoteError, match="another user and password") as raised:
            RemoteRegistry(url.replace("p%40ss", "wrong")).start()
        assert "wrong" not in str(raised.value)


def test_a_registry_that_gives_tokens_is_refused() -> None:
    """That its tokens are not supported is said at once."""
    with (
        Registry(tokens=True) as registry,
        pytest.raises(RemoteError, match="tokens are not supported"),
    ):
        RemoteRegistry(registry.url).start()


def test_what_does_not_answer_is_told() -> None:
    """Where nobody listens, it is one line."""
    with Registry() as registry:
        url = registry.url
    with pytest.raises(RemoteError, match=rf"{url}: it does not answer \(ConnectionError\)"):
        RemoteRegistry(url).start()


@pytest.mark.parametrize(
    "choice", ["none", "ftp://x", "http://", "http://h:x", "http://h:0", "http://h/path", "http://h?q", "h:5000"]
)
def test_what_names_no_registry_is_refused(choice: str) -> None:
    """The line says what there is to choose from."""
    with pytest.raises(ChoiceError, match=r"it is embedded, docker-registry or http\[s\]://"):
        check_choice(choice)


def test_a_refused_choice_keeps_its_password() -> None:
    """What may be a password is not repeated."""
    with pytest.raises(ChoiceError) as raised:
        check_choice("ftp://ada:secret@127.0.0.1")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "protected", "needed"),
    [
        ("http://h", True, "TLS and a password is needed"),
        ("https://h", True, "TLS and a password is needed"),
        ("https://a:b@h", False, "without TLS and password is needed"),
        ("http://a:b@h", False, "without TLS and password is needed"),
    ],
)
def test_a_url_of_the_wrong_kind_is_refused(url: str, needed: str, *, protected: bool) -> None:
    """A run with passwords needs a registry that has some, one without needs one that has none."""
    with pytest.raises(ChoiceError, match=needed):
        check_kind(url, protected=protected)


def test_a_url_of_the_right_kind_is_taken() -> None:
    """Credentials are decoded, and have to be both there."""
    assert check_kind("https://a:b@h:1", protected=True) == "https://a:b@h:1"
    assert credentials_of("https://a:b%2Fc@h:1") == ("a", "b/c")
    assert credentials_of("https://a@h") is credentials_of("embedded") is None


@pytest.mark.parametrize("auth", [None, ("ada", "secret")])
@pytest.mark.parametrize("choice", ["embedded", "docker-registry"])
def test_any_of_them_is_opened(choice: str, auth: tuple[str, str] | None) -> None:
    """The embedded registry and Debian's come with TLS and a password, or with neither."""
    if choice == "docker-registry" and shutil.which(choice) is None:
        pytest.skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
    with open_registry(choice, auth) as registry, contextlib.ExitStack() as stack:
        assert isinstance(registry, Registry | DockerRegistry)
        client = stack.enter_context(Client(registry))
        assert client("GET", "/v2/").status == (401 if auth else 200)
        assert (registry.ca_file is not None) == (auth is not None)
        assert reachable(registry) == ["127.0.0.1"]

"""Random sequences of operations, on the registry and on a model of it: they never differ."""

import json
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from matrix.registry import Registry
from matrix.registry.store import Snapshot

from .client import OCI_MANIFEST, Client, digest_of, with_digest

NAMES = st.sampled_from(["a", "a/b", "c"])
TAGS = st.sampled_from(["v1", "v2", "Latest", "_"])
CONTENT = [b"", b"x", b"0123456789" * 5, bytes(range(256)) * 300]
BLOBS = st.sampled_from(CONTENT)
ALGORITHMS = st.sampled_from(["sha256", "sha512"])
SUBJECTS = [digest_of(b"subject"), digest_of(b"other", "sha512")]


@dataclass
class Model:
    """What a registry should know."""

    blobs: dict[str, dict[str, bytes]] = field(default_factory=dict)
    manifests: dict[str, dict[str, bytes]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    uploads: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def open(self, name: str) -> None:
        """Make the repository if it is new."""
        for part in (self.blobs, self.manifests, self.tags):
            part.setdefault(name, {})


def manifest_of(content: bytes, subject: str | None, number: int) -> bytes:
    """Return a manifest of one blob."""
    config = {"mediaType": "x/y", "digest": digest_of(content), "size": len(content)}
    manifest: dict[str, Any] = {"schemaVersion": 2, "config": config, "layers": [], "number": number}
    if subject is not None:
        manifest["subject"] = {"mediaType": "x/y", "digest": subject, "size": 7}
    return json.dumps(manifest).encode()


class Operations(RuleBasedStateMachine):
    """Each rule does the same to both and compares the answer; each invariant compares what can be read."""

    registry: Registry
    client: Client

    def __init__(self) -> None:
        """Start with an empty registry."""
        super().__init__()
        self.registry.restore({"generation": 0, "repositories": {}})
        self.model = Model()
        self.kept: list[tuple[Snapshot, Model]] = []

    @rule(name=NAMES, data=BLOBS, algorithm=ALGORITHMS, single=st.booleans())
    def push_blob(self, name: str, data: bytes, algorithm: str, *, single: bool) -> None:
        """Push a whole blob, in either form; it is there."""
        digest = digest_of(data, algorithm)
        if single:
            reply = self.client("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", data)
        else:
            reply = self.client("PUT", with_digest(self.client.start(name), digest), data)
        assert reply.status == 201
        self.model.open(name)
        self.model.blobs[name][digest] = data

    @precondition(lambda self: len(self.model.uploads) < 4)
    @rule(name=NAMES)
    def start_upload(self, name: str) -> None:
        """Open a session; that makes no repository."""
        self.model.uploads[self.client.start(name)] = (name, b"")

    @precondition(lambda self: self.model.uploads)
    @rule(choice=st.integers(0, 3), data=BLOBS, gap=st.sampled_from([0, 0, 0, 1, -1]))
    def send_chunk(self, choice: int, data: bytes, gap: int) -> None:
        """Send a chunk, which is added where it follows on and refused where it does not."""
        location = self._upload(choice)
        name, sent = self.model.uploads[location]
        first = max(len(sent) + gap, 0)
        reply = self.client(
            "PATCH", location, data, content_range=f"{first}-{first + len(data) - 1}" if data else "0-0"
        )
        if data and first == len(sent):
            sent += data
            assert reply.status == 202
        else:
            assert reply.status in {400, 416}
        self.model.uploads[location] = (name, sent)

    @precondition(lambda self: self.model.uploads)
    @rule(choice=st.integers(0, 3), data=BLOBS, algorithm=ALGORITHMS, right=st.booleans())
    def finish_upload(self, choice: int, data: bytes, algorithm: str, *, right: bool) -> None:
        """Close a session: with a blob if the digest is right, with nothing if it is not."""
        location = self._upload(choice)
        name, sent = self.model.uploads.pop(location)
        digest = digest_of(sent + data if right else b"something else", algorithm)
        reply = self.client("PUT", with_digest(location, digest), data)
        assert reply.status == (201 if right else 400)
        if right:
            self.model.open(name)
            self.model.blobs[name][digest] = sent + data

    @precondition(lambda self: self.model.uploads)
    @rule(choice=st.integers(0, 3))
    def cancel_upload(self, choice: int) -> None:
        """Cancel a session; it is unknown then."""
        location = self._upload(choice)
        del self.model.uploads[location]
        assert self.client("DELETE", location).status == 204
        assert self.client("GET", location).status == 404

    @rule(name=NAMES, source=NAMES | st.none(), data=BLOBS)
    def mount(self, name: str, source: str | None, data: bytes) -> None:
        """Mount a blob, which works if the source, or any repository, holds it."""
        digest = digest_of(data)
        query = f"mount={digest}" + (f"&from={source}" if source else "")
        reply = self.client("POST", f"/v2/{name}/blobs/uploads/?{query}", b"")
        sources = [source] if source else list(self.model.blobs)
        if any(digest in self.model.blobs.get(each, {}) for each in sources):
            assert reply.status == 201
            self.model.open(name)
            self.model.blobs[name][digest] = data
        else:
            assert (reply.status, self.client("DELETE", reply.headers["location"]).status) == (202, 204)

    @rule(name=NAMES, data=BLOBS)
    def delete_blob(self, name: str, data: bytes) -> None:
        """Delete a blob from one repository."""
        digest = digest_of(data)
        known = self.model.blobs.get(name, {}).pop(digest, None) is not None
        assert self.client("DELETE", f"/v2/{name}/blobs/{digest}").status == (202 if known else 404)

    @rule(
        name=NAMES,
        tag=TAGS | st.none(),
        data=BLOBS,
        subject=st.sampled_from([None, *SUBJECTS]),
        number=st.integers(0, 2),
    )
    def push_manifest(self, name: str, tag: str | None, data: bytes, subject: str | None, number: int) -> None:
        """Push a manifest, which is taken if its blob is there."""
        body = manifest_of(data, subject, number)
        digest = digest_of(body)
        reply = self.client("PUT", f"/v2/{name}/manifests/{tag or digest}", body, content_type=OCI_MANIFEST)
        if digest_of(data) not in self.model.blobs.get(name, {}):
            assert (reply.status, reply.code) == (400, "MANIFEST_BLOB_UNKNOWN")
            return
        assert (reply.status, reply.headers.get("oci-subject")) == (201, subject)
        self.model.manifests[name][digest] = body
        if tag is not None:
            self.model.tags[name][tag] = digest

    @rule(name=NAMES, tag=TAGS, by_digest=st.booleans())
    def delete_manifest(self, name: str, tag: str, *, by_digest: bool) -> None:
        """Delete a tag alone, or a manifest with all its tags."""
        tags = self.model.tags.get(name, {})
        digest = tags.get(tag)
        reference = digest if by_digest and digest else tag
        assert self.client("DELETE", f"/v2/{name}/manifests/{reference}").status == (202 if digest else 404)
        if digest and by_digest:
            del self.model.manifests[name][digest]
            self.model.tags[name] = {each: target for each, target in tags.items() if target != digest}
        elif digest:
            del tags[tag]

    @rule()
    def keep_state(self) -> None:
        """Remember a snapshot, as JSON."""
        self.kept = [*self.kept[-2:], (json.loads(json.dumps(self.registry.snapshot())), deepcopy(self.model))]

    @precondition(lambda self: self.kept)
    @rule(choice=st.integers(0, 2))
    def restore_state(self, choice: int) -> None:
        """Put back an earlier state."""
        snapshot, model = self.kept[choice % len(self.kept)]
        self.registry.restore(snapshot)
        self.model = deepcopy(model)

    @rule(name=NAMES, data=BLOBS, first=st.integers(0, 60), length=st.integers(1, 60))
    def read_part(self, name: str, data: bytes, first: int, length: int) -> None:
        """Read a range, which is the slice of what was pushed."""
        digest = digest_of(data)
        reply = self.client("GET", f"/v2/{name}/blobs/{digest}", range=f"bytes={first}-{first + length - 1}")
        if digest not in self.model.blobs.get(name, {}):
            assert reply.status == 404
        elif first >= len(data):
            assert reply.status == 416
        else:
            assert (reply.status, reply.body) == (206, data[first : first + length])

    @rule(name=NAMES, tag=TAGS)
    def read_manifest(self, name: str, tag: str) -> None:
        """Read a tag, which gives what was pushed under it last."""
        digest = self.model.tags.get(name, {}).get(tag)
        reply = self.client("GET", f"/v2/{name}/manifests/{tag}")
        assert reply.status == (200 if digest else 404)
        if digest:
            assert reply.body == self.model.manifests[name][digest]

    @rule(name=NAMES, subject=st.sampled_from(SUBJECTS))
    def read_referrers(self, name: str, subject: str) -> None:
        """List referrers: the manifests of the repository with that subject."""
        listed = self.client("GET", f"/v2/{name}/referrers/{subject}").json()["manifests"]
        found = self.model.manifests.get(name, {})
        expected = {digest for digest, body in found.items() if subject.encode() in body}
        assert {entry["digest"] for entry in listed} == expected

    @rule(name=NAMES, n=st.integers(1, 3))
    def read_tags(self, name: str, n: int) -> None:
        """List tags in pages, which together are sorted."""
        if name not in self.model.tags:
            assert self.client("GET", f"/v2/{name}/tags/list?n={n}").status == 404
            return
        url, listed = f"/v2/{name}/tags/list?n={n}", []
        while url:
            reply = self.client("GET", url)
            listed += reply.json()["tags"]
            url = reply.headers.get("link", "").partition("<")[2].partition(">")[0]
        assert listed == sorted(self.model.tags[name], key=str.lower)

    @invariant()
    def same_uploads(self) -> None:
        """Compare how far each session is."""
        for location, (_, sent) in self.model.uploads.items():
            assert self.client("GET", location).headers["range"] == f"0-{max(len(sent) - 1, 0)}"

    @invariant()
    def same_state(self) -> None:
        """Compare all that a snapshot holds."""
        snapshot = self.registry.snapshot()
        assert len(snapshot.get("uploads", {})) == len(self.model.uploads)
        assert snapshot["repositories"] == {
            name: {
                "tags": self.model.tags[name],
                "manifests": dict.fromkeys(self.model.manifests[name], OCI_MANIFEST),
                "blobs": sorted(self.model.blobs[name]),
            }
            for name in self.model.blobs
        }

    def _upload(self, choice: int) -> str:
        return list(self.model.uploads)[choice % len(self.model.uploads)]


def test_random_operations(registry: Registry, client: Client) -> None:
    """No sequence of operations makes a difference between the registry and the model."""

    class Bound(Operations):
        pass

    Bound.registry, Bound.client = registry, client
    case = Bound.TestCase
    case.settings = settings(
        max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case("runTest").debug()
    registry.restore({"generation": 0, "repositories": {}})
    assert list((registry.store.root / "unfinished").iterdir()) == []

"""A registry that runs somewhere: its state is seen, and put back, through the distribution API alone.

Lists show tags, manifests lead to what they refer to; content that no tag leads to is found where its digest is known.
What cannot be had is said in docs/registry.md.
"""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, Self
from urllib.parse import unquote, urljoin, urlsplit

import requests

from matrix.errors import CaliperError
from matrix.registry.content import UnknownContentError
from matrix.registry.grammar import digest_of
from matrix.registry.lifetime import Startable
from matrix.registry.manifests import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from matrix.registry.state import RepositorySnapshot
from matrix.registry.store import Snapshot

ACCEPT = {"Accept": f"{OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}, */*"}
PROBE = "caliper-matrix/probe"
PATIENCE = 30.0  # seconds for an answer
OK, CREATED, ACCEPTED, UNAUTHORIZED, MISSING = 200, 201, 202, 401, 404


class RemoteError(CaliperError):
    """The registry at a URL cannot be used."""

    def __init__(self, place: str, problem: str) -> None:
        """Say which one, without its password, and why."""
        super().__init__(f"{place}: {problem}")
        self.place = place


class RemoteRegistry(Startable):
    """The same small interface as `Registry`, for one that holds nothing yet: it is left as empty as it was."""

    def __init__(self, url: str) -> None:
        """Take ``http[s]://[USER:PASSWORD@]HOST[:PORT]``; nothing is asked before `start`."""
        parts = urlsplit(url)
        self.host = str(parts.hostname)
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.url = f"{parts.scheme}://{self.address}"
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no credentials but those of the URL
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        self._auth = (unquote(parts.username), unquote(parts.password)) if parts.username and parts.password else None
        self._content: dict[str, bytes] = {}
        self._manifests: set[str] = set()  # which of that are manifests
        self._known: dict[str, set[str]] = {}  # what a repository may hold, by its name
        self._generation, self._seen, self._restored = 0, "", False

    @property
    def address(self) -> str:
        """Host and port, as in the name of an image."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def start(self) -> Self:
        """Make sure that it answers, lists, holds nothing, and deletes.

        Raises:
            RemoteError: it does not.
        """
        answer = self._ask("GET", "/v2/")
        if answer.status_code != OK:
            challenge = answer.headers.get("WWW-Authenticate", "").partition(" ")[0].lower()
            wants = {"basic": "it wants another user and password", "bearer": "tokens are not supported"}
            reason = wants.get(challenge) if answer.status_code == UNAUTHORIZED else None
            self._fail(reason or f"it is no registry: GET /v2/ is answered {answer.status_code}")
        for name in self._names():
            for tag in self._tags(name):
                held = f"it holds {name}:{tag}: states are put into it and taken out again, so it has to be empty"
                self._fail(held)
        self._check_deleting()
        return self

    def stop(self) -> None:
        """Take out what was put into it; more than once does no harm."""
        try:
            self.restore({"generation": 0, "repositories": {}})
        finally:
            self._session.close()

    @property
    def generation(self) -> int:
        """A number that grows whenever the state may have changed since it was asked for last.

        Once a state was restored it always grows: a call that failed may have left content that no list shows.
        """
        seen = json.dumps(self._repositories(), sort_keys=True) if not self._restored else ""
        if self._restored or seen != self._seen:
            self._generation, self._seen = self._generation + 1, seen
        return self._generation

    def snapshot(self) -> Snapshot:
        """Return what the lists show and what that refers to; no uploads, and no content that no tag leads to."""
        return {"generation": self._generation, "repositories": self._repositories()}

    def read_blob(self, digest: str) -> bytes:
        """Return content, be it a blob or a manifest; an `UnknownContentError` if there is none."""
        algorithm = digest.partition(":")[0]
        for name in [name for name, known in self._known.items() if digest in known]:
            if digest not in self._content:
                answer = self._ask("GET", f"/v2/{name}/blobs/{digest}")
                if answer.status_code == OK and digest_of(answer.content, algorithm) == digest:
                    self._content[digest] = answer.content
        if digest not in self._content:
            raise UnknownContentError(digest)
        return self._content[digest]

    def add_blob(self, data: bytes, algorithm: str = "sha256") -> str:
        """Keep content for `restore`, and return its digest."""
        digest = digest_of(data, algorithm)
        self._content[digest] = data
        return digest

    def restore(self, snapshot: Snapshot) -> None:
        """Push what the snapshot has and delete what it has not, as far as lists and known digests lead there.

        Raises:
            UnknownContentError: something that it refers to was not added; nothing was changed.
            RemoteError: it does not let itself be brought into that state.
        """
        wanted = snapshot["repositories"]
        for repository in wanted.values():
            for digest in (*repository["manifests"], *repository["blobs"]):
                self.read_blob(digest)
        self._restored = True
        for name in sorted({*self._names(), *wanted}):
            repository = wanted.get(name, {"tags": {}, "manifests": {}, "blobs": []})
            self._manifests.update(repository["manifests"])
            self._known.setdefault(name, set()).update(repository["manifests"], repository["blobs"], self._content)
            self._bring(name, repository)

    # What there is

    def _repositories(self) -> dict[str, RepositorySnapshot]:
        found = {name: self._repository(name) for name in self._names()}
        return {name: repository for name, repository in found.items() if any(repository.values())}

    def _repository(self, name: str) -> RepositorySnapshot:
        tags: dict[str, str] = {}
        manifests: dict[str, str] = {}
        blobs: set[str] = set()
        for tag in self._tags(name):
            if (found := self._manifest(name, tag)) is not None:
                tags[tag], manifests[found[0]] = found[0], found[1]
        waiting = list(manifests)
        while waiting:
            children, parts = references(self._content[waiting.pop()])
            for child in children:
                if child not in manifests and (found := self._manifest(name, child)) is not None:
                    manifests[child] = found[1]
                    waiting.append(child)
            blobs |= {part for part in parts if part not in blobs and self._has(name, "blobs", part)}
        self._known.setdefault(name, set()).update(manifests, blobs)
        return {"tags": tags, "manifests": dict(sorted(manifests.items())), "blobs": sorted(blobs)}

    def _manifest(self, name: str, reference: str) -> tuple[str, str] | None:
        answer = self._ask("GET", f"/v2/{name}/manifests/{reference}", headers=ACCEPT)
        if answer.status_code != OK:
            return None
        digest = reference if ":" in reference else digest_of(answer.content)
        self._content[digest] = answer.content
        self._manifests.add(digest)
        return digest, answer.headers.get("Content-Type", OCI_MANIFEST).partition(";")[0]

    def _names(self) -> list[str]:
        return list(self._listed("/v2/_catalog", "repositories"))

    def _tags(self, name: str) -> list[str]:
        return sorted(self._listed(f"/v2/{name}/tags/list", "tags"))

    def _listed(self, path: str, key: str) -> Iterator[str]:
        while path:
            answer = self._ask("GET", path)
            if answer.status_code == MISSING and key == "tags":
                return  # a repository that lost its last tag
            try:
                yield from answer.json()[key] or ()
            except (ValueError, KeyError, TypeError):
                self._fail(f"it does not list what it holds (GET {path}: {answer.status_code})")
            path = str(answer.links.get("next", {}).get("url", ""))

    def _has(self, name: str, kind: str, digest: str) -> bool:
        return self._ask("HEAD", f"/v2/{name}/{kind}/{digest}", headers=ACCEPT).status_code == OK

    # Changes

    def _bring(self, name: str, wanted: RepositorySnapshot) -> None:
        self._take_tags(name, wanted["tags"])
        needed = {*wanted["manifests"], *wanted["blobs"]}
        present = {digest for digest in self._known[name] if self._has(name, self._kind(digest), digest)}
        for digest in sorted(present - needed, key=self._kind, reverse=True):  # manifests go first
            if not self._delete(name, self._kind(digest), digest):
                self._fail(f"it does not delete {digest} of {name}")
        for digest in sorted(needed - present, key=self._kind):  # blobs come first
            if self._kind(digest) == "blobs":
                self._push_blob(name, digest)
            else:
                self._push_manifest(name, digest, wanted["manifests"])
        for tag, digest in wanted["tags"].items():
            if self._manifest(name, tag) != (digest, wanted["manifests"][digest]):
                self._put_manifest(name, tag, digest, wanted["manifests"][digest])

    def _take_tags(self, name: str, wanted: Mapping[str, str]) -> None:
        for tag in self._tags(name):
            found = self._manifest(name, tag) if tag not in wanted else None
            # Not every registry deletes a tag alone; with the manifest go all its tags, and wanted ones come back.
            if found and not self._delete(name, "manifests", tag) and not self._delete(name, "manifests", found[0]):
                self._fail(f"it does not delete {name}:{tag}")

    def _kind(self, digest: str) -> str:
        return "manifests" if digest in self._manifests else "blobs"

    def _push_manifest(self, name: str, digest: str, types: dict[str, str]) -> None:
        for child in references(self._content[digest])[0]:
            if child in types and not self._has(name, "manifests", child):
                self._push_manifest(name, child, types)
        self._put_manifest(name, digest, digest, types[digest])

    def _put_manifest(self, name: str, reference: str, digest: str, media_type: str) -> None:
        headers = {"Content-Type": media_type}
        answer = self._ask("PUT", f"/v2/{name}/manifests/{reference}", data=self._content[digest], headers=headers)
        self._expect(answer, CREATED, f"a manifest for {name}:{reference}")

    def _push_blob(self, name: str, digest: str) -> None:
        started = self._ask("POST", f"/v2/{name}/blobs/uploads/", headers={"Content-Length": "0"})
        self._expect(started, ACCEPTED, f"an upload to {name}")
        location = urljoin(f"{self.url}/v2/", started.headers.get("Location", ""))
        url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream"}
        self._expect(self._ask("PUT", url, data=self._content[digest], headers=headers), CREATED, f"a blob of {name}")

    def _delete(self, name: str, kind: str, reference: str) -> bool:
        return self._ask("DELETE", f"/v2/{name}/{kind}/{reference}").status_code == ACCEPTED

    def _check_deleting(self) -> None:
        empty = self.add_blob(b"{}")
        descriptor = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2}
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor, "layers": [descriptor]}
        digest = self.add_blob(json.dumps(manifest).encode())
        state: Snapshot = {
            "generation": 0,
            "repositories": {PROBE: {"tags": {"v1": digest}, "manifests": {digest: OCI_MANIFEST}, "blobs": [empty]}},
        }
        try:
            self.restore(state)
            self.restore({"generation": 0, "repositories": {}})
        except RemoteError as error:
            message = f"{error}, and what a replay puts into it has to be taken out again ({PROBE} may be left there)"
            raise RemoteError(self.url, message.removeprefix(f"{self.url}: ")) from None
        self._restored = False

    # Requests

    def _ask(self, method: str, place: str, **more: Any) -> requests.Response:  # noqa: ANN401 - what requests takes
        url = urljoin(self.url, place)
        auth = self._auth if urlsplit(url).hostname == self.host else None  # an upload may be taken elsewhere
        try:
            return self._session.request(
                method, url, timeout=PATIENCE, auth=auth, allow_redirects=method == "GET", **more
            )
        except requests.exceptions.SSLError:
            self._fail("its certificate is not trusted: REQUESTS_CA_BUNDLE names the file of an authority that is")
        except requests.RequestException as error:
            self._fail(f"it does not answer ({type(error).__name__})")

    def _expect(self, answer: requests.Response, status: int, what: str) -> None:
        if answer.status_code != status:
            self._fail(f"it does not take {what}: {answer.status_code} instead of {status}")

    def _fail(self, problem: str) -> NoReturn:
        raise RemoteError(self.url, problem) from None


def references(manifest: bytes) -> tuple[list[str], list[str]]:
    """Return the digests of the manifests, and of the blobs, that a manifest refers to."""
    try:
        content = json.loads(manifest)
        descriptors = [content.get("config"), *content.get("layers", ()), *content.get("blobs", ())]
        children = [descriptor["digest"] for descriptor in content.get("manifests", ())]
        return children, [descriptor["digest"] for descriptor in descriptors if descriptor]
    except (ValueError, KeyError, TypeError, AttributeError):
        return [], []

"""What the registry knows: which repository holds which tags, manifests and blobs; references only, no content."""

import bisect
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypedDict

from matrix.registry.errors import Code, RegistryError


class RepositorySnapshot(TypedDict):
    """One repository, as JSON: tag to digest, digest of a manifest to its media type, digests of blobs."""

    tags: dict[str, str]
    manifests: dict[str, str]
    blobs: list[str]


@dataclass(slots=True)
class Repository:
    """One repository."""

    tags: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, str] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    frozen: RepositorySnapshot | None = None  # the snapshot of this repository, until it changes
    ordered: list[str] | None = None  # the tags as they are listed, until it changes: each page would sort them all

    def freeze(self) -> RepositorySnapshot:
        """Return the snapshot: the same object as last time, if nothing changed since."""
        if self.frozen is None:
            self.frozen = {"tags": dict(self.tags), "manifests": dict(self.manifests), "blobs": sorted(self.blobs)}
        return self.frozen


class State:
    """All repositories. Its methods may be called from any thread; each is done as a whole or not at all."""

    def __init__(self) -> None:
        """Start empty."""
        self.lock = threading.RLock()
        self.generation = 0
        self.announce: Callable[[], None] = _nobody  # told of each change, before its author has an answer
        self._repositories: dict[str, Repository] = {}

    def changed(self) -> None:
        """Count a change."""
        with self.lock:
            self.generation += 1
            self.announce()

    def _change(self, name: str) -> Repository:
        repository = self._repositories.setdefault(name, Repository())
        repository.frozen = repository.ordered = None
        self.changed()
        return repository

    def _known(self, name: str) -> Repository:
        if (repository := self._repositories.get(name)) is None:
            raise RegistryError(Code.NAME_UNKNOWN, detail=name)
        return repository

    def add_blob(self, name: str, digest: str) -> None:
        """Let the repository hold the blob; the repository is made if it is new."""
        with self.lock:
            self._change(name).blobs.add(digest)

    def has_blob(self, name: str, digest: str) -> bool:
        """Whether the repository holds the blob."""
        with self.lock:
            return name in self._repositories and digest in self._repositories[name].blobs

    def anywhere(self, digest: str) -> str | None:
        """Return a repository that holds the blob."""
        with self.lock:
            return next((name for name, found in self._repositories.items() if digest in found.blobs), None)

    def remove_blob(self, name: str, digest: str) -> None:
        """Take the blob out of the repository; content stays, for other repositories and snapshots."""
        with self.lock:
            if digest not in self._known(name).blobs:
                raise RegistryError(Code.BLOB_UNKNOWN, detail=digest)
            self._change(name).blobs.remove(digest)

    def add_manifest(self, name: str, digest: str, media_type: str, tag: str | None, needs: Iterable[str]) -> None:
        """Let the repository hold the manifest, under ``tag`` too; everything in ``needs`` must be there already."""
        with self.lock:
            present = self._repositories.get(name, Repository())
            for needed in needs:
                if needed not in present.blobs and needed not in present.manifests:
                    raise RegistryError(Code.MANIFEST_BLOB_UNKNOWN, detail=needed)
            repository = self._change(name)
            repository.manifests[digest] = media_type
            if tag is not None:
                repository.tags[tag] = digest

    def manifest(self, name: str, reference: str) -> tuple[str, str]:
        """Return digest and media type of what a tag or a digest stands for."""
        with self.lock:
            repository = self._known(name)
            digest = repository.tags.get(reference, reference)
            if (media_type := repository.manifests.get(digest)) is None:
                raise RegistryError(Code.MANIFEST_UNKNOWN, detail=reference[:255])
            return digest, media_type

    def remove_manifest(self, name: str, reference: str) -> None:
        """Remove a tag alone, or a manifest by its digest with all tags that point to it."""
        with self.lock:
            digest, _ = self.manifest(name, reference)
            repository = self._change(name)
            if reference in repository.tags:
                del repository.tags[reference]
                return
            del repository.manifests[digest]
            repository.tags = {tag: target for tag, target in repository.tags.items() if target != digest}

    def manifests(self, name: str) -> dict[str, str]:
        """Return digests and media types of a repository's manifests, in the order they came; none if it is unknown."""
        with self.lock:
            return dict(self._repositories[name].manifests) if name in self._repositories else {}

    def tags(self, name: str, last: str | None) -> list[str]:
        """Return the repository's tags after ``last``, in the specification's order: upper and lower case are one."""
        with self.lock:
            repository = self._known(name)
            if repository.ordered is None:
                repository.ordered = sorted(repository.tags, key=_place)
            return _after(repository.ordered, last)

    def names(self, last: str | None) -> list[str]:
        """Return the names of all repositories after ``last``, sorted."""
        with self.lock:
            return _after(sorted(self._repositories, key=_place), last)

    def snapshot(self) -> dict[str, RepositorySnapshot]:
        """Return all repositories as JSON can hold them; not to be changed, later snapshots share parts of it."""
        with self.lock:
            return {name: self._repositories[name].freeze() for name in sorted(self._repositories)}

    def restore(self, repositories: dict[str, RepositorySnapshot]) -> None:
        """Be as in the snapshot; repositories that did not change since are left alone."""
        with self.lock:
            self.changed()
            self._repositories = {name: self._thawed(name, wanted) for name, wanted in repositories.items()}

    def _thawed(self, name: str, wanted: RepositorySnapshot) -> Repository:
        present = self._repositories.get(name)
        if present is not None and present.frozen is wanted:
            return present
        return Repository(dict(wanted["tags"]), dict(wanted["manifests"]), set(wanted["blobs"]), wanted)


def _nobody() -> None:
    pass


def _after(ordered: list[str], last: str | None) -> list[str]:
    return ordered[:] if last is None else ordered[bisect.bisect_right(ordered, _place(last), key=_place) :]


def _place(entry: str) -> tuple[str, str]:
    return entry.lower(), entry

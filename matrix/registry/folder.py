"""The storage folder of the CNCF's registry, read and written as snapshots: each registry takes the other's states."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from matrix.files import atomic_write
from matrix.registry.content import UnknownContentError
from matrix.registry.grammar import check_digest, digest_of
from matrix.registry.manifests import OCI_INDEX, OCI_MANIFEST
from matrix.registry.state import RepositorySnapshot


class Folder:
    """A filesystem storage folder, of a registry that caches nothing; uploads that are under way are left out."""

    def __init__(self, root: Path) -> None:
        """Take a folder that may be empty."""
        self._blobs = root / "docker" / "registry" / "v2" / "blobs"
        self._repositories = root / "docker" / "registry" / "v2" / "repositories"
        self._repositories.mkdir(parents=True, exist_ok=True)

    def fingerprint(self) -> str:
        """Return what changes whenever anything that a snapshot holds does."""
        seen = hashlib.sha256()
        for link in sorted(self._repositories.rglob("link")):
            status = link.stat()
            seen.update(f"{link}\0{status.st_ino}\0{status.st_mtime_ns}\n".encode())
        return seen.hexdigest()

    def read(self, digest: str) -> bytes:
        """Return content; an `UnknownContentError` if there is none."""
        try:
            return self._data(digest).read_bytes()
        except FileNotFoundError:
            raise UnknownContentError(digest) from None

    def add(self, data: bytes, algorithm: str = "sha256") -> str:
        """Store content, without any repository holding it, and return its digest."""
        digest = digest_of(data, algorithm)
        if not self._data(digest).exists():
            atomic_write(self._data(digest), data)
        return digest

    def snapshot(self) -> dict[str, RepositorySnapshot]:
        """Return all repositories, in the form of the embedded registry."""
        return {name: self._freeze(self._repositories / name) for name in sorted(self._names())}

    def restore(self, repositories: dict[str, RepositorySnapshot]) -> None:
        """Be as in the snapshot.

        Raises:
            UnknownContentError: something that it refers to was not added; nothing was changed.
        """
        for repository in repositories.values():
            for digest in (*repository["manifests"], *repository["blobs"]):
                if not self._data(digest).exists():
                    raise UnknownContentError(digest)
        shutil.rmtree(self._repositories)
        self._repositories.mkdir()
        for name, repository in repositories.items():
            self._thaw(self._repositories / name, repository)

    def _data(self, digest: str) -> Path:
        algorithm, _, encoded = check_digest(digest).partition(":")
        return self._blobs / algorithm / encoded[:2] / encoded / "data"

    def _names(self) -> Iterator[str]:
        for folder, inside, _ in os.walk(self._repositories):
            if "_layers" in inside or "_manifests" in inside:
                yield str(Path(folder).relative_to(self._repositories))
            inside[:] = [name for name in inside if not name.startswith("_")]

    def _freeze(self, folder: Path) -> RepositorySnapshot:
        tags = (folder / "_manifests" / "tags").glob("*/current/link")
        manifests = sorted(_linked(folder / "_manifests" / "revisions"))
        return {
            "tags": {link.parts[-3]: link.read_text() for link in sorted(tags)},
            "manifests": {digest: self._media_type(digest) for digest in manifests},
            "blobs": sorted(_linked(folder / "_layers")),
        }

    def _media_type(self, digest: str) -> str:
        manifest = json.loads(self.read(digest))
        return str(manifest.get("mediaType") or (OCI_INDEX if "manifests" in manifest else OCI_MANIFEST))

    def _thaw(self, folder: Path, repository: RepositorySnapshot) -> None:
        (folder / "_manifests" / "tags").mkdir(parents=True)
        for digest in repository["blobs"]:
            _link(folder / "_layers", digest)
        for digest in repository["manifests"]:
            _link(folder / "_manifests" / "revisions", digest)
        for tag, digest in repository["tags"].items():
            _link(folder / "_manifests" / "tags" / tag / "index", digest)
            current = folder / "_manifests" / "tags" / tag / "current"
            current.mkdir()
            (current / "link").write_text(digest)


def _linked(folder: Path) -> Iterator[str]:
    for link in folder.glob("*/*/link"):
        yield f"{link.parts[-3]}:{link.parts[-2]}"


def _link(folder: Path, digest: str) -> None:
    path = folder.joinpath(*digest.split(":"))
    path.mkdir(parents=True, exist_ok=True)
    (path / "link").write_text(digest)

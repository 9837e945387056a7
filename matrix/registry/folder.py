"""The storage folder of the CNCF's registry, read and written as snapshots: each registry takes the other's states."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from matrix.files import atomic_write
from matrix.registry.content import UnknownContentError
from matrix.registry.grammar import check_digest, digest_of
from matrix.registry.manifests import OCI_INDEX, OCI_MANIFEST
from matrix.registry.state import RepositorySnapshot
from matrix.registry.uploads import UploadSnapshot

_UPLOADS = "_uploads"


class Folder:
    """A filesystem storage folder, of a registry that caches nothing."""

    def __init__(self, root: Path) -> None:
        """Take a folder that may be empty."""
        self._blobs = root / "docker" / "registry" / "v2" / "blobs"
        self._repositories = root / "docker" / "registry" / "v2" / "repositories"
        self._repositories.mkdir(parents=True, exist_ok=True)

    def fingerprint(self) -> str:
        """Return what changes whenever anything that a snapshot holds does."""
        seen = hashlib.sha256()
        for file in sorted((*self._repositories.rglob("link"), *self._repositories.rglob(f"{_UPLOADS}/*/*"))):
            status = file.stat()
            seen.update(f"{file}\0{status.st_ino}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
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

    def uploads(self) -> dict[str, UploadSnapshot]:
        """Return the uploads that are under way; what they received becomes content."""
        found: dict[str, UploadSnapshot] = {}
        for name in sorted(self._names()):
            for folder in sorted((self._repositories / name / _UPLOADS).glob("*")):
                data = folder / "data"
                found[folder.name] = {"repository": name}
                if data.exists() and data.stat().st_size:
                    found[folder.name]["content"] = self.add(data.read_bytes())
        return found

    def restore(self, repositories: dict[str, RepositorySnapshot], uploads: dict[str, UploadSnapshot]) -> None:
        """Be as in the snapshot.

        Raises:
            UnknownContentError: something that it refers to was not added; nothing was changed.
        """
        needed = [digest for one in repositories.values() for digest in (*one["manifests"], *one["blobs"])]
        for digest in (*needed, *(upload["content"] for upload in uploads.values() if "content" in upload)):
            if not self._data(digest).exists():
                raise UnknownContentError(digest)
        shutil.rmtree(self._repositories)
        self._repositories.mkdir()
        for name, repository in repositories.items():
            self._thaw(self._repositories / name, repository)
        for key, upload in uploads.items():
            self._thaw_upload(self._repositories / upload["repository"] / _UPLOADS / key, upload)

    def _data(self, digest: str) -> Path:
        algorithm, _, encoded = check_digest(digest).partition(":")
        return self._blobs / algorithm / encoded[:2] / encoded / "data"

    def _names(self) -> Iterator[str]:
        for folder, inside, _ in os.walk(self._repositories):
            if not {"_layers", "_manifests", _UPLOADS}.isdisjoint(inside):
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

    def _thaw_upload(self, folder: Path, upload: UploadSnapshot) -> None:
        folder.mkdir(parents=True)
        (folder / "startedat").write_text(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        (folder / "data").write_bytes(self.read(upload["content"]) if "content" in upload else b"")


def _linked(folder: Path) -> Iterator[str]:
    for link in folder.glob("*/*/link"):
        yield f"{link.parts[-3]}:{link.parts[-2]}"


def _link(folder: Path, digest: str) -> None:
    path = folder.joinpath(*digest.split(":"))
    path.mkdir(parents=True, exist_ok=True)
    (path / "link").write_text(digest)

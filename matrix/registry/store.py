"""Everything the registry keeps, as one thing: content, repositories, open uploads; snapshots of it."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from matrix.errors import CaliperError
from matrix.files import atomic_write
from matrix.registry.content import Content
from matrix.registry.state import RepositorySnapshot, State
from matrix.registry.uploads import Uploads, UploadSnapshot

_INDEX = "registry.json"


class StorageError(CaliperError):
    """A storage folder cannot be used."""

    def __init__(self, folder: Path, problem: str) -> None:
        """Say which, why, and what to do."""
        super().__init__(f"{folder}: {problem}; name another folder with --storage, or mend this one")
        self.folder = folder


class Snapshot(TypedDict):
    """The registry's state as JSON: small, for content is named by digest. ``uploads`` only if some are open."""

    generation: int
    repositories: dict[str, RepositorySnapshot]
    uploads: NotRequired[dict[str, UploadSnapshot]]


class Store:
    """A registry's storage folder."""

    def __init__(self, root: Path) -> None:
        """Open the folder and take up the repositories that an earlier run left in it.

        Raises:
            StorageError: nothing can be kept there, or what is there was not left by a registry.
        """
        self.root = root
        try:
            self.content = Content(root)
        except OSError as error:
            raise StorageError(root, f"nothing can be kept there ({error.strerror})") from error
        self.state = State()
        self.uploads = Uploads(self.content, self.state.lock)
        self.facts = lru_cache(maxsize=4096)(self._facts)
        if (root / _INDEX).exists():
            self._load()

    def _load(self) -> None:
        try:
            self.state.restore(json.loads((self.root / _INDEX).read_bytes())["repositories"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"its {_INDEX} cannot be read ({type(error).__name__})"
            raise StorageError(self.root, problem) from error

    def save(self) -> None:
        """Write down the repositories, for a later run on this folder.

        Raises:
            StorageError: there is no room, for one.
        """
        try:
            atomic_write(self.root / _INDEX, json.dumps({"repositories": self.state.snapshot()}).encode())
        except OSError as error:
            raise StorageError(self.root, f"what it holds cannot be written down ({error.strerror})") from error

    def snapshot(self) -> Snapshot:
        """Return the whole state; content is referred to, not copied."""
        with self.state.lock:
            snapshot: Snapshot = {"generation": self.state.generation, "repositories": self.state.snapshot()}
            if len(self.uploads):
                snapshot["uploads"] = self.uploads.snapshot()
            return snapshot

    def restore(self, snapshot: Snapshot) -> None:
        """Be exactly as in the snapshot, but for ``generation``, which goes on counting.

        Raises:
            UnknownContentError: something that the snapshot refers to is not in the store; nothing was changed.
        """
        uploads = snapshot.get("uploads", {})
        for repository in snapshot["repositories"].values():
            for digest in (*repository["manifests"], *repository["blobs"]):
                self.content.size(digest)
        for upload in uploads.values():
            if "content" in upload:
                self.content.size(upload["content"])
        with self.state.lock:
            self.state.restore(snapshot["repositories"])
            self.uploads.restore(uploads)

    def _facts(self, digest: str) -> dict[str, Any]:
        try:
            manifest = json.loads(self.content.read(digest))
        except ValueError:
            return {}
        return manifest if isinstance(manifest, dict) else {}

"""Blobs on disk, by their digest: written once, never changed, shared by all repositories and snapshots."""

import itertools
from pathlib import Path

from matrix.errors import CaliperError
from matrix.registry.grammar import check_digest, digest_of

ALGORITHMS = ("sha256", "sha512")


class UnknownContentError(CaliperError):
    """Content was asked for that the store does not hold."""

    def __init__(self, digest: str) -> None:
        """Name the digest and what to do."""
        super().__init__(f"no content {digest} in the registry's store: add it with add_blob first")
        self.digest = digest


class Content:
    """A folder of blobs, laid out as in an OCI image layout, and of unfinished files beside it."""

    def __init__(self, root: Path) -> None:
        """Open the folder, make it if need be; files of a run that was killed are removed."""
        self._blobs, self._unfinished = root / "blobs", root / "unfinished"
        self._unfinished.mkdir(parents=True, exist_ok=True)
        for leftover in self._unfinished.iterdir():
            leftover.unlink()
        self._numbers = itertools.count()
        self._sizes: dict[str, int] = {}
        for algorithm in ALGORITHMS:
            folder = self._blobs / algorithm
            folder.mkdir(parents=True, exist_ok=True)
            self._sizes |= {f"{algorithm}:{file.name}": file.stat().st_size for file in folder.iterdir()}

    def __contains__(self, digest: str) -> bool:
        """Whether there is such content."""
        return digest in self._sizes

    def path(self, digest: str) -> Path:
        """Return where content of this digest lies, whether or not it is there."""
        algorithm, _, encoded = check_digest(digest).partition(":")
        return self._blobs / algorithm / encoded

    def size(self, digest: str) -> int:
        """Return the size in bytes; an `UnknownContentError` if there is no such content."""
        try:
            return self._sizes[digest]
        except KeyError:
            raise UnknownContentError(digest) from None

    def read(self, digest: str) -> bytes:
        """Return the content; an `UnknownContentError` if there is none."""
        return self.file(digest).read_bytes()

    def file(self, digest: str) -> Path:
        """Return the file; an `UnknownContentError` if there is none, or somebody removed it."""
        self.size(digest)
        path = self.path(digest)
        if not path.exists():
            del self._sizes[digest]
            raise UnknownContentError(digest)
        return path

    def unfinished(self) -> Path:
        """Return a path for a file that is being written, which nothing else uses."""
        return self._unfinished / str(next(self._numbers))

    def adopt(self, file: Path, digest: str) -> None:
        """Take over a finished file, whose content has this digest; a second one of the same digest is dropped."""
        if digest in self._sizes:
            file.unlink()
            return
        size = file.stat().st_size
        file.replace(self.path(digest))
        self._sizes[digest] = size

    def add(self, data: bytes, algorithm: str = "sha256") -> str:
        """Store ``data`` and return its digest."""
        digest = digest_of(data, algorithm)
        if digest not in self._sizes:
            file = self.unfinished()
            try:
                file.write_bytes(data)
                self.adopt(file, digest)
            except BaseException:
                file.unlink(missing_ok=True)
                raise
        return digest

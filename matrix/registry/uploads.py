"""Upload sessions: bytes go to a file as they arrive and are hashed on the way; finished ones become content."""

import asyncio
import hashlib
import shutil
import threading
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NotRequired, TypedDict

from matrix.registry.content import Content
from matrix.registry.errors import Code, RegistryError

EXPIRY = 3600.0  # seconds that a session is kept after it was last used
_BLOCK = 1 << 20


class UploadSnapshot(TypedDict):
    """One open session, as JSON: the repository, and the digest of what arrived so far (absent if nothing did)."""

    repository: str
    content: NotRequired[str]


class Upload:
    """One session. ``offset`` and the hash stand at the last piece that arrived whole."""

    def __init__(self, repository: str, content: Content, key: str | None = None) -> None:
        """Open a session, with a name of its own unless ``key`` is given; no file is made yet."""
        self.key = key or str(uuid.uuid4())
        self.repository = repository
        self.offset = 0
        self.used = time.monotonic()
        self.marks: dict[str, float] = {}  # what switches did to this session already
        self.closed = False
        self.turn = asyncio.Lock()  # pieces come one after the other
        self._content = content
        self._file: Path | None = None
        self._hash = hashlib.sha256()

    @property
    def algorithm(self) -> str:
        """What the bytes are hashed with as they arrive."""
        return self._hash.name

    async def append(self, pieces: AsyncIterator[bytes], algorithm: str = "sha256") -> None:
        """Add all of ``pieces``; if they end early or don't fit the disk, none of them.

        ``algorithm`` is what the digest will be made with, if that is known; it counts for an empty session only.
        """
        if self._file is None:
            self._file = self._content.unfinished()
        running = self._hash.copy() if self.offset else hashlib.new(algorithm)
        end = self.offset
        try:
            with self._file.open("r+b" if self._file.exists() else "xb", buffering=0) as file:
                file.seek(end)
                async for piece in pieces:
                    view = memoryview(piece)
                    while view:
                        view = view[file.write(view) :]
                    running.update(piece)
                    end += len(piece)
        except BaseException:
            self._roll_back()
            raise
        if self.closed:
            self._roll_back()
            raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN, detail=self.key)
        self._hash, self.offset = running, end

    def _roll_back(self) -> None:
        if self._file is not None and self._file.exists():
            if self.closed:
                self._file.unlink()
            else:
                with self._file.open("r+b") as file:
                    file.truncate(self.offset)

    def digest(self, algorithm: str) -> str:
        """Return the digest of all that arrived; read again if it was hashed otherwise, for want of knowing."""
        running = self._hash
        if running.name != algorithm:
            running = hashlib.new(algorithm)
            if self._file is not None:
                with self._file.open("rb") as file:
                    while block := file.read(_BLOCK):
                        running.update(block)
        return f"{algorithm}:{running.hexdigest()}"

    def finish(self, digest: str) -> None:
        """Make content of the file, if its digest is this one; the session has ended in any case."""
        self.closed = True
        try:
            actual = self.digest(digest.partition(":")[0])
            if actual != digest:
                raise RegistryError(Code.DIGEST_INVALID, detail=f"expected {digest}, got {actual}")
            if self._file is None or not self._file.exists():
                self._content.add(b"", digest.partition(":")[0])
            else:
                self._content.adopt(self._file, digest)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the file."""
        self.closed = True
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def freeze(self) -> UploadSnapshot:
        """Return the session as JSON can hold it; what arrived so far is copied to the content store."""
        if not self.offset or self._file is None:
            return {"repository": self.repository}
        digest = self.digest("sha256")
        if digest not in self._content:
            copy = self._content.unfinished()
            shutil.copyfile(self._file, copy)
            with copy.open("r+b") as file:
                file.truncate(self.offset)
            self._content.adopt(copy, digest)
        return {"repository": self.repository, "content": digest}

    def fill(self, digest: str) -> None:
        """Let an empty session have received the content of this digest."""
        self._file = self._content.unfinished()
        shutil.copyfile(self._content.path(digest), self._file)
        self.offset = self._content.size(digest)
        self._hash = hashlib.sha256()
        with self._file.open("rb") as file:
            while block := file.read(_BLOCK):
                self._hash.update(block)


class Uploads:
    """All open sessions, the one that was used last at the end."""

    def __init__(self, content: Content, lock: threading.RLock) -> None:
        """Start without any; ``lock`` is that of the registry's state."""
        self._content = content
        self._lock = lock
        self._open: dict[str, Upload] = {}

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def start(self, repository: str) -> Upload:
        """Open a session; those that nobody used for an hour are ended."""
        upload = Upload(repository, self._content)
        with self._lock:
            while self._open and (oldest := next(iter(self._open.values()))).used < upload.used - EXPIRY:
                self._end(oldest)
            self._open[upload.key] = upload
        return upload

    def get(self, repository: str, key: str) -> Upload:
        """Return the open session of this repository; a `RegistryError` if there is none."""
        with self._lock:
            upload = self._open.get(key)
            if upload is None or upload.repository != repository:
                raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN, detail=key[:64])
            self._open[key] = self._open.pop(key)
            upload.used = time.monotonic()
            return upload

    def rename(self, upload: Upload) -> None:
        """Give the session another name; the old one is unknown from now on."""
        with self._lock:
            del self._open[upload.key]
            upload.key = str(uuid.uuid4())
            self._open[upload.key] = upload

    def forget(self, upload: Upload) -> None:
        """Take a session off the list, before it is finished: nobody else can use it any more."""
        with self._lock:
            if self._open.pop(upload.key, None) is None:
                raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN, detail=upload.key)

    def cancel(self, upload: Upload) -> None:
        """End a session and remove what arrived."""
        self.forget(upload)
        upload.discard()

    def _end(self, upload: Upload) -> None:
        del self._open[upload.key]
        upload.discard()

    def snapshot(self) -> dict[str, UploadSnapshot]:
        """Return all open sessions as JSON can hold them."""
        with self._lock:
            return {key: upload.freeze() for key, upload in self._open.items()}

    def restore(self, sessions: dict[str, UploadSnapshot]) -> None:
        """Have exactly the sessions of the snapshot open."""
        with self._lock:
            for upload in list(self._open.values()):
                self._end(upload)
            for key, session in sessions.items():
                upload = self._open[key] = Upload(session["repository"], self._content, key)
                if "content" in session:
                    upload.fill(session["content"])

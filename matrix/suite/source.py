"""Where the files of a subject's suite come from: the installed release, or its source archive."""

import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from matrix.errors import CaliperError
from matrix.releases import Release
from matrix.subject import SDIST, Subject
from matrix.suite.folder import IGNORED, copy_suite, tolerate_imports

LARGEST = 512 << 20  # bytes of a suite; an archive that unpacks to more is an attack


class SourceError(CaliperError):
    """A suite that is not where the subject's file says."""

    def __init__(self, subject: Subject, reason: str) -> None:
        """Keep the subject's name."""
        super().__init__(f"{subject.name}: {reason}; see `suite` and `suite-from` in its file")
        self.subject = subject.name


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite's folder and the single files beside it, by paths relative to ``root``."""

    root: Path
    folder: str
    files: tuple[str, ...] = ()

    def copy(self, work: Path, *, tolerant: bool = False) -> None:
        """Copy everything below a working folder, where it has the same paths."""
        copy_suite(self.root / self.folder, work / self.folder, tolerant=tolerant)
        for name in self.files:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            data = (self.root / name).read_bytes()
            tolerated = tolerant and name.endswith(".py")
            (work / name).write_bytes(tolerate_imports(data.decode()).encode() if tolerated else data)

    def digests(self) -> list[tuple[str, str]]:
        """Return (path, sha256) of every file that is copied."""
        found = [path for path in (self.root / self.folder).rglob("*") if path.is_file()]
        ignored = IGNORED("", [part for path in found for part in path.parts])
        kept = [path for path in found if not ignored & set(path.parts)] + [self.root / name for name in self.files]
        return sorted((str(path.relative_to(self.root)), sha256(path.read_bytes())) for path in kept)


def sha256(data: bytes) -> str:
    """Return a digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def find_suite(subject: Subject, site: Path, release: Release | None, cache: Path) -> Suite:
    """Return the suite of a release that is installed in the folder ``site``.

    One that comes with the source archive is fetched and unpacked once below ``cache``.

    Raises:
        SourceError: there is no such suite.
        DownloadError: the archive could not be fetched.
    """
    root = site if subject.suite_from != SDIST else unpacked(subject, release, cache)
    for name in (subject.suite, *subject.suite_files):
        if not (root / name).exists():
            where = "the source archive" if subject.suite_from == SDIST else str(site)
            raise SourceError(subject, f"there is no {name} in {where}")
    if not subject.suite:
        raise SourceError(subject, "it has no suite")
    return Suite(root, subject.suite, subject.suite_files)


def unpacked(subject: Subject, release: Release | None, cache: Path) -> Path:
    """Return the folder with the suite's files of a release's source archive."""
    from matrix.signatures.download import fetch  # noqa: PLC0415 # most suites are installed with their package

    files = [file for file in release.files if file.packagetype == "sdist"] if release else []
    if not files:
        raise SourceError(subject, "the list of releases names no source archive to take the suite from")
    archive = fetch(files[0].url, files[0].sha256, cache / "sdists")
    wanted = (subject.suite, *subject.suite_files)
    folder = archive.parent / sha256(repr(wanted).encode())[:16]
    if not folder.exists():
        making = Path(tempfile.mkdtemp(dir=archive.parent, prefix=".unpack-"))
        try:
            for name, data in contents(subject, archive, wanted):
                (making / name).parent.mkdir(parents=True, exist_ok=True)
                (making / name).write_bytes(data)
            making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder


def contents(subject: Subject, archive: Path, wanted: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of the regular files in a tar archive that are ``wanted`` or in such a folder."""
    total = 0
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                inside = any(path == PurePosixPath(name) or PurePosixPath(name) in path.parents for name in wanted)
                file = tar.extractfile(member) if inside and member.isfile() and ".." not in path.parts else None
                if file is None:
                    continue
                total += member.size
                if total > LARGEST:
                    raise SourceError(subject, f"{archive.name} unpacks to more than {LARGEST} bytes")
                yield os.fspath(path), file.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise SourceError(subject, f"{archive.name} cannot be read: {error}") from error

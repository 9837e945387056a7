"""The database of all releases: fetched, read and stored in parallel, and only what is not there yet."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import platformdirs

from matrix.releases import Release, ReleaseFile
from matrix.signatures import store
from matrix.signatures.archives import Archive, ArchiveError, File, read_archive
from matrix.signatures.download import DownloadError, fetch
from matrix.signatures.model import ReleaseSource, Source

# Starting processes costs about as much as reading this many files (measured on oras: 8 ms a file).
WORTH_PROCESSES = 60
CHUNK = 8
DOWNLOADS = 8
STATUSES = ("read", "unchanged", "failed")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one release: ``read``, ``unchanged`` (it was there already) or ``failed`` with the reason.

    A release that could not be fetched is not in the database; one that could not be read is, with its reason.
    """

    version: str
    status: str
    reason: str | None = None
    absent: bool = False


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A release with its archive, or the reason why there is none."""

    release: Release
    file: ReleaseFile
    archive: Archive | None
    reason: str | None
    absent: bool = False


def cache_folder() -> Path:
    """Return the folder that downloads and databases are kept in, where the platform keeps caches."""
    return platformdirs.user_cache_path("caliper-matrix", appauthor=False)


def default_store(subject: str) -> Path:
    """Return where the database of a subject is kept."""
    return cache_folder() / "signatures" / f"{subject}.sqlite"


def chosen_file(release: Release) -> ReleaseFile:
    """Return the file to read: a pure wheel, else any wheel, else the source distribution."""

    def rank(file: ReleaseFile) -> tuple[int, str]:
        pure = file.filename.endswith("-none-any.whl")
        return (
            0 if pure else 1 if file.packagetype == "bdist_wheel" else 2 if file.packagetype == "sdist" else 3,
            file.filename,
        )

    return min(release.files, key=rank)


def build(
    path: Path, releases: Iterable[Release], *, downloads: Path | None = None, jobs: int | None = None
) -> list[Outcome]:
    """Bring the database at ``path`` up to date with the releases, and return what was done about each.

    Releases whose archive has the digest that was read before are left alone; files are read once, in ``jobs``
    processes (default: as many as there are processors). Interrupted, it leaves the database as it was.

    Raises:
        StoreError: the database is of another schema version, or damaged.
    """
    folder = downloads or cache_folder() / "downloads"
    wanted = list(releases)
    with store.open_store(path, create=True) as connection:
        known = store.stored_archives(connection)
        stale = [release for release in wanted if known.get(release.version) != chosen_file(release).sha256]
        with ThreadPoolExecutor(DOWNLOADS) as threads:
            fetched = list(threads.map(lambda release: _open(release, folder), stale))
        rows = store.stored_files(connection)
        for source in _read(_new_files(fetched, rows), jobs):
            rows[source.sha256, source.module, source.package] = store.add_source(connection, source)
        done = {one.release.version: _store(connection, one, rows) for one in fetched}
        if stale:
            store.forget_unused(connection)
    return [done.get(release.version, Outcome(release.version, "unchanged")) for release in wanted]


def _open(release: Release, folder: Path) -> _Fetched:
    file = chosen_file(release)
    try:
        path = fetch(file.url, file.sha256, folder)
        return _Fetched(release, file, read_archive(path), None)
    except ArchiveError as error:
        return _Fetched(release, file, None, str(error))
    except DownloadError as error:
        return _Fetched(release, file, None, str(error), absent=True)


def _new_files(fetched: Iterable[_Fetched], rows: dict[store.Key, int]) -> list[File]:
    """Return the files that no release in the database holds, each once."""
    files = {file.key: file for one in fetched if one.archive for file in one.archive.files}
    return [file for key, file in files.items() if key not in rows]


def _read(files: list[File], jobs: int | None) -> Iterator[Source]:
    from matrix.signatures.reading import read_source  # noqa: PLC0415 # griffe takes 0.3 s, and nothing may be new

    if len(files) < WORTH_PROCESSES or (jobs or os.cpu_count() or 1) == 1:
        yield from map(read_source, files)
        return
    with _processes(jobs) as pool:
        yield from pool.map(read_source, files, chunksize=CHUNK)


@contextmanager
def _processes(jobs: int | None) -> Iterator[Executor]:
    """Start processes afresh: the downloads' threads must not be forked. An error ends what has not begun."""
    pool = ProcessPoolExecutor(jobs or os.cpu_count(), mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _store(connection: sqlite3.Connection, one: _Fetched, rows: dict[store.Key, int]) -> Outcome:
    version = one.release.version
    if one.absent:
        store.forget_release(connection, version)
        return Outcome(version, "failed", one.reason, absent=True)
    requires = one.archive.requires if one.archive else ()
    source = ReleaseSource(version, one.file.filename, one.file.sha256, requires=requires, reason=one.reason)
    files = one.archive.files if one.archive else ()
    store.add_release(connection, source, [rows[file.key] for file in files])
    return Outcome(version, "read" if one.archive else "failed", one.reason)


def require(outcomes: Iterable[Outcome]) -> None:
    """Make sure that every release is in the database.

    Raises:
        DownloadError: one could not be fetched.
    """
    for one in outcomes:
        if one.absent:
            raise DownloadError(one.reason)

"""Which releases of the subject exist: the committed list, read without network.

The list is written by ``caliper-matrix releases --update`` (see `matrix.index`) and read by everything else. Its
``as_of`` date makes dependency resolution repeatable: nothing uploaded on that day or later is installed beside a
release.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from packaging.version import InvalidVersion, Version

from matrix.errors import CaliperError
from matrix.files import atomic_write

FORMAT = 1


class ReleasesError(CaliperError):
    """The list of releases cannot be used: it is missing, broken or of another format."""

    def __init__(self, path: Path, problem: str) -> None:
        """Keep the file and what is wrong with it."""
        super().__init__(f"{path}: {problem}; `caliper-matrix releases NAME --update` writes it anew")
        self.path = path
        self.problem = problem


class UnknownReleaseError(CaliperError):
    """A release was asked for that the list does not hold."""

    def __init__(self, subject: str, version: str, known: Iterable[str]) -> None:
        """Keep the version, and name the releases that come nearest to it in the message."""
        versions = list(known)
        near = [other for other in versions if other.startswith(version[:3])] or versions
        super().__init__(f"{subject} has no release {version} in the list (there are {', '.join(near[-5:])} …)")
        self.version = version


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One file of a release, as the index names it; ``size`` in bytes where the index tells."""

    filename: str
    url: str
    sha256: str
    size: int | None
    packagetype: str
    uploaded: str


@dataclass(frozen=True, slots=True)
class Release:
    """One version on the index; ``uploaded`` is the time of its earliest file, empty where the index does not tell."""

    version: str
    uploaded: str
    yanked: bool
    prerelease: bool
    requires_python: str | None
    files: tuple[ReleaseFile, ...]

    @classmethod
    def of(cls, version: str, files: Iterable[ReleaseFile], *, yanked: bool, requires_python: str | None) -> Self:
        """Make a release of its files; what follows from them and from the version is worked out here."""
        ordered = tuple(sorted(files, key=lambda file: file.filename))
        uploaded = min((file.uploaded for file in ordered if file.uploaded), default="")
        return cls(version, uploaded, yanked, Version(version).is_prerelease, requires_python, ordered)

    @property
    def sdist_only(self) -> bool:
        """Whether installing this release means building it."""
        return all(file.packagetype == "sdist" for file in self.files)


@dataclass(frozen=True, slots=True)
class ReleaseList:
    """All releases of a subject in PEP 440 order, as the index had them on the day ``as_of`` (UTC)."""

    subject: str
    as_of: str
    releases: tuple[Release, ...]

    def find(self, version: str) -> Release:
        """Return one release.

        Raises:
            UnknownReleaseError: the list does not hold it.
        """
        for release in self.releases:
            if release.version == version:
                return release
        raise UnknownReleaseError(self.subject, version, [release.version for release in self.releases])

    def judged(self, *, prereleases: bool = False, yanked: bool = False) -> tuple[Release, ...]:
        """Return the releases that the map has a column for; pre-releases and yanked ones only where asked for."""
        return tuple(
            release
            for release in self.releases
            if (prereleases or not release.prerelease) and (yanked or not release.yanked)
        )


def in_order(releases: Iterable[Release]) -> tuple[Release, ...]:
    """Return releases in PEP 440 order, which is not the order of time (oras 0.1.2 is younger than 0.1.19)."""
    return tuple(sorted(releases, key=lambda release: Version(release.version)))


def write_releases(path: Path, listed: ReleaseList) -> None:
    """Write the list, whole or not at all.

    Raises:
        ReleasesError: the file cannot be written.
    """
    document = {"format": FORMAT, **asdict(listed)}
    try:
        atomic_write(path, (json.dumps(document, indent=1) + "\n").encode())
    except OSError as error:
        raise ReleasesError(path, f"cannot be written ({error.strerror})") from error


def read_releases(path: Path) -> ReleaseList:
    """Read and check the list.

    Raises:
        ReleasesError: the file is missing, not JSON, of another format, or an entry is not what it should be.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ReleasesError(path, f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ReleasesError(path, f"is not JSON ({error})") from error
    try:
        return _list_from(document)
    except _EntryError as error:
        raise ReleasesError(path, str(error)) from error


class _EntryError(ValueError):
    """What is wrong inside the document, and where."""


def _list_from(document: object) -> ReleaseList:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else type(document).__name__
        message = f"is not a list of releases of format {FORMAT} (found {found!r})"
        raise _EntryError(message)
    subject, as_of = _take(document, "subject", str, "the list"), _take(document, "as_of", str, "the list")
    try:
        date.fromisoformat(as_of)
    except ValueError as error:
        message = f"as_of {as_of!r} is not a date like 2026-11-20"
        raise _EntryError(message) from error
    releases = [_release_from(entry, at) for at, entry in enumerate(_take(document, "releases", list, "the list"))]
    versions = [Version(release.version) for release in releases]
    for earlier, later in pairwise(versions):
        if not earlier < later:
            message = f"release {later} comes after {earlier}: versions must rise"
            raise _EntryError(message)
    return ReleaseList(subject, as_of, tuple(releases))


def _release_from(entry: object, at: int) -> Release:
    mapping = _mapping(entry, f"release number {at + 1}")
    version = _take(mapping, "version", str, f"release number {at + 1}")
    where = f"release {version}"
    try:
        if str(Version(version)) != version:
            message = f"{where}: the normal form of this version is {Version(version)}"
            raise _EntryError(message)
    except InvalidVersion as error:
        message = f"{where}: not a PEP 440 version"
        raise _EntryError(message) from error
    files = [_file_from(file, where) for file in _take(mapping, "files", list, where)]
    if not files:
        message = f"{where}: has no files"
        raise _EntryError(message)
    return Release(
        version=version,
        uploaded=_take(mapping, "uploaded", str, where),
        yanked=_take(mapping, "yanked", bool, where),
        prerelease=_take(mapping, "prerelease", bool, where),
        requires_python=_take(mapping, "requires_python", (str, type(None)), where),
        files=tuple(files),
    )


def _file_from(entry: object, where: str) -> ReleaseFile:
    mapping = _mapping(entry, f"{where}, a file")
    kinds: dict[str, Any] = {"size": (int, type(None))}
    file = ReleaseFile(
        **{field.name: _take(mapping, field.name, kinds.get(field.name, str), where) for field in fields(ReleaseFile)}
    )
    if len(file.sha256) != 64 or not set(file.sha256) <= set("0123456789abcdef"):  # noqa: PLR2004 # hexadecimal digits
        message = f"{where}: {file.filename} has no sha256"
        raise _EntryError(message)
    return file


def _mapping(entry: object, where: str) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        message = f"{where}: {type(entry).__name__} where an object should be"
        raise _EntryError(message)
    return entry


def _take(mapping: Mapping[str, Any], name: str, kind: Any, where: str) -> Any:  # noqa: ANN401 # checked right here
    if name not in mapping:
        message = f"{where}: {name!r} is missing"
        raise _EntryError(message)
    if not isinstance(mapping[name], kind):
        message = f"{where}: {name!r} is {mapping[name]!r}, which is not of the right type"
        raise _EntryError(message)
    return mapping[name]

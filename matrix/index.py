"""What the package index says about a subject: its JSON API, or the simple API in either form.

This module and uv are the only parts that reach the network, and this one only when the list of releases is refreshed.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from matrix.errors import CaliperError
from matrix.releases import Release, ReleaseFile, ReleaseList, in_order

PYPI = "https://pypi.org/simple"
TIMEOUT = (10, 60)  # seconds to connect, seconds between bytes


class IndexUnreachableError(CaliperError):
    """The index did not answer, or not with anything that can be read; nothing may be concluded from that."""

    def __init__(self, index: str, reason: str) -> None:
        """Keep the index without credentials, and the reason."""
        self.index = without_credentials(index)
        self.reason = " ".join(reason.split())
        super().__init__(f"the index {self.index} cannot be read: {self.reason}; nothing was changed, try again")


class UnknownSubjectError(CaliperError):
    """The index answers and has no such package, or no release of it that can be installed."""

    def __init__(self, index: str, subject: str) -> None:
        """Keep the name that was asked for."""
        super().__init__(f"the index {without_credentials(index)} has no releases of a package {subject!r}")
        self.subject = subject


def configured_index(environ: Mapping[str, str] = os.environ) -> str:
    """Return the address of the simple API that uv and pip are told to use by their environment variables."""
    names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
    chosen = next((environ[name] for name in names if environ.get(name)), PYPI)
    # uv allows `name=address`.
    name, _, address = chosen.partition("=")
    return (address if address and "://" not in name else chosen).rstrip("/")


def without_credentials(address: str) -> str:
    """Return an address as it may be shown: user and password left out."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def fetch_releases(subject: str, as_of: date, index: str, known: Iterable[ReleaseFile] = ()) -> ReleaseList:
    """Ask the index which releases of ``subject`` there were at the end of the day ``as_of`` (UTC).

    Files that the index tells no time or size of (the HTML form has none) take them from ``known`` by sha256.

    Raises:
        IndexUnreachableError: the index gives no usable answer.
        UnknownSubjectError: it answers and has no such package.
    """
    name = canonicalize_name(subject)
    found = _from_json_api(name, index) or _from_simple_api(name, index)
    by_hash = {file.sha256: file for file in known}
    releases = []
    for version, entries in found.items():
        files = [_completed(entry.file, by_hash) for entry in entries]
        present = [(entry, file) for entry, file in zip(entries, files, strict=True) if _until(file.uploaded, as_of)]
        if present:
            releases.append(
                Release.of(
                    version,
                    [file for _, file in present],
                    yanked=all(entry.yanked for entry, _ in present),
                    requires_python=next((entry.python for entry, _ in present if entry.python), None),
                )
            )
    if not releases:
        raise UnknownSubjectError(index, subject)
    return ReleaseList(subject, as_of.isoformat(), in_order(releases))


class _Entry:
    """A file with what the index says of it beside the file itself."""

    __slots__ = ("file", "python", "yanked")

    def __init__(self, file: ReleaseFile, *, yanked: bool, python: str | None) -> None:
        self.file = file
        self.yanked = yanked
        self.python = python


def _from_json_api(name: str, index: str) -> dict[str, list[_Entry]] | None:
    """Return files by version, or None where this index has no JSON API (or not this package: the other one tells)."""
    base, separator, rest = index.rpartition("/simple")
    if not separator or rest:
        return None
    response = _get(f"{base}/pypi/{name}/json", index)
    if response.status_code != requests.codes.ok:
        return None
    try:
        return _by_version((version, _json_entry(file, response.url)) for version, file in _json_files(response))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # a page of a portal, or an API of another kind: the simple API is the standard one


def _json_files(response: requests.Response) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for version, files in response.json()["releases"].items():
        for file in files:
            yield version, file


def _json_entry(file: Mapping[str, Any], page: str) -> _Entry:
    return _Entry(
        ReleaseFile(
            filename=file["filename"],
            url=urljoin(page, file["url"]),  # that of some mirrors is relative
            sha256=file["digests"]["sha256"],
            size=file["size"],
            packagetype=file["packagetype"],
            uploaded=_instant(datetime.fromisoformat(file["upload_time_iso_8601"])),
        ),
        yanked=file["yanked"],
        python=file["requires_python"],
    )


def _from_simple_api(name: str, index: str) -> dict[str, list[_Entry]]:
    import pypi_simple  # noqa: PLC0415 # only where there is no JSON API: it brings an HTML parser along

    try:
        with pypi_simple.PyPISimple(index) as client:
            page = client.get_project_page(name, timeout=TIMEOUT)
    except pypi_simple.NoSuchProjectError as error:
        raise UnknownSubjectError(index, name) from error
    except (requests.RequestException, ValueError, pypi_simple.UnsupportedContentTypeError) as error:
        raise IndexUnreachableError(index, _said(error)) from error
    kinds = {"sdist": "sdist", "wheel": "bdist_wheel"}
    return _by_version(
        (
            package.version,
            _Entry(
                ReleaseFile(
                    filename=package.filename,
                    url=package.url,
                    sha256=package.digests.get("sha256", ""),
                    size=package.size,
                    packagetype=kinds[package.package_type],
                    uploaded=_instant(package.upload_time) if package.upload_time else "",
                ),
                yanked=package.is_yanked,
                python=package.requires_python,
            ),
        )
        for package in page.packages
        if package.version and package.package_type in kinds
    )


def _get(address: str, index: str) -> requests.Response:
    try:
        return requests.get(address, headers={"Accept": "application/json"}, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise IndexUnreachableError(index, _said(error)) from error


def _said(error: Exception) -> str:
    """Return the innermost reason of a chain of wrapped ones: the outer ones repeat addresses of objects."""
    inner = error.args[0] if error.args else error
    reason = getattr(inner, "reason", inner)
    return f"{type(error).__name__}: {without_object_names(str(reason))}"


def without_object_names(text: str) -> str:
    """Return ``<urllib3.connection… object at 0x7f…>: text`` as ``text``."""
    return text.rpartition(">: ")[2] or text


def _by_version(entries: Iterable[tuple[str, _Entry]]) -> dict[str, list[_Entry]]:
    """Group installable files by normal version; versions from before PEP 440 cannot be installed by anything today."""
    grouped = defaultdict(list)
    for version, entry in entries:
        try:
            normal = str(Version(version))
        except InvalidVersion:
            continue
        if entry.file.packagetype in {"sdist", "bdist_wheel"} and entry.file.sha256:
            grouped[normal].append(entry)
    return dict(grouped)


def _completed(file: ReleaseFile, known: Mapping[str, ReleaseFile]) -> ReleaseFile:
    old = known.get(file.sha256)
    if old is None:
        return file
    return ReleaseFile(
        file.filename,
        file.url,
        file.sha256,
        old.size if file.size is None else file.size,
        file.packagetype,
        file.uploaded or old.uploaded,
    )


def _until(uploaded: str, as_of: date) -> bool:
    return uploaded[:10] <= as_of.isoformat()


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

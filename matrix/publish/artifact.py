"""A folder of results as the manifest and layers of an OCI artifact: equal results give an equal artifact."""

import datetime as dt
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, final

from matrix.errors import CaliperError

ARTIFACT_TYPE = "application/vnd.caliper-matrix.results.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
EMPTY = b"{}"
PREFIX = "io.github.caliper-matrix"
TITLE = "org.opencontainers.image.title"
CREATED = "org.opencontainers.image.created"
REVISION = "org.opencontainers.image.revision"

# By the end of the file's name, longest first. A file of any other kind is not published.
MEDIA_TYPES = {
    ".trace.jsonl.gz": "application/vnd.caliper-matrix.trace.v1+gzip",
    ".csv.gz": "application/vnd.caliper-matrix.calls.v1+gzip",
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
    ".xml": "application/xml",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".md": "text/markdown",
}
# Durations, host, resolved versions: different on each run, so that equal results would not be equal artifacts.
VARYING = {"run.json"}


class PublishError(CaliperError):
    """Something that was to be published, or was fetched, is not what it should be."""


@final
@dataclass(frozen=True, slots=True)
class Layer:
    """One file of the artifact: how it is called, what it is, and what it must hash to."""

    title: str
    media_type: str
    digest: str
    size: int
    path: Path | None = None

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Describe the file at ``path``; None if it is of no kind that is published."""
        kind = next((kind for ending, kind in MEDIA_TYPES.items() if path.name.endswith(ending)), None)
        if kind is None or path.name in VARYING or path.name.startswith("."):
            return None
        data = path.read_bytes()
        return cls(path.name, kind, digest_of(data), len(data), path)

    def descriptor(self) -> dict[str, Any]:
        """Return the layer as the manifest lists it."""
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
            "annotations": {TITLE: self.title},
        }


@final
@dataclass(frozen=True, slots=True)
class Artifact:
    """What is pushed: layers sorted by title, annotations, and the image that it is attached to."""

    layers: tuple[Layer, ...]
    annotations: Mapping[str, str]
    version: str
    date: str
    subject: Mapping[str, Any] | None = None

    def manifest(self) -> bytes:
        """Return the manifest; the same bytes for the same results, date and revision."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json",
                "digest": digest_of(EMPTY),
                "size": len(EMPTY),
            },
            "layers": [layer.descriptor() for layer in self.layers],
            **({"subject": dict(self.subject)} if self.subject else {}),
            "annotations": dict(sorted(self.annotations.items())),
        }
        return json.dumps(manifest, separators=(",", ":")).encode()

    def same_results(self, manifest: Mapping[str, Any]) -> bool:
        """Return whether ``manifest`` holds these results, no matter when and from which revision."""
        return _results(json.loads(self.manifest())) == _results(manifest)


def _results(manifest: Mapping[str, Any]) -> dict[str, Any]:
    annotations = {k: v for k, v in (manifest.get("annotations") or {}).items() if k not in {CREATED, REVISION}}
    return {key: manifest.get(key) for key in ("artifactType", "layers", "subject")} | {"annotations": annotations}


def digest_of(data: bytes) -> str:
    """Return the digest of ``data`` as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def collect(
    results: Path,
    traces: Sequence[Path],
    *,
    date: str | None = None,
    revision: str | None = None,
    subject: Mapping[str, Any] | None = None,
) -> Artifact:
    """Return the artifact of the files in ``results``, with ``traces`` and their masks.

    ``date`` is by default the day that the list of releases beside the traces was taken on.

    Raises:
        PublishError: there are no results or traces, a trace has no header, or two files have one name.
    """
    if not (results / "matrix.csv").is_file():
        message = f"{results} holds no matrix.csv: run nox -s matrix first, or name the folder with --results"
        raise PublishError(message)
    headers = {trace: read_header(trace) for trace in traces}
    if not headers:
        message = f"there is no trace of {results.name}: name it with --trace"
        raise PublishError(message)
    name, version = _one_subject(headers.values())
    date = _day(date or _as_of(traces[0].parent / f"{name}.releases.json"))
    layers = _layers([*results.iterdir(), *traces, *(mask for trace in traces if (mask := _mask(trace)).is_file())])
    digests = {layer.path: layer.digest for layer in layers}
    annotations = {
        f"{PREFIX}.subject": name,
        f"{PREFIX}.release": version,
        **{f"{PREFIX}.trace.{header['profile']}": digests[trace] for trace, header in headers.items()},
        CREATED: f"{date}T00:00:00Z",
        "org.opencontainers.image.version": version,
        TITLE: f"Compatibility matrix of {name}",
        **({REVISION: revision} if revision else {}),
    }
    return Artifact(layers, annotations, version, date, subject)


def _layers(paths: Iterable[Path]) -> tuple[Layer, ...]:
    layers = [layer for path in paths if path.is_file() and (layer := Layer.of(path))]
    titles = [layer.title for layer in layers]
    if twice := {title for title in titles if titles.count(title) > 1}:
        message = f"two files are called {min(twice)}: an artifact holds each name once"
        raise PublishError(message)
    return tuple(sorted(layers, key=lambda layer: layer.title))


def _mask(trace: Path) -> Path:
    return trace.with_name(trace.name.removesuffix(".trace.jsonl.gz") + ".masks.json")


def read_header(trace: Path) -> dict[str, Any]:
    """Return the first line of a trace: subject, release and profile at least.

    Raises:
        PublishError: the file cannot be read, or is no trace.
    """
    try:
        with gzip.open(trace) as lines:
            header = json.loads(lines.readline(1 << 20))
        if isinstance(header, dict) and {"trace", "subject", "release", "profile"} <= header.keys():
            return header
        reason = "its first line is no header"
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, EOFError, zlib.error) as error:
        reason = str(error)
    message = f"{trace} is no trace: {reason}"
    raise PublishError(message)


def _one_subject(headers: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    subjects = {(str(header["subject"]), str(header["release"])) for header in headers}
    if len(subjects) > 1:
        message = f"the traces are of {' and '.join(' '.join(subject) for subject in sorted(subjects))}: publish one"
        raise PublishError(message)
    return subjects.pop()


def _as_of(releases: Path) -> str:
    try:
        return str(json.loads(releases.read_bytes())["as_of"])
    except (OSError, ValueError, KeyError, TypeError):
        message = f"{releases} does not say on which day it was made: give the day with --date"
        raise PublishError(message) from None


def _day(text: str) -> str:
    try:
        day = dt.date.fromisoformat(text).isoformat()
    except ValueError:
        day = ""
    if day != text:
        message = f"{text!r} is not a day: write it as 2026-11-20"
        raise PublishError(message)
    return day

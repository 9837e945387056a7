"""Fetching: nothing is written before every file is there and is what the manifest says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, final

from matrix.files import atomic_write
from matrix.publish.artifact import ARTIFACT_TYPE, PREFIX, TITLE, Layer, PublishError
from matrix.publish.remote import Manifest, Remote

MAX_BYTES = 1 << 30
_NAME = re.compile(r"[\w-][\w.+-]{0,200}", re.ASCII)


@final
@dataclass(frozen=True, slots=True)
class Published:
    """What was published: whose results, from which release's trace, and the files by name."""

    digest: str
    subject: str
    release: str
    annotations: Mapping[str, str]
    files: Mapping[str, bytes]

    def write(self, folder: Path) -> None:
        """Write the files to ``folder``, each whole; what else lies there stays.

        Raises:
            PublishError: the folder cannot be written.
        """
        try:
            for name, data in self.files.items():
                atomic_write(folder / name, data)
        except OSError as error:
            message = f"{folder} cannot be written: {error.strerror}"
            raise PublishError(message) from None


def pull(remote: Remote) -> Published:
    """Fetch what the reference of ``remote`` names and check every digest.

    Raises:
        RegistryError: the registry refuses, or a layer is truncated or altered.
        PublishError: there is nothing, or something else than published results.
    """
    reference = remote.reference
    manifest = remote.manifest(reference.what)
    if manifest is None:
        message = f"{reference} is not in the registry"
        raise PublishError(message)
    if manifest.content.get("artifactType") != ARTIFACT_TYPE:
        message = f"{reference} is no published matrix, but {_kind(manifest)}"
        raise PublishError(message)
    try:
        annotations = {str(key): str(value) for key, value in manifest.content["annotations"].items()}
        subject, release = annotations[f"{PREFIX}.subject"], annotations[f"{PREFIX}.release"]
        if not _NAME.fullmatch(subject):
            _refuse(f"its subject is called {subject!r}")
        layers = [_layer(entry) for entry in manifest.content["layers"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"{reference} has a manifest that does not hold together: {error}"
        raise PublishError(message) from None
    if len({layer.title for layer in layers}) < len(layers) or sum(layer.size for layer in layers) > MAX_BYTES:
        message = f"{reference} has a name twice or more than {MAX_BYTES >> 20} MB: it was not made by publish"
        raise PublishError(message)
    files = {layer.title: remote.blob(layer) for layer in layers}
    return Published(manifest.digest, subject, release, annotations, files)


def _layer(entry: Mapping[str, Any]) -> Layer:
    """Read one entry of the manifest, which may be anybody's: a name is a plain file name, a digest a digest."""
    title, digest, size = entry["annotations"][TITLE], entry["digest"], entry["size"]
    if not (isinstance(title, str) and _NAME.fullmatch(title)):
        _refuse(f"a layer is called {title!r}, which is no plain file name")
    if not (isinstance(digest, str) and re.fullmatch(r"sha256:[0-9a-f]{64}", digest)):
        _refuse(f"the digest of {title} is {digest!r}")
    if type(size) is not int or size < 0:
        _refuse(f"the size of {title} is {size!r}")
    return Layer(title, str(entry["mediaType"]), digest, size)


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


def _kind(manifest: Manifest) -> str:
    return str(manifest.content.get("artifactType") or manifest.media_type)

"""Pushing: blobs first, then the manifest, the tag that everybody reads last."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

from matrix.publish.artifact import ARTIFACT_TYPE, INDEX_TYPE, MANIFEST_TYPE, Artifact, PublishError, digest_of
from matrix.publish.reference import Reference
from matrix.publish.remote import Remote


@final
@dataclass(frozen=True, slots=True)
class Push:
    """What a push did: ``changed`` is False if the registry had these results."""

    reference: Reference
    digest: str
    tags: tuple[str, ...]
    changed: bool


def push(artifact: Artifact, remote: Remote, image: Reference | None = None) -> Push:
    """Push ``artifact``, attached to ``image`` if there is one, and return what was done.

    Without a tag in the reference the tags are the date, the version and, at the very end, ``latest``: a push that
    fails on the way leaves the tags that people read where they were. With a tag it is the only one.

    Raises:
        RegistryError: the registry refuses.
        PublishError: a tag is in use for something else, or the image is not where it can be attached to.
    """
    if remote.reference.digest:
        message = f"{remote.reference}: a digest is what a push gives, not where it goes: give a tag or none"
        raise PublishError(message)
    tags = (remote.reference.tag,) if remote.reference.tag else (artifact.date, artifact.version, "latest")
    if image is not None:
        artifact = replace(artifact, subject=_descriptor(image, remote))
    there = {tag: remote.manifest(tag) for tag in tags}
    for tag, manifest in there.items():
        if manifest is not None and manifest.content.get("artifactType") != ARTIFACT_TYPE:
            message = f"{remote.reference.at(tag)} is something else: publish to another tag or repository"
            raise PublishError(message)
    latest = there[tags[-1]]
    if latest is not None and artifact.same_results(latest.content):
        return Push(remote.reference, latest.digest, tags[-1:], changed=False)
    data = artifact.manifest()
    _upload(artifact, data, tags, remote)
    return Push(remote.reference, digest_of(data), tags, changed=True)


def _upload(artifact: Artifact, data: bytes, tags: tuple[str, ...], remote: Remote) -> None:
    for layer in artifact.layers:
        remote.put_layer(layer)
    remote.put_empty_config(json.loads(data)["config"])
    headers = remote.put_manifest(digest_of(data), data)
    if artifact.subject and "oci-subject" not in {name.lower() for name in headers}:
        _list_referrer(artifact, artifact.subject, data, remote)
    for tag in tags:
        remote.put_manifest(tag, data)


def _descriptor(image: Reference, remote: Remote) -> Mapping[str, Any]:
    if image.place != remote.reference.place:
        message = f"{image} is not in {remote.reference.place}: a registry lists referrers within one repository"
        raise PublishError(message)
    manifest = remote.manifest(image.what)
    if manifest is None:
        message = f"{image} is not in the registry: push the image first"
        raise PublishError(message)
    return manifest.descriptor()


def _list_referrer(artifact: Artifact, subject: Mapping[str, Any], data: bytes, remote: Remote) -> None:
    """Keep the list of referrers under the tag that the OCI specification names, for registries that keep none."""
    tag = subject["digest"].replace(":", "-")
    index = remote.manifest(tag)
    listed = list(index.content.get("manifests") or ()) if index else []
    referrer = {
        "mediaType": MANIFEST_TYPE,
        "digest": digest_of(data),
        "size": len(data),
        "artifactType": ARTIFACT_TYPE,
        "annotations": dict(sorted(artifact.annotations.items())),
    }
    if any(entry.get("digest") == referrer["digest"] for entry in listed):
        return
    content = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*listed, referrer]}
    remote.put_manifest(tag, json.dumps(content, separators=(",", ":")).encode(), INDEX_TYPE)

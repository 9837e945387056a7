"""Endpoints of manifests (end-3, end-7, end-9) and of what refers to them (end-12)."""

import json
from typing import Any

from matrix.registry import grammar
from matrix.registry.errors import Code, RegistryError
from matrix.registry.listings import page
from matrix.registry.messages import Request, Response
from matrix.registry.store import Store

LARGEST = 4 << 20  # bytes; the specification wants at least as many to be accepted
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"

# What manifests of the types that are understood refer to; others are kept as they are, whatever is in them.
_REFERENCES = {
    OCI_MANIFEST: ("config", "layers"),
    DOCKER_MANIFEST: ("config", "layers"),
    OCI_INDEX: ("manifests",),
    DOCKER_LIST: ("manifests",),
    ARTIFACT: ("blobs",),
}
_REQUIRED = {"config", "layers", "manifests"}
_ELSEWHERE = ("nondistributable", "foreign")  # in the media type of layers that registries don't hold


async def put(store: Store, request: Request, name: str, reference: str) -> Response:
    """Store a manifest under a tag or its digest, if all that it refers to is there."""
    tag = None if grammar.is_digest(reference) else reference
    if tag is not None and not grammar.is_tag(tag):
        raise RegistryError(Code.MANIFEST_INVALID, detail=f"tag {tag[:255]}")
    algorithm = "sha256" if tag else grammar.check_digest(reference).partition(":")[0]
    data = await request.body(LARGEST)
    media_type, manifest = _understand(request.headers.get("content-type", ""), data)
    needs = _needs(media_type, manifest)
    subject = _subject(manifest)
    if tag is None and grammar.digest_of(data, algorithm) != reference:
        raise RegistryError(Code.DIGEST_INVALID, detail=reference)
    digest = store.content.add(data, algorithm)
    store.state.add_manifest(name, digest, media_type, tag, needs)
    headers = {"Location": f"{request.origin}/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest}
    return Response(201, headers | ({"OCI-Subject": subject} if subject else {}))


async def get(store: Store, request: Request, name: str, reference: str) -> Response:
    """Return the manifest, byte for byte as it came."""
    if grammar.is_digest(reference):
        grammar.check_digest(reference)
    digest, media_type = store.state.manifest(name, reference)
    headers = {"Content-Type": media_type, "Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(304, headers)
    return Response(200, headers, store.content.read(digest))


async def delete(store: Store, request: Request, name: str, reference: str) -> Response:  # noqa: ARG001
    """Remove a tag, or a manifest with its tags."""
    if grammar.is_digest(reference):
        grammar.check_digest(reference)
    store.state.remove_manifest(name, reference)
    return Response(202)


async def referrers(store: Store, request: Request, name: str, digest: str) -> Response:
    """Return an index of the manifests whose subject is ``digest``; an empty one for what nobody refers to."""
    grammar.check_digest(digest)
    found = {
        referrer: _descriptor(store, referrer, media_type)
        for referrer, media_type in store.state.manifests(name).items()
        if _subject(store.facts(referrer), strict=False) == digest
    }
    headers = {"Content-Type": OCI_INDEX}
    if wanted := request.parameter("artifactType"):
        found = {key: entry for key, entry in found.items() if entry.get("artifactType") == wanted}
        headers["OCI-Filters-Applied"] = "artifactType"
    shown, link = page(request, sorted(key for key in found if key > (request.parameter("last") or "")))
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [found[key] for key in shown]}
    return Response(200, headers | link, json.dumps(index).encode())


def _understand(content_type: str, data: bytes) -> tuple[str, dict[str, Any]]:
    announced = content_type.partition(";")[0].strip().lower()
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        manifest = None
    inside = manifest.get("mediaType") if isinstance(manifest, dict) else None
    media_type = announced or (inside if isinstance(inside, str) else OCI_MANIFEST)
    if inside is not None and inside != media_type:
        raise RegistryError(Code.MANIFEST_INVALID, detail=f"mediaType differs from Content-Type {media_type}")
    if not isinstance(manifest, dict):
        if media_type in _REFERENCES:
            raise RegistryError(Code.MANIFEST_INVALID, detail="not a JSON object")
        manifest = {}
    return media_type, manifest


def _needs(media_type: str, manifest: dict[str, Any]) -> list[str]:
    needs: list[str] = []
    for key in _REFERENCES.get(media_type, ()):
        value = manifest.get(key)
        if value is None and key in _REQUIRED:
            raise RegistryError(Code.MANIFEST_INVALID, detail=f"no {key}")
        descriptors = value if isinstance(value, list) else [] if value is None else [value]
        needs += [_digest_in(descriptor, key) for descriptor in descriptors if not _is_elsewhere(descriptor)]
    return needs


def _is_elsewhere(descriptor: object) -> bool:
    media_type = descriptor.get("mediaType") if isinstance(descriptor, dict) else None
    return isinstance(media_type, str) and any(word in media_type for word in _ELSEWHERE)


def _digest_in(descriptor: object, key: str) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str):
        raise RegistryError(Code.MANIFEST_INVALID, detail=f"no digest in {key}")
    return grammar.check_digest(digest)


def _subject(manifest: dict[str, Any], *, strict: bool = True) -> str | None:
    if manifest.get("subject") is None:
        return None
    try:
        return _digest_in(manifest["subject"], "subject")
    except RegistryError:
        if strict:
            raise
        return None


def _descriptor(store: Store, digest: str, media_type: str) -> dict[str, Any]:
    manifest = store.facts(digest)
    config = manifest.get("config")
    artifact_type = manifest.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
    descriptor = {"mediaType": media_type, "digest": digest, "size": store.content.size(digest)}
    if artifact_type:
        descriptor["artifactType"] = artifact_type
    if manifest.get("annotations"):
        descriptor["annotations"] = manifest["annotations"]
    return descriptor

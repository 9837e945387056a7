"""Manifests: pushed by tag and digest, kept byte for byte, refused if incomplete; what refers to them."""

import json
from typing import Any

import pytest

from matrix.registry import Registry
from matrix.registry.manifests import LARGEST

from .client import OCI_INDEX, OCI_MANIFEST, Client, digest_of

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
UNKNOWN = digest_of(b"never pushed")


def descriptor(digest: str, media_type: str = "application/octet-stream", **more: object) -> dict[str, Any]:
    """Return a descriptor of content whose size does not matter."""
    return {"mediaType": media_type, "digest": digest, "size": 1, **more}


def image(config: str, *layers: dict[str, Any], **more: object) -> dict[str, Any]:
    """Return an image manifest."""
    return {"schemaVersion": 2, "config": descriptor(config), "layers": list(layers), **more}


def put(client: Client, reference: str, manifest: object, media_type: str = OCI_MANIFEST) -> tuple[int, str]:
    """Push a manifest and return the status, and the digest or the error's code."""
    data = json.dumps(manifest).encode()
    reply = client("PUT", f"/v2/a/manifests/{reference}", data, content_type=media_type)
    return reply.status, reply.headers.get("docker-content-digest") or reply.code


def test_a_manifest_is_kept_byte_for_byte(client: Client) -> None:
    """What was pushed comes back with its blanks and order, by its tag and by its digest."""
    config = client.push_blob("a", b"{}")
    data = json.dumps(image(config), indent=3).encode() + b"\n\n"
    pushed = client("PUT", "/v2/a/manifests/v1", data, content_type=OCI_MANIFEST)
    digest = digest_of(data)
    assert (pushed.status, pushed.headers["docker-content-digest"]) == (201, digest)
    for url in ("/v2/a/manifests/v1", pushed.headers["location"]):
        pulled = client("GET", url)
        assert (pulled.status, pulled.body) == (200, data)
        assert (pulled.headers["content-type"], pulled.headers["docker-content-digest"]) == (OCI_MANIFEST, digest)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_manifest_is_pushed_by_its_digest(client: Client, algorithm: str) -> None:
    """A push by digest makes no tag, and the digest must be right."""
    data = json.dumps(image(client.push_blob("a", b"{}"))).encode()
    digest = digest_of(data, algorithm)
    reply = client("PUT", f"/v2/a/manifests/{digest}", data, content_type=OCI_MANIFEST)
    assert (reply.status, reply.headers["docker-content-digest"]) == (201, digest)
    assert client("GET", f"/v2/a/manifests/{digest}").body == data
    assert client("GET", "/v2/a/tags/list").json()["tags"] == []
    wrong = client("PUT", f"/v2/a/manifests/{digest_of(b'', algorithm)}", data, content_type=OCI_MANIFEST)
    assert (wrong.status, wrong.code) == (400, "DIGEST_INVALID")


def test_head_tells_of_a_manifest(client: Client) -> None:
    """HEAD has the headers of GET and no body."""
    digest = client.push_manifest("a", "v1")
    reply = client("HEAD", "/v2/a/manifests/v1")
    size = len(client("GET", "/v2/a/manifests/v1").body)
    assert (reply.status, reply.body, reply.headers["docker-content-digest"]) == (200, b"", digest)
    assert (reply.headers["content-length"], reply.headers["content-type"]) == (str(size), OCI_MANIFEST)


def test_a_manifest_that_is_known_to_the_client_is_not_sent_again(client: Client) -> None:
    """If-None-Match with its tag is answered 304."""
    client.push_manifest("a", "v1")
    tag = client("GET", "/v2/a/manifests/v1").headers["etag"]
    assert client("GET", "/v2/a/manifests/v1", if_none_match=tag).status == 304


def test_a_tag_moves(client: Client) -> None:
    """A tag stands for what was pushed last; the earlier manifest stays under its digest."""
    first, second = client.push_manifest("a", "v1"), client.push_manifest("a", "v1", annotations={"n": "2"})
    assert client("HEAD", "/v2/a/manifests/v1").headers["docker-content-digest"] == second
    assert client("HEAD", f"/v2/a/manifests/{first}").status == 200


@pytest.mark.parametrize("body", [b"\x00\xffnot json", b'{"any": "thing"}', b"[1]"])
def test_unknown_media_types_are_kept_as_they_are(client: Client, body: bytes) -> None:
    """What the registry does not understand it does not judge."""
    reply = client("PUT", "/v2/a/manifests/v1", body, content_type="application/vnd.example+bin")
    assert reply.status == 201
    pulled = client("GET", "/v2/a/manifests/v1")
    assert (pulled.body, pulled.headers["content-type"]) == (body, "application/vnd.example+bin")


def test_parameters_of_the_media_type_are_dropped(client: Client) -> None:
    """The specification has registries ignore them."""
    status, _ = put(client, "v1", image(client.push_blob("a", b"{}")), f"{OCI_MANIFEST}; charset=utf-8")
    assert status == 201
    assert client("GET", "/v2/a/manifests/v1").headers["content-type"] == OCI_MANIFEST


@pytest.mark.parametrize(("more", "expected"), [({"mediaType": DOCKER_MANIFEST}, DOCKER_MANIFEST), ({}, OCI_MANIFEST)])
def test_a_push_without_a_media_type_is_taken_at_its_word(client: Client, more: dict[str, Any], expected: str) -> None:
    """Without Content-Type the manifest's own mediaType counts, and without that it is an OCI manifest."""
    data = json.dumps(image(client.push_blob("a", b"{}"), **more)).encode()
    assert client("PUT", "/v2/a/manifests/v1", data).status == 201
    assert client("GET", "/v2/a/manifests/v1").headers["content-type"] == expected


def test_a_media_type_that_contradicts_itself_is_refused(client: Client) -> None:
    """Content-Type and mediaType must be the same."""
    assert put(client, "v1", image(client.push_blob("a", b"{}"), mediaType=OCI_INDEX)) == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_missing_blobs_are_refused(client: Client, media_type: str) -> None:
    """Config and layers must be in the repository, not only in another one."""
    config, elsewhere = client.push_blob("a", b"{}"), client.push_blob("b", b"layer")
    assert put(client, "v1", image(UNKNOWN), media_type) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert put(client, "v1", image(config, descriptor(elsewhere)), media_type) == (400, "MANIFEST_BLOB_UNKNOWN")
    client("POST", f"/v2/a/blobs/uploads/?mount={elsewhere}&from=b", b"")
    assert put(client, "v1", image(config, descriptor(elsewhere)), media_type)[0] == 201


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ],
)
def test_layers_that_are_not_distributed_may_be_missing(client: Client, media_type: str) -> None:
    """Non-distributable layers lie elsewhere."""
    config = client.push_blob("a", b"{}")
    assert put(client, "v1", image(config, descriptor(UNKNOWN, media_type, urls=["https://elsewhere"])))[0] == 201


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_an_index_refers_to_manifests_of_its_repository(client: Client, media_type: str) -> None:
    """An index is taken once its manifests are there."""
    index = {"schemaVersion": 2, "manifests": [descriptor(UNKNOWN, OCI_MANIFEST)]}
    assert put(client, "all", index, media_type) == (400, "MANIFEST_BLOB_UNKNOWN")
    index["manifests"] = [descriptor(client.push_manifest("a", "v1"), OCI_MANIFEST)]
    assert put(client, "all", index, media_type)[0] == 201


def test_artifact_manifests_refer_to_blobs(client: Client) -> None:
    """The artifact manifest of the specification's first drafts is understood, too."""
    media_type = "application/vnd.oci.artifact.manifest.v1+json"
    assert put(client, "v1", {"blobs": [descriptor(UNKNOWN)]}, media_type) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert put(client, "v1", {"artifactType": "x/y"}, media_type)[0] == 201


@pytest.mark.parametrize(
    "manifest",
    [
        "text",
        [],
        {},
        {"config": None, "layers": []},
        {"config": {}, "layers": []},
        {"config": "text", "layers": []},
        {"config": {"digest": 5}, "layers": []},
        {"config": [], "layers": [{"mediaType": 5}]},
        {"config": [], "layers": "text"},
        {"config": [], "layers": [], "subject": {"size": 1}},
        {"config": [], "layers": [], "subject": "text"},
    ],
)
def test_malformed_manifests_are_refused(client: Client, manifest: object) -> None:
    """A manifest of a known type must have what its type asks for."""
    assert put(client, "v1", manifest) == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:XYZ", "md5:d41d8cd98f00b204e9800998ecf8427e", "x" * 300])
def test_malformed_digests_in_manifests_are_refused(client: Client, digest: str) -> None:
    """A reference must be a digest that could be there."""
    assert put(client, "v1", image(digest)) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_refused(client: Client, data: bytes) -> None:
    """A manifest of a known type must be JSON."""
    reply = client("PUT", "/v2/a/manifests/v1", data, content_type=OCI_MANIFEST)
    assert (reply.status, reply.code) == (400, "MANIFEST_INVALID")


def test_a_manifest_of_four_mebibytes_is_taken(client: Client) -> None:
    """Up to 4 MiB fit; a byte more is refused with 413, said or not said beforehand."""
    largest = b'"' + b"x" * (LARGEST - 2) + b'"'
    assert client("PUT", "/v2/a/manifests/v1", largest, content_type="application/vnd.example").status == 201
    too_large = client("PUT", "/v2/a/manifests/v2", largest + b"x", content_type="application/vnd.example")
    assert (too_large.status, too_large.code) == (413, "SIZE_INVALID")
    pieces = iter([largest, b"x"])
    client.connection.request("PUT", "/v2/a/manifests/v2", pieces, encode_chunked=True)
    response = client.connection.getresponse()
    response.read()
    assert response.status == 413
    assert client("GET", "/v2/a/tags/list").json()["tags"] == ["v1"]


def test_a_tag_is_deleted_alone(client: Client) -> None:
    """Deleting a tag leaves the manifest and other tags."""
    digest = client.push_manifest("a", "v1")
    client.push_manifest("a", "v2")
    assert client("DELETE", "/v2/a/manifests/v1").status == 202
    assert client("GET", "/v2/a/manifests/v1").code == "MANIFEST_UNKNOWN"
    assert client("HEAD", f"/v2/a/manifests/{digest}").status == 200
    assert client("GET", "/v2/a/tags/list").json()["tags"] == ["v2"]
    assert client("DELETE", "/v2/a/manifests/v1").status == 404


def test_a_manifest_is_deleted_with_its_tags(client: Client) -> None:
    """Deleting by digest removes every tag that points to it, and only those."""
    digest = client.push_manifest("a", "v1")
    client.push_manifest("a", "v2")
    client.push_manifest("a", "other", annotations={"n": "2"})
    assert client("DELETE", f"/v2/a/manifests/{digest}").status == 202
    assert client("GET", "/v2/a/tags/list").json()["tags"] == ["other"]
    assert client("GET", f"/v2/a/manifests/{digest}").code == "MANIFEST_UNKNOWN"
    assert client("DELETE", f"/v2/a/manifests/{digest}").status == 404


def test_unknown_manifests_and_repositories_are_not_found(client: Client) -> None:
    """404 tells which of the two is unknown."""
    client.push_manifest("a", "v1")
    for method in ("GET", "DELETE"):
        assert client(method, "/v2/a/manifests/v9").code == "MANIFEST_UNKNOWN"
        assert client(method, f"/v2/a/manifests/{UNKNOWN}").code == "MANIFEST_UNKNOWN"
        assert client(method, "/v2/nobody/manifests/v1").code == "NAME_UNKNOWN"


def referrers(client: Client, query: str = "", digest: str = UNKNOWN, name: str = "a") -> list[dict[str, Any]]:
    """Return what the referrers API lists, which must be an index."""
    reply = client("GET", f"/v2/{name}/referrers/{digest}{query}")
    assert (reply.status, reply.headers["content-type"]) == (200, OCI_INDEX)
    assert (reply.json()["mediaType"], reply.json()["schemaVersion"]) == (OCI_INDEX, 2)
    found: list[dict[str, Any]] = reply.json()["manifests"]
    return found


def test_a_subject_is_acknowledged(client: Client) -> None:
    """OCI-Subject says that the registry keeps the list of referrers; the subject need not be there."""
    manifest = image(client.push_blob("a", b"{}"), subject=descriptor(UNKNOWN))
    reply = client("PUT", "/v2/a/manifests/v1", json.dumps(manifest).encode(), content_type=OCI_MANIFEST)
    assert (reply.status, reply.headers["oci-subject"]) == (201, UNKNOWN)
    assert "oci-subject" not in client("GET", "/v2/a/manifests/v1").headers


def test_referrers_are_listed_with_what_they_say_of_themselves(client: Client) -> None:
    """Descriptors have size, digest, artifactType (or the config's type) and annotations."""
    config = client.push_blob("a", b"{}")
    plain = image(config, subject=descriptor(UNKNOWN))
    typed = image(config, subject=descriptor(UNKNOWN), artifactType="x/sbom", annotations={"k": "v"})
    index = {"schemaVersion": 2, "manifests": [], "subject": descriptor(UNKNOWN)}
    _, first = put(client, "1", plain)
    _, second = put(client, "2", typed)
    _, third = put(client, "3", index, OCI_INDEX)
    assert {entry["digest"]: entry for entry in referrers(client)} == {
        first: {
            "mediaType": OCI_MANIFEST,
            "digest": first,
            "size": len(json.dumps(plain)),
            "artifactType": "application/octet-stream",
        },
        second: {
            "mediaType": OCI_MANIFEST,
            "digest": second,
            "size": len(json.dumps(typed)),
            "artifactType": "x/sbom",
            "annotations": {"k": "v"},
        },
        third: {"mediaType": OCI_INDEX, "digest": third, "size": len(json.dumps(index))},
    }


def test_referrers_are_filtered_by_type(client: Client) -> None:
    """The filter is applied and said to be."""
    for number, kind in enumerate(("x/sbom", "x/signature", "x/sbom")):
        client.push_manifest("a", f"v{number}", subject=descriptor(UNKNOWN), artifactType=kind, number=number)
    assert len(referrers(client)) == 3
    reply = client("GET", f"/v2/a/referrers/{UNKNOWN}?artifactType=x/sbom")
    assert reply.headers["oci-filters-applied"] == "artifactType"
    assert [entry["artifactType"] for entry in reply.json()["manifests"]] == ["x/sbom"] * 2
    assert "oci-filters-applied" not in client("GET", f"/v2/a/referrers/{UNKNOWN}").headers
    assert referrers(client, "?artifactType=x/other") == []


def test_referrers_come_in_pages(client: Client) -> None:
    """A Link leads to the next page, filter included, until all were seen once."""
    pushed = {
        client.push_manifest("a", f"v{number}", subject=descriptor(UNKNOWN), artifactType="x/y", number=number)
        for number in range(5)
    }
    url, seen = f"/v2/a/referrers/{UNKNOWN}?artifactType=x/y&n=2", []
    while url:
        reply = client("GET", url)
        seen += [entry["digest"] for entry in reply.json()["manifests"]]
        assert reply.headers["oci-filters-applied"] == "artifactType"
        url = reply.headers.get("link", "").partition("<")[2].partition(">")[0]
    assert len(seen) == 5
    assert set(seen) == pushed


def test_what_nobody_refers_to_has_an_empty_index(client: Client) -> None:
    """Unknown digests and repositories are answered with an empty index, never 404."""
    client.push_manifest("a", "v1")
    assert referrers(client) == []
    assert referrers(client, name="nobody") == []
    assert client("GET", "/v2/a/referrers/nonsense").code == "DIGEST_INVALID"


def test_referrers_belong_to_a_repository_and_are_deleted_from_it(client: Client) -> None:
    """Another repository does not show them, nor the same one after DELETE."""
    digest = client.push_manifest("a", "v1", subject=descriptor(UNKNOWN))
    assert referrers(client, name="b") == []
    client("DELETE", f"/v2/a/manifests/{digest}")
    assert referrers(client) == []


def test_referrers_survive_a_restore(registry: Registry, client: Client) -> None:
    """They are found again in a restored state, which holds no list of them."""
    client.push_manifest("a", "v1", subject=descriptor(UNKNOWN))
    snapshot = json.loads(json.dumps(registry.snapshot()))
    registry.restore({"generation": 0, "repositories": {}})
    assert referrers(client) == []
    registry.restore(snapshot)
    assert len(referrers(client)) == 1


def test_an_unknown_type_with_a_malformed_subject_refers_to_nothing(client: Client) -> None:
    """What is not understood is kept, and is no referrer, whatever it holds."""
    data = json.dumps({"subject": {"digest": 5}}).encode()
    assert client("PUT", "/v2/a/manifests/v1", data, content_type="application/vnd.example").status in {201, 400}
    assert referrers(client) == []

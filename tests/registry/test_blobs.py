"""Blobs: pushed in one piece or many, pulled whole or in part, mounted, deleted."""

import threading

import pytest

from matrix.registry import Registry
from matrix.registry.uploads import EXPIRY

from .client import Client, digest_of, with_digest

DATA = b"0123456789" * 20
UNKNOWN = digest_of(b"never pushed")


def unfinished(registry: Registry) -> list[str]:
    """Return the files of uploads that are not finished."""
    return [path.name for path in (registry.store.root / "unfinished").iterdir()]


def test_a_registry_says_what_it_is(client: Client) -> None:
    """The base answers 200 and names the version of the protocol."""
    for path in ("/v2/", "/v2"):
        reply = client("GET", path)
        assert (reply.status, reply.headers["docker-distribution-api-version"]) == (200, "registry/2.0")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("data", [b"", b"x", DATA, bytes(300_000)])
def test_a_blob_is_pushed_by_post_and_put(client: Client, algorithm: str, data: bytes) -> None:
    """POST opens a session, PUT closes it, and the location that it names holds the blob."""
    digest = digest_of(data, algorithm)
    pushed = client("PUT", with_digest(client.start("a/b"), digest), data)
    assert (pushed.status, pushed.headers["docker-content-digest"]) == (201, digest)
    pulled = client("GET", pushed.headers["location"])
    assert (pulled.status, pulled.body, pulled.headers["docker-content-digest"]) == (200, data, digest)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_is_pushed_by_a_single_post(client: Client, algorithm: str) -> None:
    """POST with a digest takes the blob at once."""
    digest = digest_of(DATA, algorithm)
    reply = client("POST", f"/v2/a/blobs/uploads/?digest={digest}", DATA)
    assert reply.status == 201
    assert client("GET", reply.headers["location"]).body == DATA


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("last", [b"", b"last"])
def test_a_blob_is_pushed_in_chunks(client: Client, algorithm: str, last: bytes) -> None:
    """PATCHes follow one another, each saying how far it is, and the closing PUT may bring the last chunk."""
    location, sent = client.start("a"), b""
    for chunk in (DATA, b"more", DATA):
        span = f"{len(sent)}-{len(sent) + len(chunk) - 1}"
        reply = client("PATCH", location, chunk, content_range=span, content_type="application/octet-stream")
        sent += chunk
        assert (reply.status, reply.headers["range"]) == (202, f"0-{len(sent) - 1}")
        location = reply.headers["location"]
    digest = digest_of(sent + last, algorithm)
    closing = {"Content-Range": f"{len(sent)}-{len(sent) + len(last) - 1}"} if last else {}
    assert client("PUT", with_digest(location, digest), last, headers=closing).status == 201
    assert client("GET", f"/v2/a/blobs/{digest}").body == sent + last


def test_a_chunk_without_a_range_is_added(client: Client) -> None:
    """A PATCH that streams, without a length or a range, adds to what is there."""
    location = client.start("a")
    client("PATCH", location, b"one")
    path = location.removeprefix(f"http://{client.connection.host}:{client.connection.port}")
    client.connection.request("PATCH", path, iter([b"two", b"three"]), encode_chunked=True)
    response = client.connection.getresponse()
    response.read()
    assert (response.status, response.headers["range"]) == (202, "0-10")
    assert client("PUT", with_digest(location, digest_of(b"onetwothree")), b"").status == 201


@pytest.mark.parametrize("span", ["5-9", "0-4", "3-7"])
def test_a_chunk_out_of_order_is_refused(client: Client, span: str) -> None:
    """416 tells where the upload stands, and it goes on from there."""
    location = client.start("a")
    client("PATCH", location, b"1234", content_range="0-3")
    reply = client("PATCH", location, b"56789", content_range=span)
    assert (reply.status, reply.headers["range"], reply.code) == (416, "0-3", "BLOB_UPLOAD_INVALID")
    assert client("PATCH", reply.headers["location"], b"56789", content_range="4-8").status == 202
    late = client("PUT", with_digest(location, digest_of(b"123456789")), b"9", content_range="20-20")
    assert late.status == 416


def test_the_first_chunk_begins_at_nought(client: Client) -> None:
    """A first chunk that begins elsewhere is a gap."""
    assert client("PATCH", client.start("a"), b"1234", content_range="1-4").status == 416


def test_an_upload_tells_how_far_it_is(client: Client) -> None:
    """GET of the location answers 204 with the range and the location."""
    location = client.start("a")
    assert client("GET", location).headers["range"] == "0-0"
    client("PATCH", location, DATA)
    reply = client("GET", location)
    assert (reply.status, reply.headers["range"], reply.headers["location"]) == (204, "0-199", location)
    assert "content-length" not in reply.headers


def test_an_upload_can_be_cancelled(client: Client, registry: Registry) -> None:
    """DELETE of the location answers 204; then the session is unknown and its file gone."""
    location = client.start("a")
    client("PATCH", location, DATA)
    assert client("DELETE", location).status == 204
    for method in ("GET", "PATCH", "DELETE"):
        reply = client(method, location)
        assert (reply.status, reply.code) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert client("PUT", with_digest(location, digest_of(DATA)), DATA).code == "BLOB_UPLOAD_UNKNOWN"
    assert unfinished(registry) == []


def test_an_upload_that_nobody_uses_ends(client: Client, registry: Registry) -> None:
    """After an hour without a request it is unknown and its file gone; others go on."""
    old, used = client.start("a"), client.start("a")
    client("PATCH", old, DATA)
    client("PATCH", used, DATA)
    next(iter(registry.store.uploads._open.values())).used -= EXPIRY + 1
    client.start("a")
    assert (client("GET", old).status, client("GET", used).status) == (404, 204)
    assert len(unfinished(registry)) == 1


def test_an_upload_belongs_to_its_repository(client: Client) -> None:
    """Its location does not work under another name."""
    location = client.start("a").replace("/v2/a/", "/v2/b/")
    assert client("PATCH", location, DATA).code == "BLOB_UPLOAD_UNKNOWN"


@pytest.mark.parametrize("chunks", [0, 1])
def test_content_that_is_not_what_the_digest_says_is_refused(client: Client, registry: Registry, chunks: int) -> None:
    """DIGEST_INVALID ends the session, and nothing of it stays."""
    location = client.start("a")
    for _ in range(chunks):
        client("PATCH", location, DATA)
    reply = client("PUT", with_digest(location, UNKNOWN), DATA)
    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")
    assert client("GET", location).status == 404
    assert client("POST", f"/v2/a/blobs/uploads/?digest={UNKNOWN}", DATA).code == "DIGEST_INVALID"
    assert client("HEAD", f"/v2/a/blobs/{UNKNOWN}").status == 404
    assert unfinished(registry) == []


def test_closing_an_upload_takes_a_digest(client: Client) -> None:
    """PUT without a digest is refused, and the session goes on."""
    location = client.start("a")
    assert client("PUT", location, DATA).code == "DIGEST_INVALID"
    assert client("PUT", with_digest(location, digest_of(DATA)), DATA).status == 201


def test_a_blob_is_mounted_from_another_repository(client: Client) -> None:
    """Mounting what the other repository holds answers 201, with a location that holds it."""
    digest = client.push_blob("a", DATA)
    reply = client("POST", f"/v2/b/blobs/uploads/?mount={digest}&from=a", b"")
    assert (reply.status, reply.headers["docker-content-digest"]) == (201, digest)
    assert client("GET", reply.headers["location"]).body == DATA


def test_a_blob_is_mounted_from_wherever_it_is(client: Client) -> None:
    """Without ``from`` any repository will do."""
    digest = client.push_blob("a", DATA)
    assert client("POST", f"/v2/b/blobs/uploads/?mount={digest}", b"").status == 201


@pytest.mark.parametrize("source", ["&from=c", "&from=NOT%20A%20NAME", ""])
def test_what_can_not_be_mounted_is_uploaded(client: Client, source: str) -> None:
    """An unknown blob or repository falls back to a session (202), which works."""
    client.push_blob("a", b"another")
    location = client.start("b", f"?mount={digest_of(DATA)}{source}")
    assert client("PUT", with_digest(location, digest_of(DATA)), DATA).status == 201


def test_head_tells_of_a_blob_without_sending_it(client: Client) -> None:
    """HEAD has the headers of GET."""
    digest = client.push_blob("a", DATA)
    reply = client("HEAD", f"/v2/a/blobs/{digest}")
    assert (reply.status, reply.headers["content-length"], reply.headers["docker-content-digest"], reply.body) == (
        200,
        "200",
        digest,
        b"",
    )


def test_a_blob_that_is_known_to_the_client_is_not_sent_again(client: Client) -> None:
    """If-None-Match with its tag is answered 304."""
    digest = client.push_blob("a", DATA)
    tag = client("GET", f"/v2/a/blobs/{digest}").headers["etag"]
    reply = client("GET", f"/v2/a/blobs/{digest}", if_none_match=tag)
    assert (reply.status, reply.body) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=190-", 190, 199),
        ("bytes=-7", 193, 199),
        ("bytes=0-999999", 0, 199),
        ("bytes=-999", 0, 199),
    ],
)
def test_a_part_of_a_blob_is_pulled(client: Client, asked: str, first: int, last: int) -> None:
    """A range is answered 206 with what it asks for."""
    digest = client.push_blob("a", DATA)
    reply = client("GET", f"/v2/a/blobs/{digest}", range=asked)
    assert (reply.status, reply.body) == (206, DATA[first : last + 1])
    assert reply.headers["content-range"] == f"bytes {first}-{last}/200"


@pytest.mark.parametrize("asked", ["bytes=200-", "bytes=500-600", "bytes=9-3", "bytes=-0", "bytes=-", "bytes=a-b"])
def test_a_part_that_does_not_exist_is_refused(client: Client, asked: str) -> None:
    """A range outside of the blob, or a malformed one, is answered 416 with the size."""
    digest = client.push_blob("a", DATA)
    reply = client("GET", f"/v2/a/blobs/{digest}", range=asked)
    assert (reply.status, reply.headers["content-range"]) == (416, "bytes */200")


def test_a_range_is_for_what_the_client_has_begun(client: Client) -> None:
    """HEAD has no part, and a part of something else than the client has is the whole."""
    digest = client.push_blob("a", DATA)
    url, asked = f"/v2/a/blobs/{digest}", {"Range": "bytes=1-9"}
    whole = client("HEAD", url, headers=asked)
    assert (whole.status, whole.headers["content-length"]) == (200, "200")
    assert client("GET", url, headers=asked, if_range=whole.headers["etag"]).body == DATA[1:10]
    other = client("GET", url, headers=asked, if_range='"of something else"')
    assert (other.status, other.body) == (200, DATA)


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=0-1,5-6"])
def test_ranges_that_are_not_served_are_ignored(client: Client, asked: str) -> None:
    """Other units and several ranges at once get the whole blob."""
    digest = client.push_blob("a", DATA)
    assert client("GET", f"/v2/a/blobs/{digest}", range=asked).status == 200


def test_a_blob_is_deleted_from_one_repository(client: Client) -> None:
    """DELETE answers 202; others keep the blob, and it can be pushed again."""
    digest = client.push_blob("a", DATA)
    client.push_blob("b", DATA)
    assert client("DELETE", f"/v2/a/blobs/{digest}").status == 202
    for method in ("GET", "DELETE"):
        assert client(method, f"/v2/a/blobs/{digest}").code == "BLOB_UNKNOWN"
    assert client("GET", f"/v2/b/blobs/{digest}").body == DATA
    assert client.push_blob("a", DATA) == digest


def test_a_deleted_blob_can_not_be_mounted(client: Client) -> None:
    """Content that no repository holds is not given away."""
    digest = client.push_blob("a", DATA)
    client("DELETE", f"/v2/a/blobs/{digest}")
    client.start("b", f"?mount={digest}")


def test_unknown_blobs_and_repositories_are_not_found(client: Client) -> None:
    """GET and DELETE answer 404 with the right code."""
    assert client("GET", f"/v2/nobody/blobs/{UNKNOWN}").code == "BLOB_UNKNOWN"
    assert client("DELETE", f"/v2/nobody/blobs/{UNKNOWN}").code == "NAME_UNKNOWN"
    assert client("HEAD", f"/v2/nobody/blobs/{UNKNOWN}").status == 404


def test_one_blob_pushed_twice_at_once_is_there(registry: Registry) -> None:
    """Clients whose pushes of one blob overlap both succeed."""
    data, half = bytes(200_000), 100_000
    meeting, statuses = threading.Barrier(4), []

    def push() -> None:
        with Client(registry) as client:
            location = client.start("a")
            client("PATCH", location, data[:half])
            meeting.wait(10)
            statuses.append(client("PUT", with_digest(location, digest_of(data)), data[half:]).status)

    pushing = [threading.Thread(target=push) for _ in range(4)]
    for thread in pushing:
        thread.start()
    for thread in pushing:
        thread.join()
    assert statuses == [201] * 4
    assert unfinished(registry) == []
    assert registry.read_blob(digest_of(data)) == data


def test_a_name_may_contain_the_words_of_paths(client: Client) -> None:
    """Repositories may be called ``blobs`` or ``manifests``, in any position."""
    for name in ("blobs/uploads", "manifests/blobs", "tags/list", "v2/blobs"):
        digest = client.push_blob(name, DATA)
        assert client("GET", f"/v2/{name}/blobs/{digest}").body == DATA

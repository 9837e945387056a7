"""Switches: each deviates as it says, and is off unless asked for."""

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from matrix.registry import Registry
from matrix.registry.switches import SWITCHES, UnknownSwitchError

from .client import Client, basic, digest_of, with_digest

DATA = b"0123456789" * 20
DIGEST = digest_of(DATA)
SUBJECT = {"mediaType": "x/y", "digest": DIGEST, "size": 1}


@contextmanager
def switched(*switches: str) -> Iterator[Client]:
    """Yield a client of a registry with these switches on."""
    with Registry(switches=switches) as registry, Client(registry) as client:
        yield client


def chunks(client: Client, location: str, *lengths: int) -> tuple[list[int], str]:
    """Send chunks of these lengths, each to the location of the answer before; return statuses and last location."""
    statuses, offset = [], 0
    for length in lengths:
        span = f"{offset}-{offset + length - 1}"
        reply = client("PATCH", location, DATA[offset : offset + length], content_range=span)
        statuses.append(reply.status)
        if reply.status == 202:
            offset += length
        location = reply.headers.get("location", location)
    return statuses, location


def test_nothing_deviates_unless_asked_for(client: Client) -> None:
    """Without switches none of the deviations is there."""
    location = client.start("a")
    assert location.startswith("http://")
    assert location.partition("?")[2].startswith("_state=")
    assert chunks(client, location, 10, 190)[0] == [202, 202]
    assert client("PUT", with_digest(location, DIGEST), b"").status == 201
    client.push_manifest("a", "v1", subject=SUBJECT)
    reply = client("GET", "/v2/a/manifests/v1")
    assert "warning" not in reply.headers
    assert ";" not in reply.headers["content-type"]
    assert client("GET", f"/v2/a/blobs/{DIGEST}").status == 200


def test_every_switch_is_documented_by_a_sentence() -> None:
    """What `--help` shows of a switch is its docstring."""
    for name, switch in SWITCHES.items():
        assert (switch.name, (switch.__doc__ or "").endswith(".")) == (name, True)


@pytest.mark.parametrize("switch", ["", "nonsense", "slow=", "slow=x", "slow=-1", "no-mount=3", "short-pages=1e3"])
def test_unknown_switches_are_refused_before_anything_starts(switch: str) -> None:
    """The error lists the switches that there are."""
    with pytest.raises(UnknownSwitchError, match=r"no-referrers, .*short-pages"):
        Registry(switches=[switch])


def test_no_referrers() -> None:
    """The API answers 404, as registries before 1.1."""
    with switched("no-referrers") as client:
        client.push_manifest("a", "v1", subject=SUBJECT)
        assert client("GET", f"/v2/a/referrers/{DIGEST}").status == 404


def test_no_oci_subject() -> None:
    """A subject is not acknowledged, but listed."""
    with switched("no-oci-subject") as client:
        client.push_manifest("a", "v1", subject=SUBJECT)
        body = client("GET", "/v2/a/manifests/v1").body
        reply = client("PUT", "/v2/a/manifests/v2", body)
        assert (reply.status, "oci-subject" in reply.headers) == (201, False)
        assert len(client("GET", f"/v2/a/referrers/{DIGEST}").json()["manifests"]) == 1


def test_relative_location() -> None:
    """Locations of uploads, blobs and manifests are paths, which work."""
    with switched("relative-location") as client:
        location = client.start("a")
        assert location.startswith("/v2/a/blobs/uploads/")
        reply = client("PUT", with_digest(location, DIGEST), DATA)
        assert reply.headers["location"] == f"/v2/a/blobs/{DIGEST}"


def test_plain_location() -> None:
    """Locations of uploads have no query, with the first answer and with each chunk."""
    with switched("plain-location") as client:
        statuses, location = chunks(client, client.start("a"), 10, 190)
        assert (statuses, "?" in location) == ([202, 202], False)
        assert client("PUT", with_digest(location, DIGEST), b"").status == 201


def test_location_query() -> None:
    """Blank, repeated and escaped parameters must come back with each request of an upload."""
    with switched("location-query") as client:
        location = client.start("a")
        assert urlsplit(location).query == "_state=&part=1&part=2&signed=a%20b%2Bc%2Fd%3D"
        for lost in (location.partition("?")[0], location.replace("_state=&", ""), location.replace("&part=2", "")):
            assert client("PATCH", lost, DATA).code == "BLOB_UPLOAD_INVALID"
        statuses, location = chunks(client, location, 10, 190)
        assert statuses == [202, 202]
        assert client("GET", location).status == 204
        assert client("PUT", with_digest(location, DIGEST), b"").status == 201


def test_location_per_chunk() -> None:
    """Each chunk moves the upload to another location; the one before is unknown."""
    with switched("location-per-chunk") as client:
        first = client.start("a")
        statuses, last = chunks(client, first, 10, 10)
        assert (statuses, first != last) == ([202, 202], True)
        assert client("PATCH", first, b"x").status == 404
        assert client("PUT", with_digest(last, DIGEST), DATA[20:]).status == 201


def test_chunk_min_length() -> None:
    """The minimum is announced, and only the last chunk may be shorter."""
    with switched("chunk-min-length=50") as client:
        reply = client("POST", "/v2/a/blobs/uploads/", b"")
        assert reply.headers["oci-chunk-min-length"] == "50"
        assert chunks(client, reply.headers["location"], 50, 100, 50)[0] == [202, 202, 202]
        assert chunks(client, client.start("a"), 50, 20, 50)[0] == [202, 202, 400]
        _, location = chunks(client, client.start("a"), 190, 10)
        assert client("PUT", with_digest(location, DIGEST), b"").status == 201


def test_one_416() -> None:
    """The second chunk of an upload is refused once, with what a client needs to go on."""
    with switched("one-416") as client:
        location = client.start("a")
        assert chunks(client, location, 10)[0] == [202]
        refused = client("PATCH", location, DATA[10:], content_range="10-199")
        assert (refused.status, refused.headers["range"], refused.headers["location"]) == (416, "0-9", location)
        assert client("PATCH", location, DATA[10:], content_range="10-199").status == 202
        assert client("PUT", with_digest(location, DIGEST), b"").status == 201


def test_no_single_post() -> None:
    """A POST with the blob opens a session, which starts empty."""
    with switched("no-single-post") as client:
        reply = client("POST", f"/v2/a/blobs/uploads/?digest={DIGEST}", DATA)
        assert (reply.status, reply.headers["range"]) == (202, "0-0")
        assert client("PUT", with_digest(reply.headers["location"], DIGEST), DATA).status == 201


def test_no_mount() -> None:
    """Mounting opens a session even where the blob is there."""
    with switched("no-mount") as client:
        client.push_blob("a", DATA)
        location = client.start("b", f"?mount={DIGEST}&from=a")
        assert client("PUT", with_digest(location, DIGEST), DATA).status == 201


def test_no_delete() -> None:
    """Tags, manifests and blobs stay; an upload can still be cancelled."""
    with switched("no-delete") as client:
        digest = client.push_manifest("a", "v1")
        client.push_blob("a", DATA)
        for path in ("manifests/v1", f"manifests/{digest}", f"blobs/{DIGEST}"):
            reply = client("DELETE", f"/v2/a/{path}")
            assert (reply.status, reply.code) == (405, "UNSUPPORTED")
        assert client("DELETE", client.start("a")).status == 204


@pytest.mark.parametrize("asked", ["", "n=100", "n=1", "last=a"])
def test_short_pages(asked: str) -> None:
    """Pages are short whatever is asked for, and the links lead through all of them."""
    with switched("short-pages=2") as client:
        for tag in "abcde":
            client.push_manifest("a", tag)
        url, seen = f"/v2/a/tags/list?{asked}", ""
        while url:
            reply = client("GET", url)
            assert len(reply.json()["tags"]) <= 2
            seen += "".join(reply.json()["tags"])
            url = reply.headers.get("link", "").partition("<")[2].partition(">")[0]
        assert seen == ("bcde" if asked.startswith("last") else "abcde")


def test_no_content_digest() -> None:
    """No answer has the header."""
    with switched("no-content-digest") as client:
        client.push_manifest("a", "v1")
        assert "docker-content-digest" not in client("HEAD", "/v2/a/manifests/v1").headers


def test_wrong_content_digest() -> None:
    """The header is well formed and wrong; the content is right."""
    with switched("wrong-content-digest") as client:
        digest = client.push_blob("a", DATA)
        reply = client("GET", f"/v2/a/blobs/{digest}")
        assert reply.headers["docker-content-digest"].startswith("sha256:")
        assert (reply.headers["docker-content-digest"] != digest, reply.body) == (True, DATA)


@pytest.mark.parametrize("size", [200, 1_000_000])
def test_truncated_body(size: int) -> None:
    """Half of what was announced arrives, then the connection ends; manifests are cut, too."""
    with switched("truncated-body") as client:
        client.push_manifest("a", "v1")
        for url in (f"/v2/a/blobs/{client.push_blob('a', bytes(size))}", "/v2/a/manifests/v1"):
            with pytest.raises(http.client.IncompleteRead) as caught:
                client("GET", url)
            assert len(caught.value.partial) == pytest.approx(caught.value.expected or 0, abs=1)
            client.connection.close()
        assert client("HEAD", "/v2/a/manifests/v1").status == 200


def test_content_type_parameters() -> None:
    """Types of manifests and lists have parameters."""
    with switched("content-type-parameters") as client:
        client.push_manifest("a", "v1")
        reply = client("GET", "/v2/a/manifests/v1")
        assert reply.headers["content-type"] == "application/vnd.oci.image.manifest.v1+json; charset=utf-8"


def test_redirect_blobs() -> None:
    """A blob is elsewhere, behind an address that is signed and takes no credentials."""
    credentials = basic("u", "p")
    with Registry(switches=["redirect-blobs"], auth=("u", "p")) as registry, Client(registry, credentials) as client:
        client.push_blob("a", DATA)
        reply = client("GET", f"/v2/a/blobs/{DIGEST}")
        location = urlsplit(reply.headers["location"])
        assert (reply.status, location.hostname, location.port != registry.port) == (307, "localhost", True)
        assert client("HEAD", f"/v2/a/blobs/{DIGEST}").status == 200
        assert client("GET", "/v2/a/blobs/nonsense").status == 400
        url = reply.headers["location"].replace("localhost", "127.0.0.1")
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(url).content == DATA
            assert session.get(url, headers={"Range": "bytes=1-2"}).content == b"12"
            assert session.get(url, headers=credentials).status_code == 400
            assert session.get(url[:-1]).status_code == 403
            assert session.get(url.partition("/storage")[0] + "/v2/").status_code == 403


def test_warning() -> None:
    """Every answer warns, errors included, in the form that the specification asks for."""
    with switched("warning") as client:
        for path in ("/v2/", "/v2/a/tags/list"):
            assert client("GET", path).headers["warning"].startswith('299 - "')


def test_scope_403() -> None:
    """A token for something else is denied; without a token the answer is still 401."""
    with Registry(tokens=True, switches=["scope-403"]) as registry, Client(registry) as client:
        token = client("GET", "/token?scope=repository:a:pull").json()["token"]
        reply = client("POST", "/v2/a/blobs/uploads/", authorization=f"Bearer {token}")
        assert (reply.status, reply.code, "scope" in reply.headers["www-authenticate"]) == (403, "DENIED", True)
        assert client("POST", "/v2/a/blobs/uploads/").status == 401


def test_too_many_requests() -> None:
    """Every other request is put off, so that one that is sent again gets through."""
    with switched("too-many-requests=3") as client:
        replies = [client("GET", "/v2/") for _ in range(4)]
        assert [reply.status for reply in replies] == [429, 200, 429, 200]
        assert (replies[0].headers["retry-after"], replies[0].code) == ("3", "TOOMANYREQUESTS")


def test_slow() -> None:
    """Answers take at least so long."""
    with switched("slow=0.05") as client:
        begin = time.perf_counter()
        assert client("GET", "/v2/").status == 200
        assert time.perf_counter() - begin >= 0.05


def test_switches_go_together() -> None:
    """Several at once all deviate."""
    with switched("location-query", "location-per-chunk", "relative-location", "one-416", "warning") as client:
        location = client.start("a")
        assert location.startswith("/v2/")
        statuses, location = chunks(client, location, 10, 10, 10)
        assert statuses == [202, 416, 202]
        assert client("PUT", with_digest(location, DIGEST), DATA[20:]).status == 201

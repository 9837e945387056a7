"""Lists of tags and repositories, whole and in pages."""

from itertools import chain
from urllib.parse import quote

import pytest

from matrix.registry import Registry

from .client import Client

TAGS = ["0.1", "1.0", "_x", "A", "a", "b-1", "latest", "V2"]


def add_tags(registry: Registry, client: Client, names: list[str]) -> None:
    """Tag one manifest with all of these names."""
    digest = client.push_manifest("a", names[0])
    snapshot = registry.snapshot()
    tags = dict.fromkeys(reversed(names), digest)
    registry.restore({**snapshot, "repositories": {"a": {**snapshot["repositories"]["a"], "tags": tags}}})


def follow(client: Client, url: str, key: str) -> list[list[str]]:
    """Return all pages, by their links."""
    pages = []
    while url:
        reply = client("GET", url)
        assert reply.status == 200
        pages.append(reply.json()[key])
        url = reply.headers.get("link", "").partition("<")[2].partition(">")[0]
    return pages


def test_tags_are_sorted_without_regard_to_case(registry: Registry, client: Client) -> None:
    """All are listed in the specification's order, with the repository's name."""
    add_tags(registry, client, TAGS)
    reply = client("GET", "/v2/a/tags/list")
    assert reply.json() == {"name": "a", "tags": TAGS}
    assert "link" not in reply.headers


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 1000])
def test_pages_hold_exactly_what_is_asked_for(registry: Registry, client: Client, size: int) -> None:
    """Every page but the last is full, and together they are the whole list."""
    add_tags(registry, client, TAGS)
    pages = follow(client, f"/v2/a/tags/list?n={size}", "tags")
    assert list(chain(*pages)) == TAGS
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    assert 0 < len(pages[-1]) <= size


@pytest.mark.parametrize(("last", "expected"), [("A", TAGS[4:]), ("LATER", TAGS[6:]), ("zzz", []), ("", TAGS)])
def test_a_list_goes_on_after_the_last_tag(registry: Registry, client: Client, last: str, expected: list[str]) -> None:
    """``last`` need not be a tag that is there."""
    add_tags(registry, client, TAGS)
    assert client("GET", f"/v2/a/tags/list?last={last}").json()["tags"] == expected
    assert client("GET", f"/v2/a/tags/list?n=1&last={last}").json()["tags"] == expected[:1]


def test_none_asked_for_is_none_listed(registry: Registry, client: Client) -> None:
    """``n=0`` is answered with an empty list and no link."""
    add_tags(registry, client, TAGS)
    reply = client("GET", "/v2/a/tags/list?n=0")
    assert (reply.json()["tags"], "link" in reply.headers) == ([], False)


def test_sixteen_hundred_tags_come_in_pages(registry: Registry, client: Client) -> None:
    """A long list is the same in pages of a hundred."""
    names = [f"{number:04}" for number in range(1600)]
    add_tags(registry, client, names)
    pages = follow(client, "/v2/a/tags/list?n=100", "tags")
    assert (len(pages), list(chain(*pages))) == (16, names)


@pytest.mark.parametrize("n", ["x", "-1", "1.5", "", "٣", "9" * 30])
@pytest.mark.parametrize("path", ["a/tags/list", "_catalog"])
def test_a_size_that_is_no_number_is_refused(client: Client, path: str, n: str) -> None:
    """Anything but decimal digits is a bad request."""
    client.push_manifest("a", "v1")
    assert client("GET", f"/v2/{path}?n={quote(n)}").status == 400


def test_a_repository_without_tags_has_an_empty_list(client: Client) -> None:
    """It exists once it holds anything; before that its name is unknown."""
    assert client("GET", "/v2/a/tags/list").code == "NAME_UNKNOWN"
    client.push_blob("a", b"x")
    assert client("GET", "/v2/a/tags/list").json() == {"name": "a", "tags": []}


def test_the_catalog_lists_repositories(client: Client) -> None:
    """All of them, sorted, whole or in pages."""
    assert client("GET", "/v2/_catalog").json() == {"repositories": []}
    for name in ("b/c", "a", "b", "b-a/x"):
        client.push_blob(name, b"x")
    assert client("GET", "/v2/_catalog").json() == {"repositories": ["a", "b", "b-a/x", "b/c"]}
    assert follow(client, "/v2/_catalog?n=3", "repositories") == [["a", "b", "b-a/x"], ["b/c"]]

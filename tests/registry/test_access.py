"""Who gets in: basic authentication, htpasswd files, bearer tokens."""

import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from matrix.registry import Registry
from matrix.registry.access import HtpasswdError, Scope

from .client import Client, Reply, basic

USER, PASSWORD = "someone", "pass:wörd"
PATHS = [
    ("GET", "/v2/"),
    ("GET", "/v2/_catalog"),
    ("GET", "/v2/a/tags/list"),
    ("GET", "/v2/a/manifests/v1"),
    ("HEAD", "/v2/a/blobs/nonsense"),
    ("POST", "/v2/a/blobs/uploads/"),
    ("DELETE", "/v2/NOT/VALID/manifests/v1"),
    ("GET", "/v2/a/referrers/x"),
    ("OPTIONS", "/v2/"),
]


def htpasswd(folder: Path, **users: str) -> Path:
    """Write a file of users and their passwords, as quickly hashed as bcrypt can."""
    path = folder / "htpasswd"
    hashed = {user: bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode() for user, word in users.items()}
    path.write_text("# users\n\n" + "".join(f"{user}:{word}\n" for user, word in hashed.items()))
    return path


@pytest.fixture(params=["auth", "htpasswd"])
def protected(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """Start a registry that asks for a password, which it knows or has a hash of."""
    file = htpasswd(tmp_path, other="x", **{USER: PASSWORD})
    known = request.param == "auth"
    with Registry(auth=(USER, PASSWORD) if known else None, htpasswd=None if known else file) as registry:
        yield registry


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_credentials_everything_is_the_same_refusal(protected: Registry, method: str, path: str) -> None:
    """Whatever is asked for, whether or not it is there, the answer is the same 401."""
    with Client(protected, basic(USER, PASSWORD)) as client:
        client.push_manifest("a", "v1")
    with Client(protected) as client:
        first, reply = client("GET", "/v2/nobody/tags/list"), client(method, path)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Basic realm="caliper-matrix registry"')
    assert reply.body == (b"" if method == "HEAD" else first.body)
    assert first.code == "UNAUTHORIZED"


@pytest.mark.parametrize(
    "credentials",
    [basic(USER, "wrong"), basic("nobody", PASSWORD), basic(USER, ""), basic("", ""), basic(USER, "x" * 200)]
    + [
        {"Authorization": value}
        for value in ("", "Basic", "Basic !", "Basic YQ==", "Basic /w==", "Bearer x", "Basic é")
    ],
)
def test_wrong_credentials_are_refused(protected: Registry, credentials: dict[str, str]) -> None:
    """A wrong password, an unknown user and malformed headers get the same answer as nothing at all."""
    with Client(protected) as client:
        nothing = client("GET", "/v2/")
    with Client(protected, credentials) as client:
        reply = client("GET", "/v2/")
    assert (reply.status, reply.body) == (401, nothing.body)


def test_the_right_password_opens_everything(protected: Registry) -> None:
    """Pushing, pulling and deleting work, also with a colon and letters beyond ASCII in the password."""
    with Client(protected, basic(USER, PASSWORD)) as client:
        digest = client.push_manifest("a", "v1")
        assert client("GET", "/v2/a/manifests/v1").status == 200
        assert client("DELETE", f"/v2/a/manifests/{digest}").status == 202


def test_a_body_without_credentials_does_no_harm(protected: Registry) -> None:
    """What an unknown client sends is dropped, and its connection goes on."""
    with Client(protected) as client:
        assert client("POST", "/v2/a/blobs/uploads/", bytes(3_000_000)).status == 401
        assert client("GET", "/v2/", headers=basic(USER, PASSWORD)).status == 200


def test_bcrypt_is_paid_once_a_password(tmp_path: Path) -> None:
    """With a hash that takes long to check, only the first request does; a wrong password takes as long each time."""
    path = tmp_path / "htpasswd"
    path.write_text(f"u:{bcrypt.hashpw(b'p', bcrypt.gensalt(11)).decode()}\n")
    with Registry(htpasswd=path) as registry, Client(registry) as client:

        def seconds(headers: dict[str, str], status: int) -> float:
            begin = time.perf_counter()
            assert client("GET", "/v2/", headers=headers).status == status
            return time.perf_counter() - begin

        first = seconds(basic("u", "p"), 200)
        again = min(seconds(basic("u", "p"), 200) for _ in range(5))
        wrong = min(seconds(basic("u", "q"), 401) for _ in range(2))
        unknown = min(seconds(basic("x", "q"), 401) for _ in range(2))
    assert again < first / 5
    assert again < min(wrong, unknown) / 5


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "FileNotFoundError"),
        ("", "no users"),
        ("u\n", "line 1"),
        ("# x\nu:{SHA}secret\n", "line 2"),
        (":$2b$x\n", "line 1"),
    ],
)
def test_htpasswd_files_that_can_not_be_used(tmp_path: Path, content: str | None, problem: str) -> None:
    """The error names the file and the line, says what to do, and keeps the hash to itself."""
    path = tmp_path / "htpasswd"
    if content is not None:
        path.write_text(content)
    with pytest.raises(HtpasswdError, match=problem) as caught:
        Registry(htpasswd=path)
    assert "htpasswd -Bc" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.fixture
def bearer() -> Iterator[Registry]:
    """Start a registry that wants tokens."""
    with Registry(auth=(USER, PASSWORD), tokens=True) as registry:
        yield registry


def challenge(reply: Reply) -> dict[str, str]:
    """Return what a challenge says."""
    kind, _, rest = reply.headers["www-authenticate"].partition(" ")
    assert (reply.status, kind) == (401, "Bearer")
    fields = dict(field.partition("=")[::2] for field in rest.replace('",', '"\n').split("\n"))
    return {name: value.strip('"') for name, value in fields.items()}


def fetch(registry: Registry, *scopes: str, credentials: dict[str, str] | None = None) -> Reply:
    """Ask the token endpoint."""
    query = "&".join(["service=x", *(f"scope={scope}" for scope in scopes)])
    with Client(registry, basic(USER, PASSWORD) if credentials is None else credentials) as client:
        return client("GET", f"/token?{query}")


def authorized(registry: Registry, *scopes: str) -> dict[str, str]:
    """Return the header with a token for these scopes."""
    return {"Authorization": f"Bearer {fetch(registry, *scopes).json()['token']}"}


def test_a_challenge_tells_where_to_get_a_token(bearer: Registry) -> None:
    """It names the endpoint, the service, and the scope that the request needs."""
    with Client(bearer) as client:
        pull = challenge(client("GET", "/v2/a/b/manifests/v1"))
        push = challenge(client("POST", "/v2/a/b/blobs/uploads/"))
        mount = challenge(client("POST", "/v2/a/blobs/uploads/?mount=x&from=c/d"))
        base = challenge(client("GET", "/v2/"))
    assert pull == {"realm": f"{bearer.url}/token", "service": bearer.address, "scope": "repository:a/b:pull"}
    assert push["scope"] == "repository:a/b:push,pull"
    assert mount["scope"] == "repository:a:push,pull repository:c/d:pull"
    assert "scope" not in base


def test_a_token_opens_what_it_was_asked_for(bearer: Registry) -> None:
    """It is given for a password, in the fields that clients look for."""
    reply = fetch(bearer, "repository:a:pull,push")
    assert reply.status == 200
    assert reply.json()["token"] == reply.json()["access_token"]
    assert reply.json()["expires_in"] > 60
    with Client(bearer, authorized(bearer, "repository:a:pull,push")) as client:
        client.push_manifest("a", "v1")
        assert client("GET", "/v2/").status == 200
    with Client(bearer, authorized(bearer, "registry:catalog:*")) as client:
        assert client("GET", "/v2/_catalog").status == 200
    with Client(bearer, authorized(bearer, "repository:a:*")) as client:
        assert client("DELETE", "/v2/a/manifests/v1").status == 202


@pytest.mark.parametrize(
    "scopes",
    [
        [],
        ["repository:a:pull"],
        ["repository:b:pull,push"],
        ["nonsense"],
        ["registry:catalog:*", "repository:a:delete"],
    ],
)
def test_a_token_opens_nothing_else(bearer: Registry, scopes: list[str]) -> None:
    """Another repository or another action is refused, with the reason."""
    with Client(bearer, authorized(bearer, *scopes)) as client:
        refusal = challenge(client("POST", "/v2/a/blobs/uploads/"))
    assert (refusal["error"], refusal["scope"]) == ("insufficient_scope", "repository:a:push,pull")


@pytest.mark.parametrize("token", ["", "x", "x.y", "e30=.0", "é"])
def test_made_up_tokens_are_refused(bearer: Registry, token: str) -> None:
    """So are tokens of another registry, and changed ones."""
    with Client(bearer) as client:
        assert challenge(client("GET", "/v2/", Authorization=f"Bearer {token}"))["error"] == "invalid_token"
        changed = authorized(bearer, "repository:a:pull")["Authorization"][:-1] + "é"
        assert challenge(client("GET", "/v2/", Authorization=changed))["error"] == "invalid_token"
    with Registry(tokens=True) as another, Client(bearer, authorized(another)) as client:
        assert challenge(client("GET", "/v2/"))["error"] == "invalid_token"


def test_tokens_expire(bearer: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time a token is worth nothing."""
    monkeypatch.setattr("matrix.registry.access.LIFETIME", -1)
    with Client(bearer, authorized(bearer)) as client:
        assert challenge(client("GET", "/v2/"))["error"] == "invalid_token"


def test_a_password_is_not_taken_for_a_token(bearer: Registry) -> None:
    """Basic authentication works at the token endpoint only, where a wrong password is refused."""
    with Client(bearer, basic(USER, PASSWORD)) as client:
        assert challenge(client("GET", "/v2/"))["error"] == "invalid_token"
    for credentials in ({}, basic(USER, "wrong"), basic("nobody", PASSWORD)):
        reply = fetch(bearer, credentials=credentials)
        assert (reply.status, reply.headers["www-authenticate"][:5]) == (401, "Basic")


def test_tokens_can_be_had_by_a_form(bearer: Registry) -> None:
    """The endpoint takes the OAuth 2 form, too."""
    with Client(bearer) as client:
        form = f"grant_type=password&service=x&scope=repository:a:pull&username={USER}&password=pass%3Aw%C3%B6rd"
        reply = client("POST", "/token", form.encode(), content_type="application/x-www-form-urlencoded")
        assert client("GET", "/v2/", Authorization=f"Bearer {reply.json()['access_token']}").status == 200
        assert client("POST", "/token", b"username=x").status == 401
        assert client("PUT", "/token").status == 405


def test_anybody_gets_a_token_where_there_is_no_password() -> None:
    """A public registry of this kind gives tokens without credentials, and takes nothing without a token."""
    with Registry(tokens=True) as registry:
        with Client(registry) as client:
            assert client("GET", "/v2/").status == 401
        token = fetch(registry, "repository:a:pull,push", credentials={}).json()["token"]
        with Client(registry, {"Authorization": f"Bearer {token}"}) as client:
            client.push_manifest("a", "v1")


def test_a_challenge_holds_nothing_that_was_made_up(bearer: Registry) -> None:
    """Line breaks and quotes in a path do not reach a header."""
    with Client(bearer) as client:
        for path in (
            "/v2/a%0d%0aX:%20y/manifests/v1",
            "/v2/a%22,realm=%22b/tags/list",
            "/v2/a/blobs/uploads/?mount=x&from=%0d%0a",
        ):
            reply = client("GET", path)
            assert "%0" not in str(reply.headers)
            assert "\n" not in challenge(reply).get("scope", "")


def test_scopes() -> None:
    """A scope is read as clients write it; names may hold colons."""
    scope = Scope.parse("repository:localhost:5000/a:pull,push")
    assert scope == Scope("repository", "localhost:5000/a", frozenset({"pull", "push"}))
    assert [Scope.parse(text) for text in ("", "a", "a:b", ":b:c", "a::c", "a:b:")] == [None] * 6

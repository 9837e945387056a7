"""Who may do what: basic authentication or bearer tokens, by one user's password or an htpasswd file."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from matrix.errors import CaliperError
from matrix.registry.errors import Code, RegistryError
from matrix.registry.messages import Request, Response

TOKEN_PATH = "/token"  # noqa: S105 - a path
LIFETIME = 300  # seconds that a token is good for
_BASIC = 'Basic realm="caliper-matrix registry"'


class HtpasswdError(CaliperError):
    """The htpasswd file can't be used."""

    def __init__(self, path: Path, problem: str) -> None:
        """Say where and what; never what the line holds."""
        super().__init__(f"{path}: {problem}; make it with: htpasswd -Bc {path.name} USER")
        self.path = path


@dataclass(frozen=True, slots=True)
class Scope:
    """Something that a request needs a right to: ``repository:NAME:pull,push`` in a challenge."""

    kind: str
    name: str
    actions: frozenset[str]

    def __str__(self) -> str:
        """Return it as clients pass it on."""
        return f"{self.kind}:{self.name}:{','.join(sorted(self.actions, reverse=True))}"

    @classmethod
    def parse(cls, text: str) -> "Scope | None":
        """Return what a client asks for; None if it is malformed, which is granted to nobody."""
        kind, _, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        return cls(kind, name, frozenset(actions.split(","))) if kind and name and actions else None

    def covers(self, other: "Scope") -> bool:
        """Whether a right to this is one to ``other``."""
        same = (self.kind, self.name) == (other.kind, other.name)
        return same and ("*" in self.actions or other.actions <= self.actions)


class Passwords:
    """Names of users and what their passwords are checked with."""

    def __init__(self, users: dict[str, bytes], *, hashed: bool) -> None:
        """Take passwords as they are, or bcrypt hashes of them."""
        self._users = users
        self._hashed = hashed
        self._key = secrets.token_bytes(32)
        self._verified: dict[str, bytes] = {}  # keyed hashes, so that bcrypt is paid once a password, not a request

    @classmethod
    def of(cls, user: str, password: str) -> "Passwords":
        """Know one user."""
        return cls({user: password.encode()}, hashed=False)

    @classmethod
    def read(cls, path: Path) -> "Passwords":
        """Read an htpasswd file; as in the registry of the CNCF, bcrypt is the only hash that counts."""
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise HtpasswdError(path, f"can't be read ({type(error).__name__})") from error
        users = {}
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                user, _, hashed = line.strip().partition(":")
                if not user or not hashed.startswith(("$2a$", "$2b$", "$2y$")):
                    raise HtpasswdError(path, f"line {number} has no bcrypt hash")
                users[user] = hashed.encode()
        if not users:
            raise HtpasswdError(path, "no users in it")
        return cls(users, hashed=True)

    async def verify(self, user: str, password: str) -> bool:
        """Whether this is the user's password; takes as long for users that do not exist."""
        known = user in self._users
        expected = self._users.get(user) or next(iter(self._users.values()))
        if not self._hashed:
            return hmac.compare_digest(password.encode(), expected) and known
        seal = hmac.digest(self._key, password.encode(), hashlib.sha256)
        if hmac.compare_digest(seal, self._verified.get(user, b"")):
            return True
        right = await asyncio.to_thread(_check_bcrypt, password.encode(), expected)
        if right and known:
            self._verified[user] = seal
        return right and known


def _check_bcrypt(password: bytes, hashed: bytes) -> bool:
    import bcrypt  # noqa: PLC0415 - costs time at start that only registries with an htpasswd file need

    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:  # longer than bcrypt takes, or a malformed hash
        return False


class Access:
    """Lets requests pass or refuses them with a challenge."""

    def __init__(self, passwords: Passwords | None, *, tokens: bool = False) -> None:
        """Ask for a password with each request, or for one of the ``tokens`` that the token endpoint gives for it.

        Without ``passwords`` that endpoint gives tokens to anybody.
        """
        self._passwords = passwords
        self._tokens = tokens
        self._key = secrets.token_bytes(32)

    async def check(self, request: Request, needed: Iterable[Scope]) -> None:
        """Return if the request may do all that it needs; a `RegistryError` (401) that tells no more if not."""
        needed = list(needed)
        kind, _, credentials = request.headers.get("authorization", "").partition(" ")
        if not self._tokens:
            if not await self._knows(kind, credentials):
                raise _refused(_BASIC)
            return
        granted = self._opened(credentials.strip()) if kind.lower() == "bearer" else None
        if granted is None or not all(any(scope.covers(need) for scope in granted) for need in needed):
            host = request.origin.partition("://")[2]
            scopes = f',scope="{" ".join(map(str, needed))}"' if needed else ""
            problem = "" if not kind else ',error="invalid_token"' if granted is None else ',error="insufficient_scope"'
            challenge = f'Bearer realm="{request.origin}{TOKEN_PATH}",service="{host}"{scopes}{problem}'
            raise _refused(challenge)

    async def token(self, request: Request) -> Response | None:
        """Answer a request to the token endpoint; None if there is none."""
        if not self._tokens or request.path != TOKEN_PATH:
            return None
        asked = request.query
        if request.method == "POST":  # the OAuth 2 form of it
            asked = parse_qsl((await request.body(1 << 16)).decode("latin-1"))
            given = dict(asked)
            known = await self._matches(given.get("username", ""), given.get("password", ""))
        elif request.method == "GET":
            kind, _, credentials = request.headers.get("authorization", "").partition(" ")
            known = await self._knows(kind, credentials)
        else:
            raise RegistryError(Code.UNSUPPORTED, headers={"Allow": "GET, POST"})
        if not known:
            raise _refused(_BASIC)
        return self._issue([scope for key, value in asked if key == "scope" for scope in value.split()])

    async def _knows(self, kind: str, credentials: str) -> bool:
        if self._passwords is None:
            return True
        try:
            decoded = base64.b64decode(credentials.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return False
        user, colon, password = decoded.partition(":")
        return kind.lower() == "basic" and bool(colon) and await self._matches(user, password)

    async def _matches(self, user: str, password: str) -> bool:
        return self._passwords is None or await self._passwords.verify(user, password)

    def _issue(self, scopes: list[str]) -> Response:
        now = int(time.time())
        payload = base64.urlsafe_b64encode(json.dumps({"expires": now + LIFETIME, "scopes": scopes}).encode()).decode()
        token = f"{payload}.{self._seal(payload)}"
        issued = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        body = {"token": token, "access_token": token, "expires_in": LIFETIME, "issued_at": issued}
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        return Response(200, headers, json.dumps(body).encode())

    def _opened(self, token: str) -> list[Scope] | None:
        payload, _, seal = token.partition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(payload).encode()):
            return None
        content = json.loads(base64.urlsafe_b64decode(payload))
        if content["expires"] < time.time():
            return None
        return [scope for text in content["scopes"] if (scope := Scope.parse(text))]

    def _seal(self, payload: str) -> str:
        return hmac.digest(self._key, payload.encode(), hashlib.sha256).hex()


def _refused(challenge: str) -> RegistryError:
    return RegistryError(Code.UNAUTHORIZED, headers={"WWW-Authenticate": challenge})

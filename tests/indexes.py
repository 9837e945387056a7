"""A package index on loopback with distributions made on the spot, for tests of uv and of the list of releases."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

BACKEND = """
import base64, os
WHEEL = {wheel!r}
def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = {name!r}
    with open(os.path.join(directory, name), "wb") as file:
        file.write(base64.b64decode(WHEEL))
    return name
"""


@dataclass(frozen=True, slots=True)
class File:
    """A distribution as the index serves it."""

    name: str
    version: str
    filename: str
    data: bytes
    uploaded: str = "2024-01-01T00:00:00.000000Z"
    yanked: bool = False
    requires_python: str | None = None

    @property
    def sha256(self) -> str:
        """Its hash."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def kind(self) -> str:
        """What the JSON API calls it."""
        return "bdist_wheel" if self.filename.endswith(".whl") else "sdist"


def wheel(name: str, version: str, files: Mapping[str, str], requires: Sequence[str] = (), **facts: Any) -> File:  # noqa: ANN401
    """Make a wheel of Python sources."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    content = {
        **files,
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_record(text)},{len(text.encode())}" for path, text in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return File(name, version, f"{stem}-py3-none-any.whl", packed.getvalue(), **facts)


def sdist(name: str, version: str, backend: str = "", **facts: Any) -> File:  # noqa: ANN401
    """Make a source distribution with a build backend of its own: one that works, or the given source."""
    made = wheel(name, version, {f"{name}.py": f"VERSION = {version!r}\n"})
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": backend or BACKEND.format(wheel=base64.b64encode(made.data).decode(), name=made.filename),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return File(name, version, f"{name}-{version}.tar.gz", gzip.compress(packed.getvalue(), mtime=0), **facts)


def _record(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@dataclass(slots=True)
class Index:
    """An index that runs; ``forms`` are the APIs that it answers, ``status`` is its answer to everything if not 200."""

    files: Sequence[File]
    forms: frozenset[str] = frozenset({"json", "simple-json"})
    status: int = 200
    asked: list[str] = field(default_factory=list)
    silence: threading.Event | None = None  # answers wait until it is set
    server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                status, kind, body = index.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815 # the name that the library asks for

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
                """Say nothing: a client that was killed closes its end."""

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop."""
        assert self.server is not None
        self.server.shutdown()
        self.server.server_close()

    @property
    def base(self) -> str:
        """Where it is."""
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def address(self) -> str:
        """Its simple API."""
        return f"{self.base}/simple"

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, media type and body of one request."""
        if self.silence is not None:
            self.silence.wait(60)
        if self.status != 200:
            return self.status, "text/plain", b"not now"
        match path.strip("/").split("/"):
            case ["files", filename]:
                return 200, "application/octet-stream", next(f.data for f in self.files if f.filename == filename)
            case ["pypi", name, "json"] if "json" in self.forms and self._of(name):
                return 200, "application/json", json.dumps(self._json(name)).encode()
            case ["simple", name] if "simple-json" in self.forms and self._of(name):
                return 200, "application/vnd.pypi.simple.v1+json", json.dumps(self._simple(name)).encode()
            case ["simple", name] if "simple-html" in self.forms and self._of(name):
                return 200, "text/html", self._html(name).encode()
        return 404, "text/plain", b"no such page"

    def _of(self, name: str) -> list[File]:
        return [file for file in self.files if file.name == name]

    def _json(self, name: str) -> dict[str, Any]:
        releases: dict[str, list[dict[str, Any]]] = {}
        for file in self._of(name):
            entry = {
                "filename": file.filename,
                "url": f"{self.base}/files/{file.filename}",
                "digests": {"sha256": file.sha256},
                "size": len(file.data),
                "packagetype": file.kind,
                "upload_time_iso_8601": file.uploaded,
                "yanked": file.yanked,
                "requires_python": file.requires_python,
            }
            releases.setdefault(file.version, []).append(entry)
        return {"releases": releases}

    def _simple(self, name: str) -> dict[str, Any]:
        files = [
            {
                "filename": file.filename,
                "url": f"{self.base}/files/{file.filename}",
                "hashes": {"sha256": file.sha256},
                "size": len(file.data),
                "upload-time": file.uploaded,
                "yanked": file.yanked,
                "requires-python": file.requires_python,
            }
            for file in self._of(name)
        ]
        return {"meta": {"api-version": "1.1"}, "name": name, "files": files, "versions": []}

    def _html(self, name: str) -> str:
        links = [
            f'<a href="{self.base}/files/{file.filename}#sha256={file.sha256}"'
            + (' data-yanked=""' if file.yanked else "")
            + f">{file.filename}</a>"
            for file in self._of(name)
        ]
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>"

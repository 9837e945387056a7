"""Registries to test against: Debian's docker-registry, with TLS or a password or neither, and a proxy that meddles."""

import contextlib
import http.server
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest
import trustme

USER, PASSWORD = "ada", "correct horse"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a registry listens, and what it takes to speak to it."""

    host: str
    ca_file: Path | None
    password: bool
    storage: Path

    @property
    def options(self) -> list[str]:
        """The command line's options for it."""
        return ["--ca-file", str(self.ca_file)] if self.ca_file else ["--plain-http"]


@contextlib.contextmanager
def docker_registry(folder: Path, *, tls: bool = False, password: bool = False) -> Iterator[Address]:
    """Run Debian's registry (distribution 2.8: no referrers API) until the context ends."""
    executable = shutil.which("docker-registry")
    if executable is None:
        pytest.skip("docker-registry is not installed (apt-get install docker-registry)")
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    ca_file = _certificates(folder) if tls else None
    config = folder / "config.yml"
    config.write_text(_config(folder, port, tls=tls, password=password), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([executable, "serve", str(config)], stdout=log, stderr=log)
    try:
        _wait(f"127.0.0.1:{port}", process)
        yield Address(f"127.0.0.1:{port}", ca_file, password, folder / "storage")
    finally:
        process.kill()
        process.wait()


def _config(folder: Path, port: int, *, tls: bool, password: bool) -> str:
    lines = [
        "version: 0.1",
        "log: {level: error, accesslog: {disabled: true}}",
        f"storage: {{filesystem: {{rootdirectory: {folder / 'storage'}}}}}",
        "http:",
        f"  addr: 127.0.0.1:{port}",
    ]
    if tls:
        lines.append(f"  tls: {{certificate: {folder / 'server.pem'}, key: {folder / 'server.key'}}}")
    if password:
        line = f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n"
        (folder / "htpasswd").write_text(line, encoding="utf-8")
        lines.append(f"auth: {{htpasswd: {{realm: here, path: {folder / 'htpasswd'}}}}}")
    return "\n".join([*lines, ""])


def _certificates(folder: Path) -> Path:
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(folder / "server.key")
    for number, part in enumerate(server.cert_chain_pems):
        part.write_to_path(folder / "server.pem", append=number > 0)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return folder / "ca.pem"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(host: str, process: subprocess.Popen[bytes]) -> None:
    """Return as soon as the port is open; the process has no other way to say that it is ready."""
    address, _, port = host.partition(":")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((address, int(port)), timeout=1):
            return
        time.sleep(0.02)
    message = f"docker-registry does not listen on {host}"
    raise RuntimeError(message)


@contextlib.contextmanager
def meddler(
    behind: Address,
    change: Callable[[str, bytes], bytes] = lambda _path, body: body,
    refuse: Callable[[str, str], bool] = lambda _method, _path: False,
) -> Iterator[Address]:
    """Put a proxy before a registry: ``change(path, body)`` alters what is read, ``refuse(method, path)`` fails."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if refuse(self.command, self.path):
                self._send(500, {}, b'{"errors": [{"code": "UNKNOWN", "message": "disk full"}]}')
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "accept-encoding"}}
            url = f"http://{behind.host}{self.path}"
            request = urllib.request.Request(url, data=body or None, headers=headers, method=self.command)
            try:
                with urllib.request.urlopen(request) as answer:
                    status, kept, data = answer.status, answer.headers, answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    status, kept, data = error.code, error.headers, error.read()
            passed = {name: kept[name] for name in ("Content-Type", "Docker-Content-Digest") if name in kept}
            if location := kept.get("Location"):
                passed["Location"] = location.replace(behind.host, self.headers["Host"])
            self._send(status, passed, change(self.path, data) if self.command == "GET" else data)

        def _send(self, status: int, headers: dict[str, str], data: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = _answer  # noqa: N815 (http.server's names)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield Address(f"127.0.0.1:{server.server_address[1]}", None, behind.password, behind.storage)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

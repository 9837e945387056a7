"""Measure the embedded registry beside Debian's `docker-registry`, in turns, with the same client.

python benchmarks/registry.py [--rounds 3] [--large 256]

Each registry is a process of its own; figures are the best of the rounds. What its process computed hardly depends on
what else runs. The client is `http.client` on one connection, so its own time is part of each figure by the clock, the
same part for both.
"""

import argparse
import hashlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from matrix.registry.external import DockerRegistry
from matrix.registry.server import Registry

BLOCK = 1 << 20
SMALL = 1000


@dataclass(slots=True)
class Served:
    """A running registry."""

    host: str
    port: int
    pid: int
    started: float  # seconds from the start of the process to its first answer


@dataclass(slots=True)
class Figures:
    """The best that was measured: seconds, those that the registry's process computed, bytes of memory at the most."""

    seconds: dict[str, float] = field(default_factory=dict)
    computed: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)

    def best(self, what: str, seconds: float, computed: float = 0.0) -> None:
        """Take what is better."""
        self.seconds[what] = min(seconds, self.seconds.get(what, seconds))
        self.computed[what] = min(computed, self.computed.get(what, computed))


@contextmanager
def embedded() -> Iterator[Served]:
    """Start ours by its command."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "matrix", "registry"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        line = process.stdout.readline() if process.stdout else ""
        port = int(re.sub(r".*:", "", line.strip()))
        yield Served("127.0.0.1", port, process.pid, _first_answer("127.0.0.1", port, begin))
        process.terminate()


@contextmanager
def in_process() -> Iterator[Served]:
    """Start ours in this process, its modules being imported."""
    begin = time.perf_counter()
    with Registry() as registry:
        yield Served(registry.host, registry.port, 0, _first_answer(registry.host, registry.port, begin))


@contextmanager
def docker_registry() -> Iterator[Served]:
    """Start Debian's."""
    begin = time.perf_counter()
    with DockerRegistry() as registry:
        answer = _first_answer(registry.host, registry.port, begin)
        yield Served(registry.host, registry.port, registry.pid, answer)


def _first_answer(host: str, port: int, begin: float) -> float:
    connection = http.client.HTTPConnection(host, port)
    connection.request("GET", "/v2/")
    connection.getresponse().read()
    connection.close()
    return time.perf_counter() - begin


def call(
    connection: http.client.HTTPConnection, method: str, url: str, body: object = None, **headers: str
) -> http.client.HTTPResponse:
    """Send a request on the connection; the answer's status must be a good one."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, url, body=body, headers=named)  # type: ignore[arg-type]
    response = connection.getresponse()
    if method != "GET":
        response.read()
    if response.status >= http.client.BAD_REQUEST and method != "HEAD":
        message = f"{method} {url}: {response.status}"
        raise RuntimeError(message)
    return response


def push_small(connection: http.client.HTTPConnection) -> None:
    """Push 1,000 artifacts of one blob of 1 KiB each, as a client does: HEAD, POST, PUT, PUT of the manifest."""
    for number in range(SMALL):
        data = number.to_bytes(4, "big") * 256
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        call(connection, "HEAD", f"/v2/small/artifact/blobs/{digest}")
        _put_blob(connection, "small/artifact", digest, data, len(data))
        descriptor = {"mediaType": "application/octet-stream", "digest": digest, "size": len(data)}
        media_type = "application/vnd.oci.image.manifest.v1+json"
        manifest = {"schemaVersion": 2, "mediaType": media_type, "config": descriptor, "layers": [descriptor]}
        url = f"/v2/small/artifact/manifests/v{number}"
        call(connection, "PUT", url, json.dumps(manifest).encode(), Content_Type=media_type)


def _put_blob(connection: http.client.HTTPConnection, name: str, digest: str, data: object, size: int) -> None:
    location = call(connection, "POST", f"/v2/{name}/blobs/uploads/", Content_Length="0").headers["Location"]
    path = re.sub(r"^http://[^/]+", "", location)
    url = f"{path}{'&' if '?' in path else '?'}digest={digest}"
    call(connection, "PUT", url, data, Content_Length=str(size), Content_Type="application/octet-stream")


def large_blob(size: int) -> tuple[str, Callable[[], Iterator[bytes]]]:
    """Return the digest of ``size`` bytes, and what yields them."""
    pieces = [bytes([number]) * BLOCK for number in range(7)]
    blocks = [pieces[number % 7] for number in range(size // BLOCK)]
    seen = hashlib.sha256()
    for block in blocks:
        seen.update(block)
    return f"sha256:{seen.hexdigest()}", lambda: iter(blocks)


def pull(connection: http.client.HTTPConnection, digest: str) -> None:
    """Read a blob to its end."""
    response = call(connection, "GET", f"/v2/large/blobs/{digest}")
    while response.read(BLOCK):
        pass


def peak(pid: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else 0


def computed(pid: int) -> float:
    """Return the seconds that a process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(served: Served, figures: Figures, size: int) -> None:
    """Measure one running registry."""
    figures.best("start to first answer", served.started, computed(served.pid))
    connection = http.client.HTTPConnection(served.host, served.port)

    def timed(what: str, work: Callable[[], None]) -> None:
        begin, before = time.perf_counter(), computed(served.pid)
        work()
        figures.best(what, time.perf_counter() - begin, computed(served.pid) - before)

    timed(f"{SMALL} small pushes", lambda: push_small(connection))
    digest, blocks = large_blob(size)
    timed(f"push of {size >> 20} MiB", lambda: _put_blob(connection, "large", digest, blocks(), size))
    timed(f"pull of {size >> 20} MiB", lambda: pull(connection, digest))
    connection.close()
    figures.memory["peak"] = max(peak(served.pid), figures.memory.get("peak", 0))


def table(ours: Figures, theirs: Figures, inside: Figures) -> Iterator[str]:
    """Yield lines to look at."""
    yield f"{'':34} {'embedded':>12} {'docker-registry':>16} {'ratio':>8}"
    for title, mine, others in (("", ours.seconds, theirs.seconds), ("computed: ", ours.computed, theirs.computed)):
        for what, seconds in mine.items():
            other = others[what]
            ratio = f"{seconds / other:8.2f}" if other else ""
            yield f"{title + what:34} {seconds * 1000:9.0f} ms {other * 1000:13.0f} ms {ratio}"
    yield f"{'the same, in a process':34} {inside.seconds['start to first answer'] * 1000:9.0f} ms"
    yield f"{'most memory':34} {ours.memory['peak'] >> 20:8} MiB {theirs.memory['peak'] >> 20:12} MiB"


def main() -> int:
    """Measure both in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=256, help="size of the large blob in MiB")
    options = parser.parse_args()
    ours, theirs, inside = Figures(), Figures(), Figures()
    for _ in range(options.rounds):
        with embedded() as served:
            measure(served, ours, options.large * BLOCK)
        with docker_registry() as served:
            measure(served, theirs, options.large * BLOCK)
        with in_process() as served:
            inside.best("start to first answer", served.started)
    sys.stdout.write("\n".join(table(ours, theirs, inside)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

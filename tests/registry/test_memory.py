"""Memory does not grow with a blob's size."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix.registry import Registry

from .client import Client, with_digest

BLOCK = bytes(1 << 20)
BLOCKS = 128


def peak(pid: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.fixture
def served() -> Iterator[tuple[Client, int]]:
    """Start a registry in a process of its own."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of another process's memory is known on Linux only")
    command = [sys.executable, "-m", "matrix", "registry"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = Registry()
        address.port = int(process.stdout.readline().rpartition(":")[2])
        with Client(address) as client:
            yield client, process.pid
        process.terminate()


def test_a_large_blob_is_not_held_in_memory(served: tuple[Client, int]) -> None:
    """128 MiB go in by a PUT, a PATCH and a POST, and out again, in a few MiB."""
    client, pid = served
    client.push_blob("a", BLOCK)
    digest = "sha256:254bcc3fc4f27172636df4bf32de9f107f620d559b20d760197e452b97453917"  # of 128 MiB of noughts
    before = peak(pid)
    url = client.start("a").removeprefix(client.base)
    requests = [
        ("PUT", with_digest(url, digest)),
        ("PATCH", client.start("a").removeprefix(client.base)),
        ("POST", f"/v2/a/blobs/uploads/?digest={digest}"),
    ]
    for method, target in requests:
        headers = {"Content-Length": str(BLOCKS * len(BLOCK))}
        client.connection.request(method, target, (BLOCK for _ in range(BLOCKS)), headers)
        response = client.connection.getresponse()
        response.read()
        assert response.status in {201, 202}
    client.connection.request("GET", f"/v2/a/blobs/{digest}")
    response = client.connection.getresponse()
    received = 0
    while block := response.read(1 << 20):
        received += len(block)
    assert received == BLOCKS * len(BLOCK)
    assert peak(pid) - before < 16 << 20

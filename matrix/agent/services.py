"""The services around the program, asked over a socket of the process that runs them."""

from __future__ import annotations

import json
import os
import struct
from typing import Any, Dict, List, Optional

Json = Any


COUNTS = ".changes"  # ends the name of the file, beside the socket, that holds how often each service changed
COUNT = struct.Struct("=Q")


class Counts:
    """How often the state of each service changed, as the process that runs them notes it."""

    def __init__(self, address: str) -> None:
        """Open the file beside the socket at ``address``."""
        self.file = os.open(address + COUNTS, os.O_RDONLY)
        self.number = os.fstat(self.file).st_size // COUNT.size

    def of(self, index: int) -> Optional[bytes]:
        """Return the count of a service, by its place among their names; None where it does not say."""
        found = os.pread(self.file, COUNT.size, COUNT.size * index)
        return found if any(found) else None


class Services:
    """The services around the program, asked over a socket of the process that runs them."""

    def __init__(self, address: str) -> None:
        """Connect when first needed; without an address there are none."""
        self.address: str = address
        self.file: Any = None
        self.pid = 0
        self.generations: Dict[str, int] = {}
        self.counted: List[Optional[bytes]] = []
        if address:
            self.counts = Counts(address)
            self.changed()

    def ask(self, request: Dict[str, Json]) -> Json:
        """Send a request and return the answer."""
        import socket

        if self.file is None or self.pid != os.getpid():
            self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.connection.connect(self.address)
            self.file, self.pid = self.connection.makefile("rwb"), os.getpid()
        self.file.write(json.dumps(request).encode("ascii") + b"\n")
        self.file.flush()
        return json.loads(self.file.readline())

    def changed(self) -> List[str]:
        """Return the names of the services whose state changed since this was last asked."""
        if not self.address:
            return []
        counted = [self.counts.of(index) for index in range(self.counts.number)]
        if None not in counted and counted == self.counted:
            return []
        self.counted = counted
        new = self.ask({"do": "generations"})
        changed = sorted(name for name in new if new[name] != self.generations.get(name))
        self.generations = new
        return changed

    def snapshot(self, name: str) -> Json:
        """Return a service's state."""
        return self.ask({"do": "snapshot", "name": name})

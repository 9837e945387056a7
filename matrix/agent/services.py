"""The services around the program, asked over a socket of the process that runs them."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional

Json = Any
COUNTS = ".changes"  # ends the name of the file, beside the socket, that holds how often each service changed
COUNT = 8  # bytes


class Counts:
    """How often the state of each service changed, as the process that runs them notes it."""

    def __init__(self, address: str) -> None:
        """Open the file beside the socket at ``address``."""
        self.file = os.open(address + COUNTS, os.O_RDONLY)
        self.number = os.fstat(self.file).st_size // COUNT

    def of(self, index: int) -> Optional[bytes]:
        """Return the count of a service, by its place among their names; None where it does not say."""
        found = os.pread(self.file, COUNT, COUNT * index)
        return found if any(found) else None


class Line:
    """The line to the process that runs the services."""

    def __init__(self, address: str) -> None:
        """Connect to the socket at ``address`` when first needed, and again in each fork."""
        self.address = address
        self.file: Any = None
        self.pid = 0

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


class Services:
    """The services around the program that is recorded."""

    def __init__(self, address: str) -> None:
        """Without an address there are none."""
        self.line = Line(address)
        self.generations: Dict[str, int] = {}
        self.counted: List[Optional[bytes]] = []
        if address:
            self.counts = Counts(address)
            self.changed()

    def changed(self) -> List[str]:
        """Return the names of the services whose state changed since this was last asked."""
        if not self.line.address:
            return []
        counted = [self.counts.of(index) for index in range(self.counts.number)]
        if None not in counted and counted == self.counted:
            return []
        self.counted = counted
        new = self.line.ask({"do": "generations"})
        changed = sorted(name for name in new if new[name] != self.generations.get(name))
        self.generations = new
        return changed

    def snapshot(self, name: str) -> Json:
        """Return a service's state."""
        return self.line.ask({"do": "snapshot", "name": name})

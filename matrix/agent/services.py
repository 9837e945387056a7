"""The services around the program, asked over a socket of the process that runs them."""

from __future__ import annotations

import json
import os
from typing import Dict, List

from .values import Json


class Services:
    """The services around the program, asked over a socket of the process that runs them."""

    def __init__(self, address: str) -> None:
        """Connect when first needed; without an address there are none."""
        self.address, self.file = address, None
        self.generations: Dict[str, int] = {}
        if address:
            self.changed()

    def ask(self, request: Dict[str, Json]) -> Json:
        """Send a request and return the answer."""
        import socket

        if self.file is None or self.pid != os.getpid():
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.connect(self.address)
            self.file, self.pid = connection.makefile("rwb"), os.getpid()  # type: ignore[assignment]
        self.file.write(json.dumps(request).encode("ascii") + b"\n")  # type: ignore[attr-defined]
        self.file.flush()  # type: ignore[attr-defined]
        return json.loads(self.file.readline())  # type: ignore[attr-defined]

    def changed(self) -> List[str]:
        """Return the names of the services whose state changed since this was last asked."""
        if not self.address:
            return []
        new = self.ask({"do": "generations"})
        changed = sorted(name for name in new if new[name] != self.generations.get(name))
        self.generations = new
        return changed

    def snapshot(self, name: str) -> Json:
        """Return a service's state."""
        return self.ask({"do": "snapshot", "name": name})

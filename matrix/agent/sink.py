"""The events of a program, written out as they come: a JSON line each."""

from __future__ import annotations

import json
import os
from typing import List

from .values import Json


class Sink(List[Json]):
    """The events of the program itself, written out as they come."""

    def __init__(self, path: str) -> None:
        """Append to the file at ``path``, a JSON line an event."""
        super().__init__()
        self.path, self.handle, self.pid = path, -1, 0
        self.head: List[Json] = []  # what the file of a fork begins with

    def fork(self, at: int, test: str) -> None:
        """Go on in a file of its own, once there is an event: numbers to ``at`` are those of the process before."""
        if self.pid:
            self.head = [{"fork": self.pid, "at": at}]
        self.head = [*self.head[:1], *([{"e": "test", "id": test}] if test else [])]
        self.pid = 0

    def append(self, event: Json) -> None:
        """Write one event; a killed program loses none that was written."""
        if self.pid != os.getpid():  # a fork writes a file of its own
            self.pid = os.getpid()
            self.handle = os.open("%s.%d" % (self.path, self.pid), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            head, self.head = self.head, []
            for line in head:
                self.append(line)
        # Not sorted: the order of a mapping's keys is part of the value.
        data = json.dumps(event, separators=(",", ":")).encode("ascii") + b"\n"
        while data:
            data = data[os.write(self.handle, data) :]

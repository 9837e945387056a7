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

    def append(self, event: Json) -> None:
        """Write one event; a killed program loses none that was written."""
        if self.pid != os.getpid():  # a fork writes a file of its own
            self.pid = os.getpid()
            self.handle = os.open("%s.%d" % (self.path, self.pid), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # Not sorted: the order of a mapping's keys is part of the value.
        data = json.dumps(event, separators=(",", ":")).encode("ascii") + b"\n"
        while data:
            data = data[os.write(self.handle, data) :]

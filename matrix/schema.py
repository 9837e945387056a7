"""Checks each line of a trace before anything uses it."""

import base64
import binascii
import hashlib
import re
from typing import Any

DIGEST = re.compile(r"[0-9a-f]{64}")


class Checker:
    """Checks lines in order: definitions before their use, each id once."""

    def __init__(self) -> None:
        """Begin with nothing defined."""
        self.content = b""

    def check(self, line: dict[str, Any]) -> str:
        """Return what is wrong with a line, or ""."""
        if line.get("def") == "blob":
            return self.check_blob(line)
        if "def" not in line and "e" not in line:
            return "neither a definition nor an event"
        return ""

    def check_blob(self, line: dict[str, Any]) -> str:
        """Check a stored content against its digest."""
        try:
            self.content = base64.b64decode(line["data"], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            return "a blob without data in base64"
        if not isinstance(line.get("id"), str) or hashlib.sha256(self.content).hexdigest() != line["id"]:
            return "a blob whose content is not that of its digest"
        return ""

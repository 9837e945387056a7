"""Makes the lines of small traces for tests, and files of them."""

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matrix.schema import Checker

Json = Any
Line = dict[str, Any]
HEADER: Line = {
    "trace": 1,
    "subject": "pkg",
    "release": "1.2",
    "python": "3.11.7",
    "profile": "default",
    "command": ["pytest", "tests"],
    "modules": ["pkg"],
    "suite": "pkg/tests",
    "tool": "0.1.0",
}
END: Line = {"e": "end", "counts": {"pkg.f": [2, 1]}, "tests": {"tests/test_a.py::test_a": "passed"}}


def call(number: int = 1, *arguments: Json, result: Json = None, **changes: Json) -> Line:
    """Return a call of ``pkg.f`` with positional arguments."""
    made: Line = {
        "e": "call",
        "tier": "boundary",
        "function": "pkg.f",
        "module": "pkg",
        "qualname": "f",
        "kind": "function",
        "access": {"path": "pkg:f"},
        "args": [{"name": f"p{index}", "form": "positional", "value": value} for index, value in enumerate(arguments)],
        "usage": "checked",
        "id": number,
        "outcome": {"return": result},
    }
    made.update(changes)
    return made


def blob(data: bytes) -> Line:
    """Return the definition of a content."""
    return {"def": "blob", "id": sha256(data), "data": base64.b64encode(data).decode()}


def sha256(data: bytes) -> str:
    """Return a digest."""
    return hashlib.sha256(data).hexdigest()


def stub(number: int = 1, **changes: Json) -> Line:
    """Return the definition of a function ``f(a, b=…)`` of the caller's."""
    made: Line = {
        "def": "stub",
        "id": number,
        "name": "f",
        "kind": "function",
        "names": ["a", "b"],
        "posonly": 0,
        "positional": 2,
        "kwonly": 0,
        "varargs": False,
        "varkw": False,
        "constant": False,
    }
    return {**made, **changes}


def check(tree: Json, *calls: int) -> Line:
    """Return a check."""
    return {"e": "check", "calls": list(calls), "tree": tree}


def begins(name: str = "tests/test_a.py::test_a") -> Line:
    """Return the beginning of a test."""
    return {"e": "test", "id": name}


def problem(*lines: Line) -> str:
    """Return what is wrong with the first line that is, as ``number: reason``, or ""; header and end are added."""
    checker = Checker()
    for line in [HEADER, *lines, END]:
        found = checker.check(json.loads(json.dumps(line)))
        if found:
            return f"{checker.at}: {found}"
    return ""


def pack(path: Path, lines: Sequence[Line]) -> Path:
    """Write lines as they are, without a check."""
    path.write_bytes(gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines)))
    return path

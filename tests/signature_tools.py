"""Fixture packages as releases: read in memory, or served as wheels and sdists by an index on loopback."""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from indexes import File as Distribution

from matrix.releases import Release, ReleaseFile
from matrix.signatures.archives import File
from matrix.signatures.callables import Signature, signature_of
from matrix.signatures.lookup import Namespace
from matrix.signatures.model import ReleaseSource
from matrix.signatures.modules import Found, Unknown
from matrix.signatures.reading import read_source
from matrix.trace import write_trace

FIXTURES = Path(__file__).with_name("fixtures") / "signatures"

# Prints what `inspect` says of names: [[name, kind, has a default] ...]; nothing where it cannot tell (exceptions that
# leave their making to a builtin).
ASK = """
import importlib, inspect, json, sys
said = {}
for path in json.load(sys.stdin):
    module, _, names = path.partition(":")
    found = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    try:
        parameters = inspect.signature(found).parameters.values()
    except ValueError:
        continue
    said[path] = [[p.name, p.kind.description, p.default is not p.empty] for p in parameters]
print(json.dumps(said))
"""


def write_calls(path: Path, subject: str, calls: Iterable[Mapping[str, Any]]) -> None:
    """Write a trace of one test that makes these calls."""
    header = {"subject": subject, "release": "1.0", "python": "3.11.7", "profile": "default", "command": ["pytest"]}
    test = {"e": "test", "id": "test_it.py::test_required"}
    end = {"e": "end", "counts": {}, "tests": {test["id"]: "passed"}}
    write_trace(path, {**header, "modules": [subject], "suite": "", "tool": "0"}, [test, *map(dict, calls), end])


def files_of(topic: str, version: str) -> dict[str, str]:
    """Return the sources of a fixture package's release by path."""
    root = FIXTURES / topic / version
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*.py"))}


def release_of(files: Mapping[str, str], version: str = "1.0", requires: tuple[str, ...] = ()) -> ReleaseSource:
    """Read sources as one release."""
    modules = {}
    for path, text in files.items():
        parts = Path(path).with_suffix("").parts
        package = parts[-1] == "__init__"
        source = read_source(File(path, ".".join(parts[:-1] if package else parts), package, text.encode()))
        modules[source.module] = source
    return ReleaseSource(version, f"subject-{version}.whl", "0" * 64, modules, requires)


def names_of(topic: str, version: str = "1.0") -> Namespace:
    """Read a fixture package's release."""
    return Namespace(release_of(files_of(topic, version), version))


def names_in(text: str, **modules: str) -> Namespace:
    """Read a module ``subject``, and others that lie beside it."""
    files = {"subject.py": text, **{f"{name}.py": source for name, source in modules.items()}}
    return Namespace(release_of(files))


def signature(names: Namespace, path: str) -> str:
    """Return the parameters of what a path leads to, or what else came of it."""
    answer = names.resolve(path)
    if not isinstance(answer, Found):
        return f"{type(answer).__name__}: {getattr(answer, 'path', getattr(answer, 'reason', ''))}"
    found = signature_of(names, answer, on_class=True)
    return f"unknown: {found.reason}" if isinstance(found, Unknown) else str(found)


def inspected(folder: Path, paths: Iterable[str]) -> dict[str, list[list[Any]]]:
    """Return what ``inspect.signature`` says of the paths, asked in a process that imports them."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{ASK}"
    command = [sys.executable, "-I", "-c", code]
    ran = subprocess.run(command, input=json.dumps(list(paths)), capture_output=True, text=True, check=True)
    said: dict[str, list[list[Any]]] = json.loads(ran.stdout)
    return said


def read_parameters(names: Namespace, path: str) -> list[list[Any]] | str:
    """Return the parameters of what a path leads to in the form of `inspected`, or what else came of it."""
    answer = names.resolve(path)
    found = signature_of(names, answer, on_class=True) if isinstance(answer, Found) else answer
    if not isinstance(found, Signature):
        return str(found)
    return [[one.name, one.kind, one.default is not None] for one in found.parameters]


def source_distribution(name: str, version: str, files: Mapping[str, str | bytes]) -> Distribution:
    """Make an sdist that holds just these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return Distribution(name, version, f"{name}-{version}.tar.gz", gzip.compress(packed.getvalue(), mtime=0))


def listed(base: str, *distributions: Distribution, sha256: str | None = None) -> list[Release]:
    """Return the distributions as releases, each with one file at the index ``base``."""
    releases = []
    for one in distributions:
        url = f"{base}/files/{one.filename}"
        digest = sha256 or hashlib.sha256(one.data).hexdigest()
        file = ReleaseFile(one.filename, url, digest, len(one.data), one.kind, one.uploaded)
        releases.append(Release.of(one.version, [file], yanked=False, requires_python=None))
    return releases

"""Measure the database of signatures: how long it takes to build, and how often it agrees with the interpreter.

python benchmarks/signatures.py [--list traces/oras.releases.json] [--environments .nox]

Building is timed with all files in the cache, against the budgets (56 releases on 2 cores: 15 s, again 1 s). With
--environments, each release's environment there is asked what `inspect.signature` says of every function that the
database has of that release; agreement must be at least 99.5 %.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from matrix.releases import read_releases
from matrix.signatures import build, model, store
from matrix.signatures.callables import Signature, signature_of
from matrix.signatures.lookup import Namespace
from matrix.signatures.model import ReleaseSource
from matrix.signatures.modules import Found

COLD, AGAIN, AGREEMENT = 15.0, 1.0, 0.995
# Asks an environment's own interpreter. A function is looked at as it lies in its class: what a descriptor of the
# release's own gives (oras' decorators give a `functools.partial`) has lost the signature that it wraps.
ASK = """
import importlib, inspect, json, sys
said = {}
for path in json.load(sys.stdin):
    module, _, names = path.partition(":")
    try:
        found = importlib.import_module(module)
        for name in names.split("."):
            static = inspect.getattr_static(found, name)
            found = getattr(found, name)
        raw = found if isinstance(static, (classmethod, staticmethod)) else static
        parameters = inspect.signature(raw).parameters.values()
    except Exception as error:
        said[path] = type(error).__name__
    else:
        said[path] = [[p.name, p.kind.description, p.default is not p.empty] for p in parameters]
print(json.dumps(said))
"""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds on the clock, and of all processors together: on a busy machine only the second one says much."""

    clock: float
    processors: float

    def __str__(self) -> str:
        """Return both."""
        return f"{self.clock:.2f} s ({self.processors:.2f} s of processors)"


def main() -> int:
    """Measure, print, and return 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", type=Path, default=Path("traces/oras.releases.json"))
    parser.add_argument("--environments", type=Path, help="the folder that holds an environment a release")
    options = parser.parse_args()
    releases = read_releases(options.list).releases
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "signatures.sqlite")
        build.build(Path(folder, "fetched.sqlite"), releases)  # so that all files are in the cache
        cold, again = timed(database, options.list), timed(database, options.list)
        print(f"{len(releases)} releases, {database.stat().st_size / 2**20:.1f} MiB")
        print(f"cold build {cold}, budget {COLD} s; again {again}, budget {AGAIN} s")
        fine = cold.clock < COLD and again.clock < AGAIN
        if options.environments:
            with store.open_store(database) as connection:
                fine &= agree(store.load_releases(connection), options.environments)
    return 0 if fine else 1


def timed(database: Path, listed: Path) -> Timing:
    """Run the command and return what it took, its start included."""
    command = [sys.executable, "-m", "matrix", "signatures", "--list", str(listed), "--database", str(database)]
    began = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 # ourselves
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Timing(time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def agree(releases: dict[str, ReleaseSource], folder: Path) -> bool:
    """Compare with every environment that is there, list what differs by kind, and tell whether it is little enough."""
    same, asked = 0, 0
    kinds: Counter[str] = Counter()
    for version, python in environments(folder, releases):
        names = Namespace(releases[version])
        for path, told in ask(python, functions(releases[version])).items():
            if isinstance(told, str):
                kinds[f"cannot be asked: {told}"] += 1
                continue
            read = parameters(names, path)
            asked, same = asked + 1, same + (read == told)
            kinds["differs" if isinstance(read, list) else f"unknown: {read}"] += read != told
    share = same / asked if asked else 0.0
    print(f"{same} of {asked} signatures agree ({100 * share:.2f} %, at least {100 * AGREEMENT} %)")
    for kind, number in kinds.most_common():
        if number:
            print(f"  {number} {kind}")
    return share >= AGREEMENT


def environments(folder: Path, releases: dict[str, ReleaseSource]) -> Iterator[tuple[str, Path]]:
    """Yield the Python of each release's environment: in a folder that ends in the version."""
    found = {path.parent.parent.name: path for path in sorted(folder.glob("*/bin/python"))}
    for version in releases:
        pattern = re.compile(rf"(?:.*[^0-9])?{re.escape(version)}|.*-{re.escape(version.replace('.', '-'))}")
        matching = [path for name, path in found.items() if pattern.fullmatch(name)]
        if matching:
            yield version, matching[0]


def functions(release: ReleaseSource) -> list[str]:
    """Return the paths of functions, methods and classes, tests left out."""
    kinds = {model.FUNCTION, model.LAMBDA, model.CLASS}
    return [
        f"{module}:{one.qualname}"
        for module, source in release.modules.items()
        for one in source.definitions
        if one.kind in kinds
        and "<" not in one.qualname
        and one.access != "property"
        and "tests" not in module.split(".")
    ]


def ask(python: Path, paths: list[str]) -> dict[str, object]:
    """Return what an environment's interpreter says of the paths."""
    ran = subprocess.run(  # noqa: S603 # the environment that was asked for
        [python, "-I", "-c", ASK], input=json.dumps(sorted(set(paths))), capture_output=True, text=True, check=True
    )
    said: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return said


def parameters(names: Namespace, path: str) -> list[list[object]] | str:
    """Return what the database says, in the same form, or why it says nothing."""
    answer = names.resolve(path)
    found = signature_of(names, answer, on_class=True) if isinstance(answer, Found) else answer
    if not isinstance(found, Signature):
        return str(found)
    return [[one.name, one.kind, one.default is not None] for one in found.parameters]


if __name__ == "__main__":
    sys.exit(main())

"""Measure the map's sessions in ratios, in a copy of this work tree.

python benchmarks/sessions.py [--keep]

* all: `nox -s matrix` without any environment, beside the same sessions that only install and import what the trace
  imports, wheels cached and the engine there for both; at most 2, aim 1.6.
* unchanged: a second `nox -s matrix` beside `nox -l`; at most 2.
* release: one release again, its environment being there: at most 1.0 s, aim 0.5.

Wall time is shown, and processor time with it: on a machine that does other things as well the latter is what counts.
"""

import argparse
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROUNDS = 5
FLOOR = """
import json
import nox
nox.options.default_venv_backend = "uv"
nox.options.parallel = {jobs}
@nox.session(python="{python}", allow_parallel=True)
@nox.parametrize("oras", {versions})
def release(session, oras):
    session.install(f"oras=={{oras}}", "--exclude-newer", "{as_of}T00:00:00Z")
    session.run("python", "-c", {code!r})
"""
IMPORT = """
import importlib
for module in {modules}:
    try:
        importlib.import_module(module)
    except ImportError:
        pass
"""


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds on the clock and of the processors, with all children."""

    wall: float
    processor: float

    def __str__(self) -> str:
        """Show both."""
        return f"{self.wall:.2f} s ({self.processor:.2f} s of processor)"


def measure(folder: Path, *arguments: str) -> Time:
    """Run nox to its end, which must be a good one."""
    before, began = _used(), time.perf_counter()
    command = [sys.executable, "-m", "nox", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 # ours
    if done.returncode:
        sys.exit(f"nox {' '.join(arguments)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return Time(time.perf_counter() - began, _used() - before)


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def best(times: Sequence[Time]) -> Time:
    """Return the best of several, each figure by itself."""
    return Time(min(one.wall for one in times), min(one.processor for one in times))


def floor_noxfile(folder: Path) -> str:
    """Return a noxfile whose sessions only install a release and import what the trace imports."""
    listed = json.loads((folder / "traces" / "oras.releases.json").read_bytes())
    modules = set()
    for trace in folder.glob("traces/oras-*.trace.jsonl.gz"):
        with gzip.open(trace) as lines:
            events = [json.loads(line) for line in lines if b'"import"' in line]
        modules |= {event["module"] for event in events if event.get("e") == "import"}
    own = sorted(module for module in modules if module.split(".")[0] == "oras")
    return FLOOR.format(
        jobs=(os.cpu_count() or 1) + 1,
        python="3.11",
        versions=[release["version"] for release in listed["releases"]],
        as_of=listed["as_of"],
        code=IMPORT.format(modules=own),
    )


def copy(folder: Path) -> Path:
    """Copy the work tree without what was made in it."""
    ignored = shutil.ignore_patterns(".git", ".nox", ".venv", ".*_cache", "__pycache__")
    return Path(shutil.copytree(ROOT, folder / "tree", ignore=ignored))


def show(name: str, ours: Time, other: Time, limit: float) -> bool:
    """Print a ratio and say whether it is within its limit."""
    ratio = ours.processor / other.processor
    print(f"{name}: {ours} beside {other}: {ours.wall / other.wall:.2f} x, {ratio:.2f} x of processor (limit {limit})")
    return ratio <= limit


def main() -> int:
    """Measure everything; return 1 where a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="work there, and leave it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="caliper-bench-") as scratch:
        folder = (options.keep or Path(scratch)).absolute()
        tree, floor = copy(folder), folder / "floor"
        floor.mkdir()
        (floor / "noxfile.py").write_text(floor_noxfile(tree), encoding="utf-8")
        measure(tree, "-s", "engine")
        measure(floor)  # wheels are cached afterwards
        shutil.rmtree(floor / ".nox")
        fine = show("all", measure(tree, "-s", "matrix"), measure(floor), 2.0)
        again = best([measure(tree, "-s", "matrix") for _ in range(ROUNDS)])
        fine &= show("unchanged", again, best([measure(tree, "-l") for _ in range(ROUNDS)]), 2.0)
        one = best([measure(tree, "-s", "release(oras='0.2.43')") for _ in range(ROUNDS)])
        listing = best([measure(tree, "-l") for _ in range(ROUNDS)])
        print(f"release: {one} with nox, {one.wall - listing.wall:.2f} s without (limit 1.0)")
        return 0 if fine and one.wall - listing.wall <= 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())

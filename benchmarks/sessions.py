"""Measure the map's sessions in ratios, in copies of this work tree.

python benchmarks/sessions.py [--keep FOLDER]

* all: `nox -s matrix` without any environment, beside the same sessions that only install and import what the trace
  imports, wheels cached and the engine there for both; at most 4 with inner calls, aim 3; at most 2 with boundary calls
  alone, aim 1.6.
* release: one release again, its environment being there: at most 2.5 s with inner calls, 1.0 s without.
* unchanged: a second `nox -s matrix` beside `nox -l`; at most 2.

The traces of boundary calls alone are recorded here, from the subject's file with `inner = false`. Wall time counts;
processor time is shown with it, for machines that do other things as well.
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
LATEST = "0.2.43"
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
    return Path(shutil.copytree(ROOT, folder, ignore=ignored))


def show(name: str, ours: Time, other: Time, limit: float) -> bool:
    """Print a ratio and say whether it is within its limit."""
    ratio = ours.wall / other.wall
    print(f"{name}: {ours} beside {other}: {ratio:.2f} x, {ours.processor / other.processor:.2f} x of processor")
    print(f"  at most {limit} x: {'holds' if ratio <= limit else 'missed'}", flush=True)
    return ratio <= limit


def without_inner_calls(tree: Path) -> None:
    """Record the suite anew, boundary calls alone."""
    subject = tree / "matrix" / "subjects" / "oras.toml"
    subject.write_text(f"inner = false\n{subject.read_text(encoding='utf-8')}", encoding="utf-8")
    measure(tree, "-s", "record")


def measure_map(name: str, tree: Path, floor: Time, limits: tuple[float, float]) -> bool:
    """Measure the map of a tree that has its engine, and one release of it."""
    fine = show(f"all, {name}", measure(tree, "-s", "matrix"), floor, limits[0])
    one = best([measure(tree, "-s", f"release(oras='{LATEST}')") for _ in range(ROUNDS)])
    nothing = best([measure(tree, "-l") for _ in range(ROUNDS)])
    took = one.wall - nothing.wall
    print(f"release, {name}: {one} with nox, {took:.2f} s without")
    print(f"  at most {limits[1]} s: {'holds' if took <= limits[1] else 'missed'}", flush=True)
    return fine and took <= limits[1]


def main() -> int:
    """Measure everything; return 1 where a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="work there, and leave it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="caliper-bench-") as scratch:
        folder = (options.keep or Path(scratch)).absolute()
        trees = [copy(folder / name) for name in ("inner", "boundary")]
        floor = folder / "floor"
        floor.mkdir()
        (floor / "noxfile.py").write_text(floor_noxfile(trees[0]), encoding="utf-8")
        for tree in trees:
            measure(tree, "-s", "engine")
        without_inner_calls(trees[1])
        measure(floor)  # wheels are cached afterwards
        shutil.rmtree(floor / ".nox")
        least = measure(floor)
        fine = [
            measure_map("inner calls too", trees[0], least, (4.0, 2.5)),
            measure_map("boundary calls alone", trees[1], least, (2.0, 1.0)),
        ]
        again = best([measure(trees[0], "-s", "matrix") for _ in range(ROUNDS)])
        nothing = best([measure(trees[0], "-l") for _ in range(ROUNDS)])
        fine.append(show("unchanged", again, nothing, 2.0))
        return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())

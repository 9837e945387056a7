"""Measure the container image: its size by layer, and a hardened run of it against the same run outside, in turns.

python benchmarks/container.py [--image NAME] [--releases 4] [--rounds 3]

Environments are there on both sides, runs and results are not; both judge the same releases by the same code, which is
that of this work tree. A ratio is one of medians. Wall time is shown, and the processor time of the container's or
nox's processes with it: on a machine that does other things as well, and where a storage driver works in a process of
its own, they differ. The tables that both make must be equal, byte for byte.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LIMIT_RATIO, LIMIT_SIZE = 1.3, 450_000_000
USER = os.getuid() or 10001
HARDENED = ["--network=none", "--read-only", "--tmpfs=/tmp:exec", "--cap-drop=ALL", f"--user={USER}"]
HARDENED += ["--security-opt=no-new-privileges"]
# Runs the image's entry point, and tells what it and all that it waited for have computed.
TIMED = """
import resource, subprocess, sys
status = subprocess.call([sys.executable, "-I", "/opt/caliper/container/entrypoint.py"])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print("processor", used.ru_utime + used.ru_stime)
sys.exit(status)
"""

Times = tuple[float, float]  # wall, processor


def run(command: Sequence[str], folder: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end, which must be a good one."""
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)  # noqa: S603 # ours
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def asked(*arguments: str) -> Any:  # noqa: ANN401 # JSON is anything
    """Ask Docker."""
    return json.loads(run(["docker", *arguments, "--format", "{{json .}}"]))


def copy(folder: Path, releases: int) -> Path:
    """Copy what the map is made of, with the latest releases only; 0 for all."""
    ignored = shutil.ignore_patterns(".git", ".nox", ".venv", ".*_cache", "__pycache__", "results")
    tree = Path(shutil.copytree(ROOT, folder / "tree", ignore=ignored))
    listed = tree / "traces" / "oras.releases.json"
    content = json.loads(listed.read_bytes())
    listed.write_text(json.dumps(content | {"releases": content["releases"][-releases:]}), encoding="utf-8")
    return tree


def outside(tree: Path) -> Times:
    """Run the map in a copy of this work tree, where the environments are."""
    for path in [tree / "results", *tree.glob(".nox/.cache/caliper/*/runs")]:
        shutil.rmtree(path, ignore_errors=True)
    # Bytecode is in the image, so it has to be here.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run([sys.executable, "-m", "nox", "-s", "matrix"], tree, environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, used


def inside(image: str, tree: Path, results: Path) -> Times:
    """Run the map in a hardened container."""
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    if os.getuid() == 0:
        os.chown(results, USER, USER)
    mounted = ["-v", f"{tree / 'traces'}:/traces:ro", "-v", f"{results}:/results"]
    python = "/opt/caliper/.nox/engine/bin/python"
    command = ["docker", "run", "--rm", *HARDENED, *mounted, "--entrypoint", python, image, "-c", TIMED]
    began = time.perf_counter()
    told = run(command)
    return time.perf_counter() - began, float(told.rpartition("processor ")[2])


def tables(folder: Path) -> dict[str, bytes]:
    """Return the tables below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.csv*"))}


def show(times: Sequence[tuple[Times, Times]]) -> float:
    """Print both sides and their ratios; return that of wall time."""
    ratios = []
    for name, at in (("wall", 0), ("processor", 1)):
        mine, other = ([pair[side][at] for pair in times] for side in (0, 1))
        ratios.append(statistics.median(mine) / statistics.median(other))
        shown = ["/".join(f"{one:.1f}" for one in side) for side in (mine, other)]
        print(f"{name}: inside {shown[0]} s, outside {shown[1]} s: {ratios[-1]:.2f} x")
    return ratios[0]


def main() -> int:
    """Measure; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", default="caliper-matrix", help="(default: %(default)s)")
    parser.add_argument("--releases", type=int, default=4, help="the latest ones; 0 for all (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    options = parser.parse_args()
    look = ["docker", "image", "inspect", options.image]
    if shutil.which("docker") is None or subprocess.run(look, capture_output=True, check=False).returncode:  # noqa: S603
        print(f"not measured: there is no image {options.image}; `nox -s image` builds it")
        return 0
    size = asked("image", "inspect", options.image)["Size"]
    layers = run(["docker", "history", "--format", "{{.Size}}", options.image]).split()
    print(f"{options.image}: {size / 1e6:.0f} MB, layers of {', '.join(layer for layer in layers if layer != '0B')}")
    print(f"storage driver: {asked('info')['Driver']}; Python outside: {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory(prefix="caliper-bench-") as scratch:
        Path(scratch).chmod(0o755)
        tree, results = copy(Path(scratch), options.releases), Path(scratch, "results")
        outside(tree)  # makes the environments
        times = [(inside(options.image, tree, results), outside(tree)) for _ in range(options.rounds)]
        same = tables(results) == tables(tree / "results")
        print(f"tables: {'equal' if same else 'different'}, byte for byte")
        return 0 if show(times) <= LIMIT_RATIO and size < LIMIT_SIZE and same else 1


if __name__ == "__main__":
    sys.exit(main())

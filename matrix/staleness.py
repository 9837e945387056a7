"""What has to be judged again, told from files alone.

The noxfile asks this whenever it loads, so it is the standard library only and reads little: next to each run file lies
a stamp with the digests of everything that the run came from. A release is stale if one of them is another today.
"""

import hashlib
import json
import os
import re
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
AGENT = PACKAGE / "agent"
PRESENT = f"{sys.version_info.major}.{sys.version_info.minor}"
REGISTRY_VARIABLE = "CALIPER_REGISTRY"
BEGAN = time.time()


@dataclass(frozen=True, slots=True)
class Plan:
    """The files that a map is made of and goes to.

    ``python`` is the version that judges (``3.11``), ``registry`` the label of one that is not the embedded one.
    """

    name: str
    subject: Path
    releases: Path
    traces: tuple[Path, ...]
    cache: Path
    results: Path
    python: str
    services: Path | None = None
    registry: str = ""

    def run_file(self, version: str) -> Path:
        """Return where the outcomes of one release are kept."""
        return self.cache / "runs" / f"{version}.json"

    def stamp(self, version: str) -> Path:
        """Return where it is kept what these outcomes came from."""
        return self.cache / "runs" / f"{version}.stamp.json"


@dataclass(frozen=True, slots=True)
class Listed:
    """A release as the list has it: as much as is needed to tell whether it is to be judged again."""

    version: str
    judged: bool
    digest: str


def traces_of(name: str, folder: Path) -> tuple[Path, ...]:
    """Return the traces of a subject in a folder: ``NAME-VERSION-PROFILE.trace.jsonl.gz``."""
    pattern = re.compile(re.escape(name) + r"-\d[^-]*-[\w.-]+\.trace\.jsonl\.gz")
    return tuple(sorted(path for path in folder.glob("*.trace.jsonl.gz") if pattern.fullmatch(path.name)))


def registry_label(choice: str) -> str:
    """Return what tells traces and results on a registry apart, without its password: nothing for the embedded one.

    >>> registry_label("http://ada:secret@127.0.0.1:5000")
    '127.0.0.1-5000'
    """
    place = choice.rpartition("@")[2].rpartition("//")[2].rstrip("/")
    return "" if choice == "embedded" else re.sub(r"[^\w.-]+", "-", place)


def masks_of(trace: Path) -> Path:
    """Return the file beside a trace that says which fields are noise: needed to judge, not to replay."""
    return trace.with_name(trace.name.replace(".trace.jsonl.gz", ".masks.json"))


@dataclass(frozen=True, slots=True)
class SubjectFacts:
    """What the noxfile needs to know of a subject's file; the file is checked in earnest by `matrix.subject`."""

    name: str
    python: str
    services: Path | None
    profiles: tuple[str, ...] = ("default",)
    beside: tuple[str, ...] = ()  # what recording needs besides the release


def subject_facts(subject: Path) -> SubjectFacts:
    """Read the name of a subject, the Python that judges it (default: this one) and the file of its services.

    Raises:
        ValueError: the file is missing or has no name; one line.
    """
    try:
        table = tomllib.loads(subject.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{subject}: cannot be read as a subject: {error}"
        raise ValueError(message) from error
    if not table.get("name"):
        message = f"{subject}: the key 'name' is missing"
        raise ValueError(message)
    services = subject.with_name(str(table["services"])) if "services" in table else None
    return SubjectFacts(
        name=str(table["name"]),
        python=str(table.get("python") or PRESENT),
        services=services,
        profiles=tuple(table.get("profiles", {"default": {}})),
        beside=(*table.get("also", ()), *table.get("test-requires", ())),
    )


def listed_releases(releases: Path) -> tuple[str, tuple[Listed, ...]]:
    """Return ``as_of`` and the releases of a list; an empty one where the list is not there or broken.

    The list is checked in earnest, with a message, by the commands that use it.
    """
    try:
        document = json.loads(releases.read_bytes())
        entries = [
            Listed(
                version=entry["version"],
                judged=not (entry["yanked"] or entry["prerelease"]),
                digest=_digest([[file["filename"], file["sha256"]] for file in entry["files"]]),
            )
            for entry in document["releases"]
        ]
        return document["as_of"], tuple(entries)
    except (OSError, ValueError, KeyError, TypeError):
        return "", ()


def inputs(plan: Plan, version: str) -> dict[str, Any]:
    """Return digests of what the judging of one release comes from, our own code left out."""
    as_of, entries = listed_releases(plan.releases)
    release = next((entry.digest for entry in entries if entry.version == version), "")
    return {"release": release, **_shared_inputs(plan, as_of)}


def _shared_inputs(plan: Plan, as_of: str) -> dict[str, Any]:
    return {
        "as_of": as_of,
        "python": plan.python,
        "platform": sys.platform,
        "trace": {path.name: file_digest(path) for path in plan.traces},
        "subject": [file_digest(path) for path in (plan.subject, plan.services) if path],
        "registry": plan.registry,
    }


def code_used() -> dict[str, str]:
    """Return the digest of each file of ours that this process has loaded, of the agent and of the schema, by path.

    Asked at the end of a run: whatever had a part in it is there, and no list of files has to be kept by hand. A file
    that was written after this process began to load them gets a digest that no file has.
    """
    ours = f"{PACKAGE}{os.sep}"
    loaded = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    files = {Path(file) for file in loaded if file.startswith(ours) and file.endswith(".py")}
    files |= {*AGENT.rglob("*.py"), *PACKAGE.glob("schema*.py")}
    return {
        path.relative_to(PACKAGE).as_posix(): "changed" if path.stat().st_mtime > BEGAN else file_digest(path)
        for path in sorted(files)
    }


def write_stamp(path: Path, facts: Mapping[str, Any]) -> None:
    """Write what a result came from, after the result itself."""
    making = path.with_name(f".{path.name}.new")
    making.write_text(json.dumps(facts), encoding="utf-8")
    making.replace(path)


def stale_releases(plan: Plan) -> tuple[str, ...]:
    """Return the releases that have to be judged again, in the order of the list."""
    as_of, entries = listed_releases(plan.releases)
    shared = json.loads(json.dumps(_shared_inputs(plan, as_of)))
    return tuple(
        entry.version
        for entry in entries
        if entry.judged and not _fresh(plan, entry.version, {"release": entry.digest, **shared})
    )


def _fresh(plan: Plan, version: str, now: Mapping[str, Any]) -> bool:
    try:
        then = json.loads(plan.stamp(version).read_bytes())
        unchanged = then["inputs"] == now and plan.run_file(version).stat().st_size == then["size"]
        return unchanged and all(file_digest(PACKAGE / name) == digest for name, digest in then["code"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def results_inputs(plan: Plan) -> dict[str, Any]:
    """Return digests of what the results come from: the runs, the list, what is masked, and our own code."""
    stamps = [plan.stamp(entry.version) for entry in listed_releases(plan.releases)[1] if entry.judged]
    code = [
        path for path in sorted(PACKAGE.rglob("*")) if path.suffix in {".py", ".toml", ".j2", ".html", ".css", ".js"}
    ]
    return {
        "runs": _digest([file_digest(path) for path in stamps]),
        "masks": _digest([file_digest(masks_of(trace)) for trace in plan.traces]),
        "releases": file_digest(plan.releases),
        "code": _digest([[path.relative_to(PACKAGE).as_posix(), file_digest(path)] for path in code]),
    }


def results_written(plan: Plan) -> dict[str, list[int]]:
    """Return size and time of each file of the results: one that was changed or removed is written again."""
    files = (path for path in plan.results.rglob("*") if path.is_file())
    return {path.relative_to(plan.results).as_posix(): [path.stat().st_size, path.stat().st_mtime_ns] for path in files}


def results_stale(plan: Plan) -> bool:
    """Tell whether the results have to be written again."""
    try:
        then = json.loads((plan.cache / "results.stamp.json").read_bytes())
        return bool(then["inputs"] != results_inputs(plan) or then["written"] != results_written(plan))
    except (OSError, ValueError, KeyError, TypeError):
        return True


def stamp_results(plan: Plan, began: Mapping[str, Any]) -> None:
    """Note that the results are those of the inputs that they ``began`` with."""
    write_stamp(plan.cache / "results.stamp.json", {"inputs": began, "written": results_written(plan)})


@cache
def file_digest(path: Path) -> str:
    """Return the sha256 of a file, empty where there is none. Each file is read once in a process."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _digest(value: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps(list(value)).encode()).hexdigest()

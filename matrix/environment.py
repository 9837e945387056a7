"""What is installed in a virtual environment, and that it is what was asked for.

Everything is read from the files of the environment; no process is started to look.
"""

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from matrix.errors import CaliperError
from matrix.files import atomic_write
from matrix.installer import install, make_environment
from matrix.releases import Release

STAMP = "caliper.json"


class EnvironmentError(CaliperError):  # noqa: A001 # the built-in of this name is an old spelling of OSError
    """An environment is not one, or does not hold what it should."""

    def __init__(self, venv: Path, problem: str) -> None:
        """Keep the folder."""
        super().__init__(f"{venv}: {problem}; remove the folder and run it again")
        self.venv = venv


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment: its Python, and the versions of what is installed by normal name."""

    venv: Path
    python: Path
    python_version: str
    packages: Mapping[str, str]

    @property
    def minor(self) -> str:
        """The Python's version as far as packages depend on it: ``3.11``."""
        return ".".join(self.python_version.split(".")[:2])


def read_environment(venv: Path) -> Environment:
    """Look at an environment.

    Raises:
        EnvironmentError: the folder is not a virtual environment.
    """
    try:
        lines = (venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise EnvironmentError(venv, f"is not a virtual environment ({error.strerror})") from error
    facts = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    version = facts.get("version_info") or facts.get("version", "")
    packages = {_name(found): found.version for found in distributions(path=[str(site_packages(venv))])}
    return Environment(venv, venv.absolute() / "bin" / "python", version, dict(sorted(packages.items())))


def site_packages(venv: Path) -> Path:
    """Return the folder that an environment's packages lie in.

    Raises:
        EnvironmentError: there is none.
    """
    found = sorted((venv / "lib").glob("python*/site-packages"))
    if not found:
        raise EnvironmentError(venv, "has no site-packages")
    return found[0]


def prepare(venv: Path, subject: str, release: Release, as_of: str) -> Environment:
    """Have one release, and nothing that it does not bring itself, in an environment; nothing is done if it is there.

    An environment with anything else in it is emptied first: what was left there would be kept where it satisfies the
    release, and the result would depend on what happened before.

    Raises:
        InstallError: the release cannot be installed on this Python.
        InstallerError: it could not be found out.
        EnvironmentError: the folder is not an environment, or another version is in it afterwards.
    """
    inputs = _digest([subject, release.version, [file.sha256 for file in release.files], as_of])
    environment = read_environment(venv)
    if _stamped(venv) != inputs:
        if environment.packages or _stamped(venv):
            make_environment(venv, str(environment.python.resolve()))
        hashes = " ".join(f"--hash=sha256:{file.sha256}" for file in release.files)
        install([f"{subject}=={release.version} {hashes}"], python=environment.python, as_of=as_of, exempt=subject)
        environment = read_environment(venv)
    installed = environment.packages.get(canonicalize_name(subject))
    if installed != release.version:
        raise EnvironmentError(venv, f"holds {subject} {installed}, not {release.version}")
    if _stamped(venv) != inputs:  # an environment that is complete may lie on a disk that cannot be written
        atomic_write(venv / STAMP, json.dumps({"inputs": inputs}).encode())
    return environment


def _stamped(venv: Path) -> str | None:
    try:
        return str(json.loads((venv / STAMP).read_bytes())["inputs"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def shared_folder(also: Sequence[str], environment: Environment, as_of: str, cache: Path) -> Path | None:
    """Return the folder that holds what the tests need besides the release, filled once for all releases.

    Sessions that run at the same time wait for the first of them; a folder is there whole or not at all.

    Raises:
        CaliperError: it cannot be filled, which says nothing about any release.
    """
    if not also:
        return None
    folder = cache.absolute() / "also" / _digest([sorted(also), environment.minor, as_of])[:16]
    with _locked(folder.with_suffix(".lock")):
        if not folder.exists():
            making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".also-"))
            try:
                install(also, python=environment.python, as_of=as_of, target=making)
                making.rename(folder)
            finally:
                shutil.rmtree(making, ignore_errors=True)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def conflicts(also: Path, environment: Environment) -> list[str]:
    """Return what does not fit between a release's own packages and those in the shared folder, a line each.

    The folder is last on the path, so a package that both hold is the release's; the one in the folder that needs
    another version of it says so here.
    """
    beside = {_name(found): found for found in distributions(path=[str(also)])}
    versions = {name: found.version for name, found in beside.items()} | dict(environment.packages)
    markers = {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": environment.minor,
        "python_full_version": environment.python_version,
        "extra": "",
    }
    found = []
    for name, distribution in sorted(beside.items()):
        if name in environment.packages:
            continue
        for requirement in _requirements(distribution, markers):
            needed = canonicalize_name(requirement.name)
            version = versions.get(needed)
            if needed in environment.packages and not requirement.specifier.contains(version or "", prereleases=True):
                found.append(f"{name} {versions[name]} needs {requirement}, the release brings {version}")
    return found


def _requirements(distribution: Distribution, markers: dict[str, str]) -> Iterator[Requirement]:
    for line in distribution.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(markers):
            yield requirement


def _name(distribution: Distribution) -> str:
    return canonicalize_name(distribution.metadata["Name"])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()

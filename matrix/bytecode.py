"""Bytecode that environments share: what Python compiled in one of them is there in the next, and not compiled again.

Files are linked, not copied. Whether bytecode belongs to its source is what Python itself checks, by time and size.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from matrix.environment import Environment, site_packages

COMPILED = "__pycache__"


def lend(shelf: Path, environment: Environment) -> None:
    """Link what is on the shelf for the packages of an environment into it."""
    site = site_packages(environment.venv)
    for package, _ in _packages(site, environment):
        for folder in (shelf / package).rglob(COMPILED):
            for file in folder.iterdir():
                _link(file, site / file.relative_to(shelf / package))


def keep(shelf: Path, environment: Environment, subject: str) -> None:
    """Link what was compiled in an environment to the shelf; the subject is another one in each of them."""
    site = site_packages(environment.venv)
    for package, modules in _packages(site, environment):
        if canonicalize_name(package.split("-")[0]) == canonicalize_name(subject):
            continue
        for folder in {module.parent for module in modules}:
            if (site / folder / COMPILED).exists():
                for file in (site / folder / COMPILED).iterdir():
                    if folder / f"{file.name.split('.')[0]}.py" in modules:
                        _link(file, shelf / package / folder / COMPILED / file.name)


def _link(file: Path, other: Path) -> None:
    with contextlib.suppress(OSError):  # it is there, or lies on another disk
        other.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, other)


def _packages(site: Path, environment: Environment) -> Iterator[tuple[str, set[Path]]]:
    """Yield each package's place on the shelf, and its modules; scripts, which name the environment, left out."""
    for record in site.glob("*.dist-info/RECORD"):
        lines = [line for line in record.read_text(encoding="utf-8").splitlines() if not line.startswith("..")]
        digest = hashlib.sha256("\n".join([environment.python_version, *lines]).encode()).hexdigest()
        modules = {Path(name) for line in lines if (name := line.split(",")[0]).endswith(".py")}
        yield f"{record.parent.stem}-{digest[:16]}", modules

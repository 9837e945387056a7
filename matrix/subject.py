"""What is under test: the subject's file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matrix.errors import CaliperError

FOLDER = Path(__file__).with_name("subjects")
# Where the suite comes from: with the installed release, or with its source archive.
INSTALLED, SDIST = "installed", "sdist"


class SubjectError(CaliperError):
    """A subject's file that cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        """Say which file and why."""
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


@dataclass(frozen=True, slots=True)
class Preset:
    """A value that is set right after a module was imported, where the attribute is there."""

    after: str
    target: str
    value: Any


@dataclass(frozen=True, slots=True)
class Profile:
    """One way of running the subject's command."""

    name: str
    env: Mapping[str, str] = field(default_factory=dict)
    deselect: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """The package under test, how to exercise it, and what it needs.

    ``options`` are for its services: which registry, for one.
    """

    name: str
    modules: tuple[str, ...]
    command: tuple[str, ...]
    python: str = ""
    suite: str = ""
    suite_from: str = INSTALLED
    suite_files: tuple[str, ...] = ()
    inner: bool = True
    loops: int = 0
    also: tuple[str, ...] = ()
    test_requires: tuple[str, ...] = ()
    services: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    presets: tuple[Preset, ...] = ()
    profiles: Mapping[str, Profile] = field(default_factory=lambda: {"default": Profile("default")})


def load_subject(name: str | Path) -> Subject:
    """Return the subject of a name that ships with the package, or of a TOML file.

    Raises:
        SubjectError: no such file, no TOML, or a key that is missing, unknown or of the wrong type.
    """
    path = Path(name)
    if path.suffix != ".toml":
        path = FOLDER / f"{name}.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise SubjectError(path, f"no such subject file; name a .toml file or one of: {known}") from None
    except (OSError, ValueError) as error:
        raise SubjectError(path, f"cannot be read: {error}") from error
    return parse_subject(table, path)


KEYS = {
    "name", "modules", "python", "suite", "suite-from", "suite-files", "command", "inner", "loops", "also",
    "test-requires", "services", "presets", "profiles",
}  # fmt: skip


def parse_subject(table: dict[str, Any], path: Path) -> Subject:
    """Return the subject of a parsed file."""
    unknown = sorted(set(table) - KEYS)
    if unknown:
        raise SubjectError(path, f"unknown key {unknown[0]!r}; known are {', '.join(sorted(KEYS))}")
    missing = [key for key in ("name", "command") if not table.get(key)]
    if missing:
        raise SubjectError(path, f"the key {missing[0]!r} is missing")
    if table.get("suite-from", INSTALLED) not in (INSTALLED, SDIST):
        raise SubjectError(path, f"the suite comes from {INSTALLED!r} or {SDIST!r}, not {table['suite-from']!r}")
    try:
        return build_subject(table, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SubjectError(path, f"a value of the wrong form: {error}") from error


def build_subject(table: dict[str, Any], path: Path) -> Subject:
    """Return the subject of a checked table."""
    profiles = {
        name: Profile(name, texts(entry.get("env", {})), strings(entry.get("deselect", [])))
        for name, entry in table.get("profiles", {"default": {}}).items()
    }
    return Subject(
        name=str(table["name"]),
        modules=strings(table.get("modules", [table["name"].replace("-", "_")])),
        command=strings(table["command"]),
        python=str(table.get("python", "")),
        suite=str(table.get("suite", "")),
        suite_from=str(table.get("suite-from", INSTALLED)),
        suite_files=strings(table.get("suite-files", [])),
        inner=bool(table.get("inner", True)),
        loops=int(table.get("loops", 0)),
        also=strings(table.get("also", [])),
        test_requires=strings(table.get("test-requires", [])),
        services=path.with_name(table["services"]) if "services" in table else None,
        presets=tuple(Preset(entry["after"], entry["set"], entry["to"]) for entry in table.get("presets", [])),
        profiles=profiles,
    )


def strings(value: object) -> tuple[str, ...]:
    """Return a list of strings as a tuple, or raise TypeError."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        message = f"{value!r} is not a list of strings"
        raise TypeError(message)
    return tuple(value)


def texts(value: object) -> dict[str, str]:
    """Return a table of strings, or raise TypeError."""
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        message = f"{value!r} is not a table of strings"
        raise TypeError(message)
    return value

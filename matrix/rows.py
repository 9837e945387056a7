"""What judging gives: a row per call, test and release, and the verdicts they may hold. Imports nothing heavy."""

import re
from dataclasses import dataclass
from typing import ClassVar

from packaging.version import InvalidVersion, Version

YES, NO, UNKNOWN = "yes", "no", "unknown"

OK, DIFFERS, UNREPLAYABLE, INSTALL_ERROR = "ok", "differs", "unreplayable", "install-error"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict: whether the release works for the call (``yes``, ``no`` or ``unknown``), and what it means."""

    name: str
    works: str
    meaning: str


# Worst first: a cell shows the first of these that any of its judged calls has. The last two are no judgement.
VERDICTS: tuple[Verdict, ...] = (
    Verdict("crash", NO, "the call killed the process"),
    Verdict("import-error", NO, "the release or one of its modules does not import"),
    Verdict("missing", NO, "the module, class, function or attribute is not there"),
    Verdict("signature", NO, "the arguments do not bind to its parameters"),
    Verdict("shifted", NO, "a positional argument lands on another parameter"),
    Verdict("timeout", NO, "the call took too long"),
    Verdict("raised", NO, "it raises what the recording did not, or not what the recording did"),
    Verdict("changed", NO, "the outcome differs where the recorded code looked, or in effects"),
    Verdict("blocked", NO, "an earlier call failed that makes an argument or the object"),
    Verdict(DIFFERS, YES, "the outcome differs only where the recorded code never looked"),
    Verdict(OK, YES, "same outcome and effects"),
    Verdict(UNREPLAYABLE, UNKNOWN, "the trace cannot express the call"),
    Verdict(INSTALL_ERROR, UNKNOWN, "the release cannot be installed on this Python"),
)
MEANING = {verdict.name: verdict for verdict in VERDICTS}
RANK = {verdict.name: rank for rank, verdict in enumerate(VERDICTS)}


# The order of calls.csv.gz.
CALL_COLUMNS = ("release", "profile", "test", "call", "tier", "function", "verdict", "detail")


@dataclass(frozen=True, slots=True)
class CallRow:
    """What became of one recorded call on one release."""

    release: str
    profile: str
    test: str
    call: int
    tier: str
    function: str
    verdict: str
    detail: str


@dataclass(frozen=True, slots=True)
class TestRow:
    """Whether one recorded test works on one release: ``works``, ``fails`` or ``unknown``, in both gradings."""

    __test__: ClassVar[bool] = False  # not for pytest to collect

    test: str
    profile: str
    release: str
    gated: str
    ungated: str


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """How one release was installed and imported; ``status`` is ``replayed`` or ``install-error``."""

    release: str
    uploaded: str
    yanked: bool
    installed: str
    plain_import: str
    python: str
    status: str
    reason: str


def works(verdict: str) -> str:
    """Return ``yes``, ``no`` or ``unknown`` for the name of a verdict."""
    return MEANING[verdict].works


def version_key(release: str) -> tuple[int, Version | str]:
    """Return what sorts releases in version order; what is no PEP 440 version comes first."""
    try:
        return (1, Version(release))
    except InvalidVersion:
        return (0, release)


def module_of(function: str) -> str:
    """Return the module in a definition path, by the convention that classes, and no modules, begin with a capital."""
    path = function.partition(".<locals>")[0].split(".")[:-1]
    for index, name in enumerate(path):
        if re.match(r"_*[A-Z]", name):
            return ".".join(path[:index]) or function
    return ".".join(path) or function


def ranges(releases: tuple[str, ...], order: tuple[str, ...]) -> str:
    """Return releases in words, neighbours in ``order`` as a range: ``0.1.0, 0.2.1 to 0.2.25``."""
    places = {release: place for place, release in enumerate(order)}
    runs: list[list[str]] = []
    for release in sorted(releases, key=places.__getitem__):
        if runs and places[release] == places[runs[-1][-1]] + 1:
            runs[-1].append(release)
        else:
            runs.append([release])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)

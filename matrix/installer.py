"""Installing with uv, and what its refusals mean.

A refusal is a fact about a release only where the index answered: "no such version", "does not build", "conflicts",
"needs another Python". Everything else (an index that cannot be reached, a full disk, words that are not known here)
is an accident, which is raised and never stored as a result.
"""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from matrix.errors import CaliperError
from matrix.processes import run_tied

# uv reads its exclude-newer from these as well, and nox points UV_PYTHON at the session's environment.
_NOT_INHERITED = {"UV_EXCLUDE_NEWER", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
_REFUSALS = ("No solution found when resolving dependencies", "Failed to build ")
_ACCIDENTS = re.compile(
    r"Request failed after|error sending request|Failed to fetch|network (connectivity )?(was|is) disabled"
    r"|not found in the cache|missing an upload date|status code|HTTP status|tcp connect|dns error|operation timed out"
    r"|Connection (refused|reset)|Network is unreachable|[Nn]ame resolution|Name or service not known"
    r"|Max retries exceeded|No space left|Hash mismatch|Permission denied"
)
_PATH = re.compile(r"(?:(?<=[\s\"'`(=:])|^)(?:file://)?(?:~|/[\w.@+-]+)(?:/[\w.@+-]+)+/?")


class InstallError(CaliperError):
    """A release cannot be installed here, and the index answered: a result, to be recorded."""

    def __init__(self, what: str, reason: str) -> None:
        """Keep the reason: one line without paths and times, equal on every machine."""
        super().__init__(f"{what} cannot be installed: {reason}")
        self.reason = reason


class InstallerError(CaliperError):
    """It could not be found out whether something can be installed: no result, to be tried again."""

    def __init__(self, what: str, reason: str) -> None:
        """Keep what uv said in one line."""
        super().__init__(f"{what} was not installed, and nothing is recorded: {reason}; mend that and run it again")
        self.reason = reason


class NoUvError(InstallerError):
    """There is no uv."""

    def __init__(self) -> None:
        """Say where to get it."""
        super().__init__("the release", "there is no uv on the path (`pip install uv` brings it)")


def uv() -> str:
    """Return the uv program: the one that ``nox[uv]`` brings, else the one on the path.

    Raises:
        NoUvError: there is none.
    """
    try:
        from uv import find_uv_bin  # noqa: PLC0415 # part of nox[uv], which an installed engine has

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise NoUvError
    return found


def install(
    requirements: Iterable[str],
    *,
    python: Path,
    as_of: str,
    exempt: str | None = None,
    target: Path | None = None,
) -> None:
    """Install requirements beside ``python``, or into the folder ``target``, as of the first moment of a day (UTC).

    A requirement may carry ``--hash=sha256:…``, which is then checked. The distribution ``exempt`` may be younger: it
    is the release that was asked for by its version.

    Raises:
        InstallError: the index answers and the requirements cannot be installed on this Python.
        InstallerError: anything else went wrong.
    """
    wanted = list(requirements)
    options = ["--python", str(python.absolute()), "--exclude-newer", f"{as_of}T00:00:00Z", "--requirements", "-"]
    if exempt is not None:
        options += ["--exclude-newer-package", f"{exempt}=9999-01-01T00:00:00Z"]
    if target is not None:
        options += ["--target", str(target.absolute())]
    what = ", ".join(requirement.partition(" ")[0] for requirement in wanted)
    status, said = run_uv(["pip", "install", *options], "\n".join(wanted), what)
    if status:
        raise failure(what, said)


def make_environment(venv: Path, python: str) -> None:
    """Make an empty virtual environment, in place of what is there.

    Raises:
        InstallerError: there is no such Python, or the folder cannot be written.
    """
    status, said = run_uv(["venv", "--clear", "--python", python, str(venv.absolute())], "", str(venv))
    if status:
        what = f"an environment of Python {python}"
        raise InstallerError(what, one_line(said))


def run_uv(arguments: Sequence[str], given: str, what: str) -> tuple[int, str]:
    """Run uv and return its exit status and what it said on stderr, tied to this process.

    It runs in an empty folder: a ``uv.toml`` or ``pyproject.toml`` of the project around us must not change results.

    Raises:
        InstallerError: uv cannot be started.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    environment |= {"NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
    with tempfile.TemporaryDirectory(prefix="caliper-uv-") as empty:
        try:
            done = run_tied([uv(), *arguments], cwd=Path(empty), env=environment, given=given)
        except OSError as error:
            raise InstallerError(what, f"uv does not start ({error.strerror})") from error
    return done.returncode, done.stderr


def failure(what: str, said: str) -> InstallError | InstallerError:
    """Tell a refusal from an accident by what uv said."""
    refused = any(refusal in said for refusal in _REFUSALS)
    # An index that has never heard of a package that is listed is another index, or a portal that answers everything.
    unheard = f"Because {re.split('[=<>~! ;[]', what)[0]} was not found in the package registry" in said
    if refused and not unheard and not _ACCIDENTS.search(said):
        return InstallError(what, reason(said))
    if "missing an upload date" in said:
        return InstallerError(what, "the index tells no upload times, so nothing can be as of a day")
    return InstallerError(what, one_line(said))


def reason(said: str) -> str:
    """Return the reason of a refusal in one line that holds no paths, times or patch versions of Python."""
    body = _error_in(said)
    first, *rest = [line.strip() for line in body.splitlines() if line.strip()]
    causes = [line.removeprefix("cause: ") for line in rest if line.startswith("cause: ")]
    if first.startswith("Failed to build"):
        # The last line of a traceback or of a compiler is what the build failed with.
        told = rest[-1] if rest and not rest[-1].startswith("cause: ") else (causes or [""])[-1]
        return normal(f"{first}: {told}".rstrip(": "))
    return normal(causes[0] if causes else first)


def _error_in(said: str) -> str:
    """Return what uv calls an error, without the lines before it and its hints."""
    return re.sub(r"\A(?:.*\n)*?error: ", "", said).partition("\nhint:")[0] if "error: " in said else ""


def normal(text: str) -> str:
    """Return text that says the same on every machine: names of files for paths, 3.11 for 3.11.7, no addresses."""
    text = _PATH.sub(lambda match: Path(match[0]).name, text)
    text = re.sub(r"(Python version \(\d+\.\d+)[\w.+]*\)", r"\1)", text)
    text = re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", text)
    return " ".join(text.split())


def one_line(said: str) -> str:
    """Return the error and its causes as one line, for a person."""
    body = _error_in(said) or said
    parts = [line.strip().removeprefix("cause: ") for line in body.splitlines() if line.strip()]
    shown = [part for at, part in enumerate(parts) if at == 0 or part not in parts[at - 1]]
    return " ".join("; ".join(shown[:6]).split()) or f"uv ended without a word ({sys.platform})"

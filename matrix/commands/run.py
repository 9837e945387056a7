"""``caliper-matrix run``: the whole job on a package, from its own folder: record a command, judge every release."""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from matrix import cli, environment, installer
from matrix.commands.clean import cache_folder
from matrix.errors import CaliperError
from matrix.files import atomic_write
from matrix.releases import ReleaseList, read_releases, write_releases
from matrix.staleness import PRESENT
from matrix.subject import Subject, load_subject

NOXFILE = Path(__file__).parents[1] / "packaged" / "noxfile.py"
EXAMPLES = """\
examples:
  caliper-matrix run --package humanize -- pytest tests
  caliper-matrix run --package PyYAML --module yaml --with requests -- python use_yaml.py
  caliper-matrix run --package humanize --update -- pytest tests

The command runs here, with the latest release of the package in an environment of its own. Environments, the trace and
the list of releases are kept in the cache (`caliper-matrix clean` empties it); results go to results/NAME.
"""


class RunningError(CaliperError):
    """The job cannot be done."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where things of one package and working folder are kept."""

    folder: Path
    name: str

    @classmethod
    def of(cls, name: str, here: Path) -> "Place":
        """Return the place of a package that is exercised from a folder."""
        key = hashlib.sha256(os.fsencode(here)).hexdigest()[:12]
        return cls(cache_folder() / f"{name}-{key}", name)

    @property
    def subject(self) -> Path:
        """The subject's file."""
        return self.folder / f"{self.name}.toml"

    @property
    def releases(self) -> Path:
        """The list of releases."""
        return self.folder / "traces" / f"{self.name}.releases.json"

    def trace(self, release: str) -> Path:
        """Return the trace that is recorded on a release."""
        return self.folder / "traces" / f"{self.name}-{release}-default.trace.jsonl.gz"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("--package", required=True, metavar="NAME", help="the distribution, as the index calls it")
    parser.add_argument("--module", action="append", metavar="NAME", help="what it is imported as (default: its name)")
    parser.add_argument("--with", action="append", default=[], metavar="REQUIREMENT", help="what the command needs too")
    parser.add_argument("--python", default=PRESENT, metavar="X.Y", help="the Python that judges (default: this one)")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="FOLDER", help="(default: results)")
    parser.add_argument("--update", action="store_true", help="ask the index again which releases there are")
    parser.add_argument("words", nargs="+", metavar="-- COMMAND", help="what to record")


def run(options: argparse.Namespace) -> int:
    """List the releases, record the command, and let nox judge."""
    place = Place.of(options.package, Path.cwd())
    subject = write_subject(place, options)
    listed = list_releases(place, update=options.update)
    record(place, subject, listed, vars(options)["with"])
    status = subprocess.run(  # noqa: S603 # our own noxfile
        [sys.executable, "-P", "-m", "nox", "-f", str(NOXFILE), "-s", "matrix"],
        check=False,
        env={**os.environ, **variables(place, options.out)},
    ).returncode
    return status if status in (cli.FINE, cli.INTERRUPTED) else cli.USAGE


def variables(place: Place, results: Path) -> Mapping[str, str]:
    """Return what the noxfile is told."""
    return {
        "CALIPER_SUBJECT": str(place.subject),
        "CALIPER_FOLDER": str(place.folder),
        "CALIPER_RESULTS": str(results.absolute()),
        "PYTHONSAFEPATH": "1",  # nothing of the folder that we are in stands in for a module of nox
    }


def write_subject(place: Place, options: argparse.Namespace) -> Subject:
    """Write the subject's file, where it is another than before, and return what it says."""
    facts = {
        "name": options.package,
        "modules": options.module or [options.package.replace("-", "_")],
        "python": options.python,
        "command": options.words,
    }
    # A string or list of strings reads the same in JSON and TOML.
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in facts.items()).encode()
    if not place.subject.exists() or place.subject.read_bytes() != text:
        atomic_write(place.subject, text)
    return load_subject(place.subject)


def list_releases(place: Place, *, update: bool) -> ReleaseList:
    """Return the list of releases; the index is asked the first time, and when told to."""
    if update or not place.releases.exists():
        from matrix import index  # noqa: PLC0415 # requests is needed here alone

        listed = index.fetch_releases(place.name, datetime.now(UTC).date(), index.configured_index())
        write_releases(place.releases, listed)
    return read_releases(place.releases)


def record(place: Place, subject: Subject, listed: ReleaseList, needed: Sequence[str]) -> None:
    """Record the command with the latest release, in an environment of its own.

    Raises:
        RunningError: no release is judged, or none of it was called.
        InstallError: the latest release, or what the command needs, cannot be installed.
    """
    from matrix.commands.record import make_baseline, tell_remarks  # noqa: PLC0415 # brings the replay along
    from matrix.recording import record_command  # noqa: PLC0415

    judged = listed.judged()
    if not judged:
        message = f"{place.name} has no release that is neither yanked nor before a release: there is nothing to judge"
        raise RunningError(message)
    latest = judged[-1]
    venv = place.folder / "recording"
    if not venv.exists():
        installer.make_environment(venv, subject.python)
    python = environment.prepare(venv, subject.name, latest, listed.as_of).python
    runner = ["pytest"] if "pytest" in subject.command[:3] else []
    if needed or runner:
        installer.install([*needed, *runner], python=python, as_of=listed.as_of, exempt=subject.name)
    trace = place.trace(latest.version)
    recording = record_command(subject, str(python), trace, subject.command)
    if recording.status:
        print(
            f"caliper-matrix: the command ended with status {recording.status}; what it called is judged all the same"
        )
    tell_remarks(recording)
    make_baseline(subject, str(python), trace)

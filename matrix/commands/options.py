"""Options that several commands share: which package, which list of releases, which database."""

import argparse
from pathlib import Path

from matrix.releases import ReleaseList, read_releases
from matrix.signatures import build, store
from matrix.signatures.model import ReleaseSource
from matrix.subject import load_subject


def add_subject_options(parser: argparse.ArgumentParser, examples: str) -> None:
    """Declare which package it is about, and where the list of releases and the database are."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = examples
    parser.add_argument(
        "--subject", default="oras", metavar="NAME", help="the package, or its .toml file (default: oras)"
    )
    parser.add_argument("--list", type=Path, metavar="FILE", help="the releases (default: traces/NAME.releases.json)")
    parser.add_argument(
        "--database", type=Path, metavar="FILE", help="signatures.sqlite (default: in the cache folder)"
    )


def name_of(options: argparse.Namespace) -> str:
    """Return the package's name: what the subject's file says, or the name itself where only a list is needed.

    Raises:
        SubjectError: a .toml file that cannot be read.
    """
    return load_subject(options.subject).name if options.subject.endswith(".toml") else str(options.subject)


def releases_of(options: argparse.Namespace) -> ReleaseList:
    """Return the list of releases that the options name.

    Raises:
        ReleasesError: there is none, or it cannot be read.
    """
    return read_releases(options.list or Path("traces", f"{name_of(options)}.releases.json"))


def database(options: argparse.Namespace) -> Path:
    """Return the database that the options name."""
    path: Path = options.database or build.default_store(name_of(options))
    return path


def built(options: argparse.Namespace, versions: list[str] | None = None) -> dict[str, ReleaseSource]:
    """Return releases (default: all in the list), read first where the database does not hold them yet.

    Raises:
        ReleasesError: the list cannot be read.
        UnknownReleaseError: it does not hold a version that was asked for.
        DownloadError: a release could not be fetched.
    """
    listed = releases_of(options)
    wanted = list(listed.releases) if versions is None else [listed.find(version) for version in versions]
    path = database(options)
    build.require(build.build(path, wanted))
    with store.open_store(path) as connection:
        return store.load_releases(connection, [one.version for one in wanted])

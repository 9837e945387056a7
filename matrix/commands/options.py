"""Options that several commands share: which package, which list of releases, which database."""

import argparse
from pathlib import Path

from matrix.releases import ReleaseList, read_releases
from matrix.signatures import build, store
from matrix.signatures.model import ReleaseSource


def add_subject_options(parser: argparse.ArgumentParser) -> None:
    """Declare where the list of releases and the database are."""
    parser.add_argument("--list", type=Path, metavar="FILE", help="the releases (default: traces/NAME.releases.json)")
    parser.add_argument("--database", type=Path, metavar="FILE", help="signatures.sqlite (default: in the cache folder)")


def releases_of(options: argparse.Namespace) -> ReleaseList:
    """Return the list of releases that the options name.

    Raises:
        ReleasesError: there is none, or it cannot be read.
    """
    return read_releases(options.list or Path("traces", f"{options.name}.releases.json"))


def database(options: argparse.Namespace) -> Path:
    """Return the database that the options name."""
    path: Path = options.database or build.default_store(options.name)
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

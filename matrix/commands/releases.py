"""``caliper-matrix releases``: which releases there are; ``--update`` asks the index again."""

import argparse
import json
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from pathlib import Path

from matrix import cli
from matrix.releases import Release, ReleaseFile, ReleaseList, ReleasesError, in_order, read_releases, write_releases

EXAMPLES = """examples:
  caliper-matrix releases oras
  caliper-matrix releases oras --update
  caliper-matrix releases humanize --update --as-of 2026-01-01 --file humanize.releases.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("name", metavar="NAME", help="the distribution, as the index calls it")
    parser.add_argument("--file", type=Path, help="the list (default: traces/NAME.releases.json)")
    parser.add_argument("--update", action="store_true", help="ask the index and write the list anew")
    parser.add_argument(
        "--as-of", type=date.fromisoformat, metavar="DATE", help="with --update: the day to be on (default: today, UTC)"
    )
    parser.add_argument(
        "--only", action="append", metavar="VERSION", help="with --update: keep this release, not all of them"
    )
    parser.add_argument("--index", metavar="URL", help="the simple API to ask (default: as uv and pip are told to)")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the list, after writing it anew if asked for."""
    path = options.file or Path("traces", f"{options.name}.releases.json")
    listed = _update(path, options) if options.update else read_releases(path)
    print(json.dumps(asdict(listed), indent=1) if options.json else _table(listed))
    return cli.FINE


def _update(path: Path, options: argparse.Namespace) -> ReleaseList:
    from matrix import index  # noqa: PLC0415 # requests is needed by this option alone

    day = options.as_of or datetime.now(UTC).date()
    listed = index.fetch_releases(options.name, day, options.index or index.configured_index(), _known(path))
    if options.only:
        listed = replace(listed, releases=tuple(listed.find(version) for version in options.only))
    write_releases(path, replace(listed, releases=in_order(listed.releases)))
    return listed


def _known(path: Path) -> list[ReleaseFile]:
    """Return the files of the old list, none where there is no usable one: an update must also mend a broken list."""
    try:
        return [file for release in read_releases(path).releases for file in release.files]
    except ReleasesError:
        return []


def _table(listed: ReleaseList) -> str:
    judged = listed.judged()
    lines = [
        f"{release.version:14} {release.uploaded[:10]:10} {_remarks(release)}".rstrip() for release in listed.releases
    ]
    lines.append(f"{len(listed.releases)} releases of {listed.subject} as of {listed.as_of}, {len(judged)} judged")
    return "\n".join(lines)


def _remarks(release: Release) -> str:
    facts = {
        "yanked": release.yanked,
        "pre-release": release.prerelease,
        "source only": release.sdist_only,
        f"Python {release.requires_python}": release.requires_python,
    }
    return ", ".join(remark for remark, holds in facts.items() if holds)

"""``caliper-matrix matrix``: outcomes of all releases → the matrix, the picture, the report."""

import argparse
import json
from pathlib import Path
from typing import Any

from matrix import cli, self_replay
from matrix.accuracy import merge_scores
from matrix.baseline import Baseline, masks_path, read_baseline
from matrix.errors import CaliperError
from matrix.judging import Judge, sort_reports
from matrix.releases import ReleaseList, read_releases
from matrix.rows import VERDICTS, CallRow, ReleaseRow, TestRow
from matrix.staleness import traces_of
from matrix.subject import load_subject
from matrix.table import Extras, Mask, Summary, write_results
from matrix.trace import read_trace

EXAMPLES = """\
examples:
  caliper-matrix matrix
  caliper-matrix matrix --subject subjects/mine.toml --out results/mine
"""


class RunError(CaliperError):
    """A run file that is missing or cannot be used."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("--subject", default="oras", help="name, or a .toml file (default: oras)")
    parser.add_argument("--releases", type=Path, metavar="FILE", help="(default: traces/NAME.releases.json)")
    parser.add_argument("--trace", type=Path, action="append", metavar="FILE", help="(default: those in traces/)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="(default: .nox/.cache/caliper/NAME)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="(default: results/NAME)")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(options: argparse.Namespace) -> int:
    """Aggregate, and print the summary."""
    subject = load_subject(options.subject)
    name = subject.name
    listed = read_releases(options.releases or Path("traces", f"{name}.releases.json"))
    traces = sorted(options.trace or traces_of(name, Path("traces")))
    if not traces:
        message = f"there is no trace of {name}; record one with `caliper-matrix record --subject {name}`"
        raise RunError(message)
    cache = options.cache or Path(".nox/.cache/caliper", name)
    out = options.out or Path("results", name)
    judged = judges(traces)
    summary = aggregate(name, listed, judged, cache / "runs", out)
    print(as_json(summary) if options.json else as_text(summary))
    return cli.FINE


def judges(traces: list[Path]) -> list[Judge]:
    """Return a judge for each trace, with its baseline."""
    made = []
    for path in traces:
        trace = read_trace(path)
        baseline: Baseline = read_baseline(masks_path(path), trace)
        made.append(baseline.judge(trace))
    return made


def read_run(path: Path, release: str) -> dict[str, Any]:
    """Return a run file.

    Raises:
        RunError: it is missing, of another form, or of a release other than the one that was installed.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["run"] != 1 or table["release"] != release or table["installed"] not in (release, ""):
            again = f"nox -s \"release({table.get('subject')}='{release}')\""
            message = f"{path}: not a run of {release}; run `{again}` again"
            raise RunError(message)
    except FileNotFoundError:
        message = f"{path}: release {release} was not judged yet; run `nox -s matrix`"
        raise RunError(message) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path}: cannot be read as a run file ({type(error).__name__}); remove it and run `nox -s matrix`"
        raise RunError(message) from None
    return dict(table)


def aggregate(name: str, listed: ReleaseList, judged: list[Judge], runs: Path, out: Path) -> Summary:
    """Judge the outcomes of all releases and write the results."""
    calls: list[CallRow] = []
    tests: list[TestRow] = []
    releases: list[ReleaseRow] = []
    facts: dict[str, object] = {}
    for release in listed.judged():
        table = read_run(runs / f"{release.version}.json", release.version)
        conflicts = table.get("conflicts", [])
        facts[release.version] = {"python": table["python"], "resolved": table["resolved"], "conflicts": conflicts}
        for judge in judged:
            rows = rows_of(judge, release.version, table)
            calls += rows[0]
            tests += rows[1]
        releases.append(
            ReleaseRow(
                release=release.version,
                uploaded=str(release.uploaded),
                yanked=release.yanked,
                installed=table["installed"],
                plain_import=table["plain_import"],
                python=".".join(table["python"].split(".")[:2]),
                status=table["status"],
                reason=table["reason"],
            )
        )
    header = judged[0].trace.header
    extras = Extras(
        python=releases[-1].python if releases else "",
        run={"releases": facts},
        modules={
            call["function"]: call["module"]
            for judge in judged
            for _, call in judge.trace.calls()
            if call["function"].startswith(f"{call['module']}.")  # what is wrapped stands elsewhere than its wrapper
        },
        masks=tuple(mask for judge in judged for mask in masks_of(judge)),
    )
    merge_scores(out / "accuracy.json", "self_replay", self_replay.score(judged))  # the summary shows them
    return write_results(
        name, header["release"], listed.as_of, calls=calls, tests=tests, releases=releases, extras=extras, out=out
    )


def rows_of(judge: Judge, release: str, table: dict[str, Any]) -> tuple[list[CallRow], list[TestRow]]:
    """Return the rows of one release and trace.

    Raises:
        RunError: the release was replayed with another trace.
    """
    if table["status"] == "install-error":
        return judge.not_installed(release, table["reason"])
    profile = table["profiles"].get(judge.trace.header["profile"])
    if profile is None or profile["trace"] != judge.trace.digest:
        message = f"release {release} was replayed with another trace; run `nox -s matrix`"
        raise RunError(message)
    return judge.rows(release, sort_reports(profile["reports"]))


def masks_of(judge: Judge) -> list[Mask]:
    """Return the masked fields of a trace."""
    functions = {call["id"]: call["function"] for _, call in judge.trace.calls()}
    profile = judge.trace.header["profile"]
    return [Mask(profile, ident, functions[ident], path) for ident, paths in judge.masks.items() for path in paths]


def as_json(summary: Summary) -> str:
    """Return the summary for a script."""
    facts = {field: getattr(summary, field) for field in Summary.__slots__}
    return json.dumps({**facts, "folder": str(summary.folder)}, indent=1)


def as_text(summary: Summary) -> str:
    """Return the summary in words."""
    told = [verdict.name for verdict in reversed(VERDICTS) if summary.verdicts.get(verdict.name)]
    counts = ", ".join(f"{summary.verdicts[name]} {name}" for name in told)
    return "\n".join(
        [
            f"{summary.functions} functions on {len(summary.working)} releases: {counts}",
            f"{summary.replayed} of {summary.calls} recorded calls replay on the recorded release",
            f"the picture: {summary.folder / 'heatmap.png'}; all cells: {summary.folder / 'matrix.csv'}",
        ]
    )

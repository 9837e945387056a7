"""``caliper-matrix truth``: run the recorded release's own suite on every release, and score the map against it."""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matrix import cli, observing, staleness, truth
from matrix.accuracy import merge_scores
from matrix.answers.results import read_calls
from matrix.call_truth import CallScores, find_happened
from matrix.commands.matrix import judges
from matrix.commands.which_registry import add_registry_option, on_registry
from matrix.judging import Judge
from matrix.processes import end_on_terminate
from matrix.releases import ReleaseList, read_releases
from matrix.rows import CallRow
from matrix.scoring import as_scores, by_release, compare, passing_tests, read_cases
from matrix.subject import Subject, load_subject
from matrix.suite.stage import Selection, Stage, StageError

NAMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed", truth.INSTALL_ERROR)

EXAMPLES = """\
examples:
  caliper-matrix truth
  caliper-matrix truth 0.2.30 0.2.43 --jobs 1
  caliper-matrix truth --subject subjects/mine.toml --profile default --out results/mine
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("release", nargs="*", metavar="VERSION", help="only these releases, and no file is written")
    declare_stage(parser)
    parser.add_argument("--fresh", action="store_true", help="run everything again, whatever was run before")
    parser.add_argument("--tests", action="store_true", help="score tests alone, not calls, which takes a run more")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def declare_stage(parser: argparse.ArgumentParser) -> None:
    """Declare the options that tell where and on what a suite is run."""
    parser.add_argument("--subject", default="oras", help="name, or a .toml file (default: oras)")
    parser.add_argument("--releases", type=Path, metavar="FILE", help="(default: traces/NAME.releases.json)")
    parser.add_argument(
        "--recorded", metavar="VERSION", help="the release whose suite it is (default: the traces', or the latest)"
    )
    parser.add_argument("--profile", action="append", help="(default: those of the traces, or all)")
    parser.add_argument("--python", metavar="X.Y", help="the Python that judges (default: the subject's)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="(default: .nox/.cache/caliper/NAME/truth)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="the results (default: results/NAME)")
    add_registry_option(parser)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time (default: all cores)")


def make_stage(options: argparse.Namespace, subject: Subject, listed: ReleaseList) -> Stage:
    """Return the stage that the options describe."""
    traced = [path.name.removeprefix(f"{subject.name}-").partition("-")[0] for path in traces_of(subject)]
    recorded = options.recorded or next(iter(traced), listed.judged()[-1].version)
    python = options.python or subject.python or staleness.PRESENT
    cache = options.cache or Path(".nox/.cache/caliper", subject.name, "truth")
    return Stage(subject, listed, listed.find(recorded).version, python, cache)


def traces_of(subject: Subject) -> tuple[Path, ...]:
    """Return the traces of a subject."""
    return staleness.traces_of(subject.name, Path("traces"))


def chosen_profiles(options: argparse.Namespace, subject: Subject) -> list[str]:
    """Return the profiles that were asked for, else those that there are traces of, else all.

    Raises:
        StageError: there is no such profile.
    """
    traces = traces_of(subject)
    recorded = [
        name for name in subject.profiles if any(path.name.endswith(f"-{name}.trace.jsonl.gz") for path in traces)
    ]
    chosen: list[str] = options.profile or recorded or list(subject.profiles)
    for name in chosen:
        if name not in subject.profiles:
            raise StageError(subject, f"there is no profile {name}, only {', '.join(subject.profiles)}")
    return chosen


def run(options: argparse.Namespace) -> int:
    """Run the suite, print a line a release, write the truth and the scores."""
    end_on_terminate()
    subject = on_registry(load_subject(options.subject), options.registry)
    listed = read_releases(options.releases or Path("traces", f"{subject.name}.releases.json"))
    stage = make_stage(options, subject, listed)
    if options.fresh:
        for name in ("endings", "observed"):
            shutil.rmtree(stage.cache / name, ignore_errors=True)
    releases = [listed.find(version).version for version in options.release]
    every = [release.version for release in listed.judged()]
    selected = truth.selections(stage, chosen_profiles(options, subject))
    endings = truth.find_truth(stage, selected, releases or every[::-1], options.jobs, tell)
    out = options.out or Path("results", subject.name)
    if not releases:
        truth.write_truth(out, endings, every)
        scores = score(out, stage.recorded, every)
        calls = {} if options.tests else score_calls(out, stage, selected, every, endings, jobs=options.jobs)
        told = {**scores, **({"calls": calls} if calls else {})}
        words = [summary(scores)] if options.tests else [summary(scores), summary_of_calls(calls)]
        print(json.dumps(told, indent=1) if options.json else "\n".join(words))
    return cli.FINE


def tell(ending: truth.Ending) -> None:
    """Print what came of a part, while the others run."""
    counts = ", ".join(f"{ending.count(name)} {name}" for name in NAMES if ending.count(name))
    print(f"{ending.part.name}: {counts}", file=sys.stderr, flush=True)


def score(out: Path, recorded: str, releases: list[str]) -> dict[str, Any]:
    """Compare the tests of the results with the truth beside them, and merge the scores into ``accuracy.json``.

    Where the results hold no tests yet, there is nothing to compare.
    """
    pairs = {"gated": ("tests.csv", "truth.csv"), "ungated": ("tests-ungated.csv", "truth-tolerant.csv")}
    scores: dict[str, Any] = {}
    for grading, (replayed, true) in pairs.items():
        if (out / replayed).exists():
            known = read_cases(out / true)
            found = compare(read_cases(out / replayed), known, passing_tests(known, recorded))
            scores[grading] = {**as_scores(found), "releases": by_release(found, releases)}
    if scores:
        merge_scores(out / "accuracy.json", "tests", scores)
    return scores


def summary(scores: dict[str, Any]) -> str:
    """Return the scores as lines for a person."""
    lines = [
        f"{grading}: {entry['agree']['numerator']} of {entry['agree']['denominator']} agree, "
        f"{entry['false_works']['numerator']} false works, {entry['false_fails']['numerator']} false fails, "
        f"{entry['unknown']['numerator']} unknown, {entry['left_out']} left out"
        for grading, entry in scores.items()
    ]
    return "\n".join(lines) or "no tests.csv beside the truth to compare with: run `caliper-matrix matrix`"


def score_calls(
    out: Path,
    stage: Stage,
    selected: Mapping[str, Selection],
    releases: Sequence[str],
    endings: Iterable[truth.Ending],
    *,
    jobs: int,
) -> dict[str, Any]:
    """Compare the calls of the results with what the suite really calls on each release, and merge the scores.

    Where the results hold no calls (`calls.csv.gz` is not committed), there is nothing to compare.

    Raises:
        CallsError: the calls are those of another trace.
    """
    judged = judges_of(stage, selected)
    rows = read_calls(out, tier="boundary") if judged else None
    if rows is None:
        return {}
    replayed: dict[tuple[str, str], dict[int, CallRow]] = {}
    for row in rows:
        replayed.setdefault((row.release, row.profile), {})[row.call] = row
    known = {ending.part: ending for ending in endings}
    scores = CallScores()
    for runs in observing.observe(stage, selected, releases, jobs):
        for run in runs:
            part = run.part
            print(f"{part.release}.{part.profile}: {run.count()} calls observed", file=sys.stderr, flush=True)
            if (part.release, part.profile) in replayed and part.profile in judged:
                passing = known[replace(part, release=stage.recorded)].tests("passed")
                happened = find_happened(judged[part.profile], passing, run.events, run.disturbed(known[part]))
                scores.add(judged[part.profile], happened, replayed[part.release, part.profile])
    scores.sort(releases)
    made = scores.as_scores()
    merge_scores(out / "accuracy.json", "calls", made)
    return made


def judges_of(stage: Stage, profiles: Collection[str]) -> dict[str, Judge]:
    """Return what judges the calls of the recorded release's traces, by profile."""
    found = {judge.trace.header["profile"]: judge for judge in judges(list(traces_of(stage.subject)))}
    return {
        profile: judge
        for profile, judge in found.items()
        if profile in profiles and judge.trace.header["release"] == stage.recorded
    }


def summary_of_calls(scores: dict[str, Any]) -> str:
    """Return the scores of calls as a line for a person."""
    if not scores:
        return "no calls.csv.gz beside the truth to compare calls with: run `caliper-matrix matrix`"
    left = ", ".join(f"{count} {reason}" for reason, count in scores["without_truth"].items())
    return (
        f"calls: {scores['agree']['numerator']} of {scores['agree']['denominator']} agree, "
        f"{scores['false_works']['numerator']} false works, {scores['false_fails']['numerator']} false fails, "
        f"{scores['unknown']['numerator']} unknown; without truth: {left or 'none'}"
    )

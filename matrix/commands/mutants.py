"""``caliper-matrix mutants``: plant faults in the recorded release, one at a time, and count which the replay shows."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matrix import cli, truth
from matrix.accuracy import merge_scores
from matrix.commands.truth import chosen_profiles, declare_stage, make_stage, traces_of
from matrix.commands.which_registry import on_registry
from matrix.files import atomic_write
from matrix.mutants import scores
from matrix.mutants.replays import Replays
from matrix.mutants.running import Kept, Laboratory, Trial, find_package, measure
from matrix.mutants.sites import choose
from matrix.processes import end_on_terminate
from matrix.releases import read_releases
from matrix.subject import load_subject

EXAMPLES = """\
examples:
  caliper-matrix mutants 50
  caliper-matrix mutants 1000 --seed 7 --jobs 4
  caliper-matrix mutants 200 --subject subjects/mine.toml --trace mine-1.0-default.trace.jsonl.gz
"""
EVERY = 20  # mutants between two lines of progress


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("number", nargs="?", type=int, default=200, metavar="N", help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="which ones (default: 1)")
    declare_stage(parser)
    parser.add_argument("--trace", type=Path, action="append", metavar="FILE", help="(default: those in traces/)")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def run(options: argparse.Namespace) -> int:
    """Try the mutants, write ``mutants.csv`` and the scores."""
    end_on_terminate()
    subject = on_registry(load_subject(options.subject), options.registry)
    listed = read_releases(options.releases or Path("traces", f"{subject.name}.releases.json"))
    stage = make_stage(options, subject, listed)
    profiles = chosen_profiles(options, subject)
    replays = Replays.of(stage, options.trace or traces_of(subject), profiles)
    package = find_package(stage)
    baseline = measure(stage, package, profiles)
    sites = choose(package.sources(subject.suite), baseline.suite.reached(), options.number, options.seed)
    laboratory = Laboratory(
        stage,
        package,
        baseline,
        Kept(stage.cache / "mutants" / "suite", truth.digest_inputs(stage)),
        Kept(stage.cache / "mutants" / "replay", replays.inputs()),
        replays.judge,
        replays.unchanged(package.site),
    )
    trials = laboratory.try_all(sites, options.jobs, progress(len(sites)))
    out = options.out or Path("results", subject.name)
    found = scores.score(trials, baseline.passing, options.seed)
    atomic_write(out / "mutants.csv", scores.render(trials, baseline.passing).encode())
    merge_scores(out / "accuracy.json", "mutants", found)
    print(json.dumps(found, indent=1) if options.json else summary(found))
    return cli.FINE


def progress(number: int) -> Callable[[int, Trial], None]:
    """Return what prints how far it is, now and then."""

    def tell(done: int, _trial: Trial) -> None:
        if done % EVERY == 0 or done == number:
            print(f"{done} of {number} mutants", file=sys.stderr, flush=True)

    return tell


def summary(found: dict[str, Any]) -> str:
    """Return the scores as lines for a person."""
    killed, detected = found["killed"], found["detected"]
    wrong = [
        f"{item['replayed']}, but {item['truth']}: {item['test']} on {item['release']} ({item['reason']})"
        for item in found["disagreements"]
    ]
    tried = (
        f"{found['mutants']} mutants: the suite kills {killed['numerator']}, the replay shows "
        f"{detected['numerator']} of {detected['denominator']}"
    )
    agreed = (
        f"{found['agree']['numerator']} of {found['agree']['denominator']} test verdicts agree, "
        f"{found['false_works']['numerator']} false works, {found['false_fails']['numerator']} false fails, "
        f"{found['unknown']['numerator']} unknown"
    )
    return "\n".join([tried, agreed, *wrong])

"""The replay of the traces on a package that lies in a folder."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matrix import environment
from matrix.baseline import masks_path, read_baseline
from matrix.judging import Judge, sort_reports
from matrix.mutants.running import TEST_LIMIT, by_file, starts
from matrix.mutants.selection import Key, Start, Unchanged
from matrix.replaying import ReplayError, Report, replay_trace
from matrix.scoring import UNKNOWN
from matrix.staleness import AGENT, PACKAGE, file_digest
from matrix.suite.stage import Stage
from matrix.trace import Trace, read_trace

CODE = ("replaying", "judging", "verdict", "compare", "baseline", "trace", "services", "recording")


@dataclass(frozen=True, slots=True)
class Replays:
    """Traces with what their baselines say, and the environment to replay them in."""

    stage: Stage
    traces: Sequence[tuple[Path, Trace, Judge]]
    python: Path
    also: Path | None

    @staticmethod
    def of(stage: Stage, paths: Sequence[Path], profiles: Collection[str]) -> "Replays":
        """Read the traces of some profiles.

        Raises:
            TraceError: one can't be used.
            BaselineError: one has no baseline.
        """
        there = stage.environment(stage.recorded)
        also = environment.shared_folder(stage.subject.also, there, stage.listed.as_of, stage.cache)
        traces = []
        for path in paths:
            trace = read_trace(path)
            if trace.header["profile"] not in profiles:
                continue
            known = read_baseline(masks_path(path), trace)
            traces.append((path, trace, known.judge(trace)))
        return Replays(stage, traces, there.python.absolute(), also.absolute() if also else None)

    def inputs(self) -> str:
        """Return what verdicts depend on besides the package."""
        code = [*sorted(AGENT.rglob("*.py")), *(PACKAGE / f"{name}.py" for name in CODE)]
        traces = [path for trace, _, _ in self.traces for path in (trace, masks_path(trace))]
        return " ".join(file_digest(path) for path in [*code, *traces])

    def unchanged(self, site: Path) -> Unchanged:
        """Return what the replay says of the package as it is installed in ``site``."""
        return self.replay(None, None, site)

    def judge(self, overlay: Path, tests: Collection[Key]) -> Mapping[Key, str]:
        """Return works, fails or unknown of some tests, with the package in ``overlay`` first on the path."""
        return self.replay(overlay, tests, None).outcomes

    def replay(self, overlay: Path | None, tests: Collection[Key] | None, reach: Path | None) -> Unchanged:
        """Replay tests (all, where none are named); if the agent ends early nothing is known of them."""
        verdicts: dict[Key, str] = {}
        entered: dict[Key, frozenset[Start]] = {}
        lines: dict[Key, dict[str, frozenset[int]]] = {}
        for path, trace, judge in self.traces:
            profile = trace.header["profile"]
            chosen = [test for test in judge.tests() if tests is None or (test, profile) in tests]
            if not chosen:
                continue
            try:
                replay = replay_trace(
                    self.stage.subject,
                    self.stage.recorded,
                    self.python,
                    path,
                    trace,
                    also=self.also,
                    overlay=overlay,
                    inner=False,
                    tests=[*chosen, ""],  # what a file does at its top decides whether its tests load
                    reach=reach,
                    limit=TEST_LIMIT if overlay else None,
                )
            except ReplayError:
                verdicts |= {(test, profile): UNKNOWN for test in chosen}
                continue
            _, rows = judge.rows(self.stage.recorded, sort_reports(replay.reports))
            verdicts |= {(row.test, profile): row.gated for row in rows if row.test in set(chosen)}
            if reach:
                for test, found in reached(replay.reports):  # of imports and tops of files as one
                    key = (test, profile)
                    entered[key] = entered.get(key, frozenset()) | starts(found["entered"], reach)
                    for name, numbers in by_file(found["lines"], reach).items():
                        lines.setdefault(key, {}).setdefault(name, frozenset())
                        lines[key][name] |= numbers
        return Unchanged(verdicts, entered, lines)


def reached(reports: Sequence[Report]) -> Iterator[tuple[str, Report]]:
    """Yield what each test executed."""
    test = ""
    for report in reports:
        test = report.get("test", test)
        if "reached" in report:
            yield test, report["reached"]

"""Records the suite of a fixture package on its version ``new``, and replays it on others."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recorded import make_environment

from matrix.judging import Judge, Reports, sort_reports
from matrix.recording import record_command
from matrix.replaying import replay_trace
from matrix.subject import Subject
from matrix.trace import Trace, read_trace

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Recorded:
    """A suite's trace, and the Python that it was recorded in."""

    subject: Subject
    python: Path
    path: Path
    trace: Trace

    @staticmethod
    def make(subject: Subject, folder: Path) -> "Recorded":
        """Record the suite of a fixture of the subject's name."""
        fixture = FIXTURES / subject.name
        python = make_environment(folder / "venv", "3.11", "pytest>=9")
        site = next((folder / "venv").glob("lib/python*/site-packages"))
        (site / f"{subject.name}.pth").write_text(f"{fixture / 'new'}\n", encoding="utf-8")
        work, path = folder / "work", folder / f"{subject.name}.trace.jsonl.gz"
        work.mkdir()
        for file in (fixture / "suite").glob("*.py"):
            (work / file.name).write_text(file.read_text(), encoding="utf-8")
        before = Path.cwd()
        os.chdir(work)
        try:
            recording = record_command(subject, str(python), path, subject.command)
        finally:
            os.chdir(before)
        assert recording.status == 0
        assert not recording.troubles
        return Recorded(subject, python, path, read_trace(path))

    def reports(self, version: str = "new") -> Reports:
        """Return what a replay on a version of the package reports."""
        overlay = FIXTURES / self.subject.name / version
        arguments = (self.subject, version, self.python, self.path, self.trace)
        return sort_reports(replay_trace(*arguments, also=None, overlay=overlay).reports)

    def judge(self, version: str) -> tuple[Mapping[str, tuple[str, str]], Mapping[str, str]]:
        """Replay on a version of the package; return (verdict, detail) by test and function, and the grade by test."""
        calls, tests = Judge(self.trace).rows(version, self.reports(version))
        verdicts = {f"{row.test.partition('::')[2]} {row.function}": (row.verdict, row.detail) for row in calls}
        return verdicts, {row.test.partition("::")[2]: row.gated for row in tests}

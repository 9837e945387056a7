"""Makes rows of judged calls, tests and releases from a few words."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from matrix.cells import Extras, Mask, Table, build
from matrix.rows import CallRow, ReleaseRow, TestRow, works
from matrix.table import Summary, write_results

# In version order, which is neither the order of the text nor that of time.
RELEASES = ("0.9", "0.10", "1.0.dev1", "1.0", "1.1")
MASKS = (Mask("anonymous", 2, "pkg.core.Thing.run", "return.headers['Date']"),)


@dataclass(frozen=True, slots=True)
class Rows:
    """What results are made of."""

    calls: tuple[CallRow, ...]
    tests: tuple[TestRow, ...]
    releases: tuple[ReleaseRow, ...]

    def build(self, recorded: str = "1.1", extras: Extras | None = None) -> Table:
        """Return the table of the rows."""
        return build(
            "pkg",
            recorded,
            "2026-11-20",
            calls=self.calls,
            tests=self.tests,
            releases=self.releases,
            extras=extras or Extras("3.11"),
        )

    def write(self, out: Path, recorded: str = "1.1", extras: Extras | None = None) -> Summary:
        """Write the results into a folder."""
        return write_results(
            "pkg",
            recorded,
            "2026-11-20",
            calls=self.calls,
            tests=self.tests,
            releases=self.releases,
            extras=extras or Extras("3.11", {"host": "here"}, masks=MASKS),
            out=out,
        )


def release_row(release: str, status: str = "replayed", **changes: str) -> ReleaseRow:
    """Return a release that was installed and imports, or one that could not be installed."""
    reason = "does not build" if status == "install-error" else ""
    plain_import = changes.get("plain_import", "yes")
    uploaded = changes.get("uploaded", "2024-05-01T10:00:00Z")
    return ReleaseRow(release, uploaded, yanked=False, installed=release, plain_import=plain_import, python="3.11.7",
                      status=status, reason=changes.get("reason", reason))  # fmt: skip


def rows(calls: str, releases: Iterable[str] = RELEASES, broken: Iterable[str] = (), tests: str = "") -> Rows:
    """Return the rows of a grid in text.

    A line of ``calls`` is ``function tier profile verdict…`` with a verdict per release; the line's number is the
    call's, and one that does not work says why. A line of ``tests`` is ``test profile grade…``. On the ``broken``
    releases nothing can be installed, and their verdicts are left out.
    """
    versions, gone = list(releases), set(broken)
    made = []
    for number, line in enumerate(calls.strip().splitlines(), 1):
        function, tier, profile, *verdicts = line.split()
        for release, verdict in zip(versions, verdicts, strict=True):
            if release not in gone:
                detail = "" if verdict == "ok" else f"{verdict} for a reason"
                test = f"tests/test_pkg.py::test_{number % 3}"
                made.append(CallRow(release, profile, test, number, tier, function, verdict, detail))
    graded = []
    for line in tests.strip().splitlines():
        test, profile, *grades = line.split()
        pairs = zip(versions, grades, strict=True)
        graded += [TestRow(test, profile, release, grade, grade) for release, grade in pairs]
    listed = [release_row(release, "install-error" if release in gone else "replayed") for release in versions]
    return Rows(tuple(made), tuple(graded), tuple(listed))


SMALL = rows(
    """
    pkg.core.Thing.run    boundary anonymous missing missing signature changed ok
    pkg.core.Thing.run    boundary auth      missing missing ok        raised  ok
    pkg.core.Thing.run    inner    auth      missing missing crash     ok      ok
    pkg.core.make         boundary anonymous missing missing ok        ok      ok
    pkg.tools.read_file   boundary anonymous missing missing differs   ok      ok
    pkg.tools.read_file   boundary anonymous missing missing unreplayable unreplayable unreplayable
    pkg.tools.lock        boundary anonymous missing missing unreplayable unreplayable unreplayable
    pkg.hidden._Box.open  inner    anonymous missing missing blocked   ok      ok
    """,
    broken=["0.10"],
    tests="""
    tests/test_pkg.py::test_run  anonymous fails unknown fails fails works
    tests/test_pkg.py::test_make anonymous fails unknown works works works
    tests/test_pkg.py::test_lock anonymous fails unknown unknown unknown unknown
    """,
)


def large(functions: int = 95, releases: int = 56) -> Rows:
    """Return rows of the size of a real matrix, with long and short names and every verdict."""
    names = ["crash", "import-error", "missing", "signature", "shifted", "timeout", "raised", "changed", "blocked"]
    cycle = [*names, "differs", "ok", "unreplayable"]
    versions = [f"0.{minor}.{patch}" for minor in range(4) for patch in range(releases // 4)]
    lines = []
    for number in range(functions):
        path = f"pkg.module{number % 9}.{'Registry.' if number % 2 else ''}function_{'x' * (number % 24)}{number}"
        tier = "boundary" if number % 3 else "inner"
        verdicts = [cycle[(number + place // 5) % len(cycle)] for place in range(len(versions) - 1)]
        lines.append(f"{path} {tier} anonymous {' '.join(verdicts)} ok")
    return rows("\n".join(lines), versions, broken=[versions[releases // 5]])


def naive_worst(verdicts: Iterable[str], order: Iterable[str]) -> str:
    """Return the worst verdict, worked out the plain way."""
    found = set(verdicts)
    return next(name for name in order if name in found)


def is_fine(verdict: str) -> bool:
    """Whether a call with this verdict works."""
    return works(verdict) == "yes"

"""All releases of oras: what the database says of them, and what is predicted from the committed trace."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from signature_tools import signature

from matrix.commands.predict import grid_of
from matrix.diff import Change, compare
from matrix.grid import Grid, read_grid
from matrix.history import history
from matrix.predict import predict, recorded_calls
from matrix.prediction_scores import score
from matrix.releases import read_releases
from matrix.signatures import build, store
from matrix.signatures.lookup import Namespace
from matrix.signatures.model import ReleaseSource
from matrix.signatures.modules import Found, ImportFails, Missing
from matrix.subject import load_subject
from matrix.trace import read_trace

ROOT = Path(__file__).parents[1]
LISTED = ROOT / "traces" / "oras.releases.json"
TRACES = sorted((ROOT / "traces").glob("oras-*.trace.jsonl.gz"))
MATRIX = ROOT / "results" / "oras" / "matrix.csv"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the database of all releases; skipped where the index cannot be reached and the cache is empty."""
    path = tmp_path_factory.mktemp("oras") / "signatures.sqlite"
    outcomes = build.build(path, read_releases(LISTED).releases)
    absent = [one for one in outcomes if one.absent]
    if absent:
        pytest.skip(str(absent[0].reason))
    return path


@pytest.fixture(scope="module")
def releases(database: Path) -> Iterator[Mapping[str, ReleaseSource]]:
    """Return all releases."""
    with store.open_store(database) as connection:
        yield store.load_releases(connection)


@pytest.fixture(scope="module")
def predicted(releases: Mapping[str, ReleaseSource]) -> Grid:
    """Predict every call of the committed traces on every release."""
    if not TRACES:
        pytest.skip("there is no trace to predict from")
    traces = [read_trace(path) for path in TRACES]
    calls = [call for trace in traces for call in recorded_calls(str(trace.header["profile"]), trace.events)]
    also = load_subject("oras").also
    return grid_of([row for one in releases.values() for row in predict(one, calls, also)], list(releases), None)


def test_all_releases_are_read(database: Path, releases: Mapping[str, ReleaseSource]) -> None:
    """Every release is there, in the order of the list, and every file of it could be parsed."""
    assert list(releases) == [one.version for one in read_releases(LISTED).releases]
    assert not [one.version for one in releases.values() if one.reason]
    with store.open_store(database) as connection:
        assert store.unreadable(connection) == []
        files = connection.execute("SELECT count(*) FROM file").fetchone()[0]
        held = connection.execute("SELECT count(*) FROM release_file").fetchone()[0]
    assert files * 4 < held


def test_sdist_only_releases_are_read(releases: Mapping[str, ReleaseSource]) -> None:
    """The four releases without a wheel are read from their source distribution."""
    sdists = [one.version for one in releases.values() if not one.filename.endswith(".whl")]
    assert sdists == ["0.0.0", "0.0.14", "0.0.15", "0.0.16"]
    assert sorted(releases["0.0.0"].modules) == ["oras", "oras.logger", "oras.version"]
    assert "requests" in releases["0.0.14"].requires


@pytest.mark.parametrize("version", ["0.0.1", "0.1.20", "0.2.25", "0.2.43"])
def test_decorators_of_every_age_are_seen_through(version: str, releases: Mapping[str, ReleaseSource]) -> None:
    """``ensure_container`` was a class, then one with a base, and is a function: it hides no parameters."""
    shown = signature(Namespace(releases[version]), "oras.provider.Registry.get_manifest")
    assert shown.startswith("(self, container, allowed_media_type=None")


def test_client_was_a_class_of_its_own(releases: Mapping[str, ReleaseSource]) -> None:
    """What the callers' spelling leads to differs between releases."""
    old, new = (Namespace(releases[version]).resolve("oras.client:OrasClient") for version in ("0.1.30", "0.2.43"))
    assert isinstance(old, Found)
    assert isinstance(new, Found)
    assert (old.path, new.path) == ("oras.client.OrasClient", "oras.provider.Registry")


def test_release_that_does_not_import_alone(releases: Mapping[str, ReleaseSource]) -> None:
    """One release imports boto3 and does not declare it; all others import with what they declare."""
    fails = {
        version: failure
        for version, release in releases.items()
        if (failure := Namespace(release).import_failure("oras.auth" if "oras.auth" in release.modules else "oras"))
    }
    assert fails == {"0.2.34": ImportFails("boto3", "oras.auth.ecr")}
    assert Namespace(releases["0.2.34"], ("boto3",)).import_failure("oras.auth") is None


def test_layouts_came_late(releases: Mapping[str, ReleaseSource]) -> None:
    """A module that a release lacks is missing, not unknown."""
    missing = [
        version
        for version, release in releases.items()
        if isinstance(Namespace(release).resolve("oras.layout:Layout"), Missing)
    ]
    assert missing[-1] == "0.2.38"


def test_difference_of_two_releases(database: Path, releases: Mapping[str, ReleaseSource]) -> None:
    """Between the last two there is one change that a signature shows."""
    with store.open_store(database) as connection:
        found = compare(
            Namespace(releases["0.2.42"]),
            Namespace(releases["0.2.43"]),
            lambda digest: store.load_body(connection, digest),
        )
    assert found == [Change("parameter added", "oras.provider.Registry.push", "quiet=False")]


def test_history_of_push(releases: Mapping[str, ReleaseSource]) -> None:
    """It is there since 0.0.1, took everything until 0.2.1, and got a parameter in 0.2.43."""
    entries = history("oras.provider.Registry.push", list(releases.values()))
    assert entries[0].release == "0.0.1"
    spelled = {entry.release for entry in entries if any(change.startswith("parameter") for change in entry.changes)}
    assert spelled == {"0.2.1", "0.2.43"}


def test_every_cell_is_predicted(predicted: Grid) -> None:
    """Nothing that the suite calls is beyond reading, and all of it is there on the recorded release."""
    assert set(predicted.cells.values()) <= {"ok", "missing", "signature", "shifted", "import-error"}
    assert {predicted.cells[function, "0.2.43"] for function in predicted.functions} == {"ok"}


def test_known_cells_are_predicted(predicted: Grid) -> None:
    """Three cells that were looked at by hand."""
    assert predicted.cells["oras.layout.layout.Layout.__init__", "0.2.38"] == "missing"
    assert predicted.cells["oras.provider.Registry.push", "0.2.42"] == "signature"
    assert predicted.cells["oras.provider.Registry.push", "0.1.30"] == "ok"


def test_predictions_are_right(predicted: Grid, releases: Mapping[str, ReleaseSource]) -> None:
    """Against the committed replay F1 is at least 0.95, over all cells and over those that change."""
    if not MATRIX.exists():
        pytest.skip("nothing was replayed yet")
    replayed = read_grid(MATRIX)
    assert set(replayed.releases) <= set(releases)
    found = score(predicted, replayed)["does_not_work"]["predictions"]
    assert found["all_cells"]["f1"]["share"] >= 0.95
    assert found["changed_cells"]["f1"]["share"] >= 0.95

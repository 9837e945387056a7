"""The list of releases: read, checked, and asked for from an index of either form."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from indexes import Index, sdist, wheel

from matrix import cli
from matrix.index import (
    PYPI,
    IndexUnreachableError,
    UnknownSubjectError,
    configured_index,
    fetch_releases,
    without_credentials,
)
from matrix.releases import ReleasesError, UnknownReleaseError, read_releases, write_releases

COMMITTED = Path(__file__).parents[1] / "traces" / "oras.releases.json"
DAY = date(2026, 1, 1)
FILES = (
    wheel("demo", "1.10", {"demo.py": ""}, uploaded="2024-03-01T00:00:00.000000Z"),
    wheel("demo", "1.9", {"demo.py": ""}, uploaded="2024-02-01T00:00:00.000000Z", yanked=True),
    sdist("demo", "1.9", uploaded="2024-01-31T12:00:00.000000Z", yanked=True),
    wheel("demo", "2.0rc1", {"demo.py": ""}, uploaded="2025-01-01T00:00:00.000000Z", requires_python=">=3.9"),
    sdist("demo", "0.1", uploaded="2023-01-01T00:00:00.000000Z"),
)


def document(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a list of one release, with changes to that release."""
    file = {"filename": "demo-1.0.tar.gz", "url": "https://x/demo", "sha256": "0" * 64, "size": 1}
    file |= {"packagetype": "sdist", "uploaded": "2024-01-01T00:00:00Z"}
    release = {"version": "1.0", "uploaded": "2024-01-01T00:00:00Z", "yanked": False, "prerelease": False}
    release |= {"requires_python": None, "files": [file]}
    return {"format": 1, "subject": "demo", "as_of": "2026-01-01", "releases": [release | changes]}


def written(folder: Path, content: object) -> Path:
    """Write a document to a file."""
    path = folder / "demo.releases.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_the_committed_list_holds_what_is_known_of_oras() -> None:
    """All 56 releases are there, none yanked, four of them source only, in the order of versions, not of time."""
    listed = read_releases(COMMITTED)
    assert len(listed.releases) == len(listed.judged()) == 56
    assert [release.version for release in listed.releases if release.sdist_only] == [
        "0.0.0",
        "0.0.14",
        "0.0.15",
        "0.0.16",
    ]
    assert (listed.releases[0].version, listed.releases[-1].version) == ("0.0.0", "0.2.43")
    assert not any(release.yanked or release.prerelease for release in listed.releases)
    assert listed.find("0.1.2").uploaded > listed.find("0.1.19").uploaded
    assert all(file.url.startswith("https://files.pythonhosted.org/") for r in listed.releases for file in r.files)


@pytest.mark.parametrize("forms", [{"json"}, {"simple-json"}, {"json", "simple-json"}])
def test_an_index_is_read_by_either_api(forms: set[str]) -> None:
    """The JSON API and the JSON form of the simple API give the same list."""
    with Index(FILES, frozenset(forms)) as index:
        listed = fetch_releases("Demo", DAY, index.address)
        demo = index.base
    assert [release.version for release in listed.releases] == ["0.1", "1.9", "1.10", "2.0rc1"]
    assert [release.version for release in listed.judged()] == ["0.1", "1.10"]
    assert len(listed.judged(prereleases=True, yanked=True)) == 4
    nine = listed.find("1.9")
    assert (nine.yanked, nine.prerelease, nine.uploaded) == (True, False, "2024-01-31T12:00:00.000000Z")
    assert [(file.packagetype, file.sha256) for file in nine.files] == [
        ("bdist_wheel", FILES[1].sha256),
        ("sdist", FILES[2].sha256),
    ]
    assert nine.files[0].url == f"{demo}/files/demo-1.9-py3-none-any.whl"
    assert listed.find("2.0rc1").requires_python == ">=3.9"
    assert (listed.as_of, listed.find("0.1").sdist_only) == ("2026-01-01", True)


def test_a_mirror_that_answers_html_only_keeps_times_that_were_known() -> None:
    """The HTML form tells no time and no size; files of the old list keep theirs by sha256, others have none."""
    with Index(FILES, frozenset({"json"})) as index:
        known = fetch_releases("demo", DAY, index.address).find("1.10").files
    with Index(FILES, frozenset({"simple-html"})) as index:
        listed = fetch_releases("demo", DAY, index.address, known)
    assert listed.find("1.10").uploaded == "2024-03-01T00:00:00.000000Z"
    assert listed.find("1.10").files[0].size == len(FILES[0].data)
    assert (listed.find("0.1").uploaded, listed.find("0.1").files[0].size) == ("", None)
    assert listed.find("1.9").yanked


def test_the_list_is_of_the_day_asked_for() -> None:
    """What was uploaded after that day is left out, also single files of a release."""
    with Index(FILES) as index:
        listed = fetch_releases("demo", date(2024, 1, 31), index.address)
    assert [release.version for release in listed.releases] == ["0.1", "1.9"]
    assert [file.packagetype for file in listed.find("1.9").files] == ["sdist"]


def test_an_index_without_the_package_says_so() -> None:
    """A name that the index does not have is another error than an index that does not answer."""
    with Index(FILES) as index, pytest.raises(UnknownSubjectError, match="no releases of a package 'nodemo'"):
        fetch_releases("nodemo", DAY, index.address)


@pytest.mark.parametrize("status", [500, 503, 403])
def test_an_index_that_does_not_answer_is_an_error(status: int) -> None:
    """A server that refuses gives no list."""
    with Index(FILES, status=status) as index, pytest.raises(IndexUnreachableError, match=str(status)):
        fetch_releases("demo", DAY, index.address)


def test_an_unreachable_index_leaves_the_old_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends with status 2 and one line, without the index's password, and the file is as it was."""
    path = written(tmp_path, document())
    before = path.read_bytes()
    with Index(FILES) as index:
        gone = index.address.replace("127.0.0.1", "user:secret@127.0.0.1")
    assert cli.main(["releases", "demo", "--file", str(path), "--update", "--index", gone]) == cli.USAGE
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cannot be read" in said
    assert "nothing was changed" in said
    assert "secret" not in said
    assert path.read_bytes() == before


def test_update_writes_the_list_and_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command leaves a file that reads back the same, also where there was a broken one, and prints a table."""
    path = written(tmp_path, "{broken")
    with Index(FILES) as index:
        arguments = ["releases", "demo", "--file", str(path), "--update", "--index", index.address]
        assert cli.main([*arguments, "--as-of", "2026-01-01"]) == cli.FINE
    table = capsys.readouterr().out
    assert "1.9            2024-01-31 yanked" in table
    assert "2.0rc1         2025-01-01 pre-release, Python >=3.9" in table
    assert table.endswith("4 releases of demo as of 2026-01-01, 2 judged\n")
    listed = read_releases(path)
    write_releases(tmp_path / "again.json", listed)
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert cli.main(["releases", "demo", "--file", str(path), "--json"]) == cli.FINE
    assert json.loads(capsys.readouterr().out)["subject"] == "demo"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON"),
        ([], "is not a list of releases of format 1 (found 'list')"),
        ({"format": 2}, "is not a list of releases of format 1 (found 2)"),
        (document() | {"as_of": "soon"}, "as_of 'soon' is not a date"),
        (document() | {"releases": {}}, "the list: 'releases' is {}"),
        (document() | {"releases": [7]}, "release number 1: int where an object should be"),
        (document(version="first"), "release first: not a PEP 440 version"),
        (document(version="1.0-beta"), "the normal form of this version is 1.0b0"),
        (document(yanked="no"), "release 1.0: 'yanked' is 'no'"),
        (document(files=[]), "release 1.0: has no files"),
        (document(files=[{"filename": "x"}]), "release 1.0: 'url' is missing"),
        (document(files=[document()["releases"][0]["files"][0] | {"sha256": "beef"}]), "demo-1.0.tar.gz has no sha256"),
        (document() | {"releases": document()["releases"] * 2}, "release 1.0 comes after 1.0"),
    ],
)
def test_a_broken_list_is_named_in_one_line(tmp_path: Path, content: object, problem: str) -> None:
    """Each way to be broken is told with the file, the place and what to do."""
    path = written(tmp_path, content)
    with pytest.raises(ReleasesError) as raised:
        read_releases(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert problem in message
    assert "--update" in message
    assert "\n" not in message


def test_a_missing_list_is_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is an error of use."""
    assert cli.main(["releases", "demo", "--file", str(tmp_path / "no.json")]) == cli.USAGE
    assert "cannot be read (No such file or directory)" in capsys.readouterr().err


def test_a_release_that_does_not_exist_is_named_with_its_neighbours() -> None:
    """The message helps to find the right one."""
    with pytest.raises(UnknownReleaseError, match=r"oras has no release 0\.2\.26 .*0\.2\.43"):
        read_releases(COMMITTED).find("0.2.26")


@pytest.mark.parametrize(
    ("environ", "index"),
    [
        ({}, PYPI),
        ({"PIP_INDEX_URL": "https://a/simple/"}, "https://a/simple"),
        ({"UV_INDEX_URL": "https://b/simple", "PIP_INDEX_URL": "https://a/simple"}, "https://b/simple"),
        ({"UV_DEFAULT_INDEX": "ours=https://c/simple"}, "https://c/simple"),
        ({"UV_DEFAULT_INDEX": "https://c/simple?key=1"}, "https://c/simple?key=1"),
    ],
)
def test_the_index_is_the_one_that_uv_and_pip_are_told(environ: dict[str, str], index: str) -> None:
    """Their variables count, uv's before pip's; without any it is PyPI."""
    assert configured_index(environ) == index


def test_addresses_are_shown_without_credentials() -> None:
    """User and password of an index reach no message."""
    assert without_credentials("https://me:key@host:8443/simple") == "https://host:8443/simple"

"""The database of all releases: built from archives on loopback, incrementally, whatever the archives are."""

import io
import json
import sqlite3
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indexes import File as Distribution
from indexes import Index, wheel
from signature_tools import FIXTURES, files_of, listed, signature, source_distribution

from matrix import cli
from matrix.files import atomic_write
from matrix.releases import Release, ReleaseList, write_releases
from matrix.signatures import build, store
from matrix.signatures.archives import MAX_FILE, ArchiveError, read_archive
from matrix.signatures.download import DownloadError, fetch
from matrix.signatures.lookup import Namespace
from matrix.signatures.reading import read_source

TOPICS = sorted(path.name for path in FIXTURES.iterdir())


@pytest.fixture
def index() -> Iterator[Index]:
    """Return an index that has two releases of a package, and more that tests add."""
    files = [wheel("nested", version, files_of("nested", version), ["requests>=2"]) for version in ("1.0", "2.0")]
    with Index(files) as running:
        yield running


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return where a test keeps its database."""
    return tmp_path / "signatures.sqlite"


def built(database: Path, index: Index, *more: Distribution) -> dict[str, build.Outcome]:
    """Build the database from what the index has, and return what became of each release."""
    index.files = [*index.files, *more]
    releases = listed(index.base, *index.files)
    outcomes = build.build(database, releases, downloads=database.parent / "downloads")
    return {one.version: one for one in outcomes}


def names(database: Path, version: str) -> Namespace:
    """Return a release as the database has it."""
    with store.open_store(database) as connection:
        return Namespace(store.load_releases(connection, [version])[version])


def test_wheels_are_fetched_read_and_stored(database: Path, index: Index) -> None:
    """All releases of the list are in the database, with their requirements."""
    outcomes = built(database, index)
    assert [one.status for one in outcomes.values()] == ["read", "read"]
    assert signature(names(database, "1.0"), "nested.Holder.Inside.method") == "(self, e)"
    assert signature(names(database, "2.0"), "nested.Holder.Inside.method") == "(self, e, f=1)"
    assert names(database, "2.0").release.requires == ("requests>=2",)


@pytest.mark.parametrize("topic", TOPICS)
def test_stored_release_is_what_was_read(topic: str, tmp_path: Path) -> None:
    """Nothing is lost on the way through the database: every definition, condition and import comes back as it was."""
    file = wheel("subject", "1.0", files_of(topic, "1.0"))
    path = tmp_path / file.filename
    path.write_bytes(file.data)
    read = {one.module: read_source(one) for one in read_archive(path).files}
    with Index([file]) as running:
        build.build(tmp_path / "s.sqlite", listed(running.base, file), downloads=tmp_path)
    stored = names(tmp_path / "s.sqlite", "1.0").release.modules
    assert stored.keys() == read.keys()
    for module, source in read.items():
        assert stored[module].definitions == source.definitions
        assert stored[module].imports == source.imports
        assert stored[module].exports == source.exports


def test_second_build_fetches_and_reads_nothing(database: Path, index: Index) -> None:
    """What is there already is left alone."""
    built(database, index)
    asked = list(index.asked)
    outcomes = built(database, index)
    assert {one.status for one in outcomes.values()} == {"unchanged"}
    assert index.asked == asked


def test_unchanged_files_are_stored_once(database: Path, index: Index) -> None:
    """A file that two releases share is one row, and goes only with the last of them."""
    files = files_of("nested", "2.0")
    built(database, index, wheel("nested", "3.0", {**files, "extra.py": "a = 1\n"}))
    with store.open_store(database) as connection:
        assert connection.execute("SELECT count(*) FROM file").fetchone() == (3,)
        store.forget_release(connection, "2.0")
        store.forget_unused(connection)
        assert connection.execute("SELECT count(*) FROM file").fetchone() == (3,)
        store.forget_release(connection, "3.0")
        store.forget_unused(connection)
        assert connection.execute("SELECT count(*) FROM file").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM release").fetchone() == (1,)
        used = "SELECT count(DISTINCT body) FROM definition"
        assert connection.execute("SELECT count(*) FROM body").fetchone() == connection.execute(used).fetchone()


def test_replaced_archive_is_read_again(database: Path, index: Index) -> None:
    """A release whose file has another digest than the one that was read is read again."""
    built(database, index)
    index.files = [wheel("nested", "1.0", files_of("nested", "2.0")), *index.files[1:]]
    assert built(database, index)["1.0"].status == "read"
    assert signature(names(database, "1.0"), "nested.Holder.Inside.method") == "(self, e, f=1)"


def test_many_files_are_read_by_several_processes(database: Path, index: Index) -> None:
    """What processes read is what is read without them."""
    many = wheel(
        "nested", "3.0", {f"module_{n}.py": f"def f{n}(a, b={n}): pass\n" for n in range(build.WORTH_PROCESSES + 1)}
    )
    built(database, index, many)
    assert signature(names(database, "3.0"), "module_7.f7") == "(a, b=7)"


def test_sdist_only_release(database: Path, index: Index) -> None:
    """A release without a wheel is read from its source distribution: its packages, not its setup and tests."""
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: nested\nRequires-Dist: attrs\n",
        "setup.py": "raise SystemExit('never run')\n",
        "tests/test_it.py": "def test(): pass\n",
        "src/made/__init__.py": "def f(a): pass\n",
    }
    built(database, index, source_distribution("nested", "0.1", files))
    release = names(database, "0.1").release
    assert sorted(release.modules) == ["made"]
    assert release.requires == ("attrs",)


def test_egg_info_tells_what_is_installed(tmp_path: Path) -> None:
    """An old sdist says in its egg-info what its packages and its requirements are."""
    files = {
        "pkg.egg-info/top_level.txt": "pkg\ntests\n",
        "pkg.egg-info/requires.txt": "requests\n\n[extra]\nboto3\n\n[:python_version < '3']\nfutures\n",
        "pkg/__init__.py": "",
        "tests/__init__.py": "",
        "other/__init__.py": "",
    }
    archive = read_archive(saved(tmp_path, source_distribution("pkg", "1", files)))
    assert [one.module for one in archive.files] == ["pkg", "tests"]
    assert archive.requires == ("requests", "boto3 ; extra == 'extra'", "futures ; (python_version < '3')")


def test_package_dir_of_setup_cfg(tmp_path: Path) -> None:
    """Packages may lie in any folder that setup.cfg names."""
    files = {"setup.cfg": "[options]\npackage_dir =\n    = lib\n", "lib/pkg.py": "", "tool.py": ""}
    archive = read_archive(saved(tmp_path, source_distribution("pkg", "1", files)))
    assert [one.module for one in archive.files] == ["pkg"]


def test_zip_sdist(tmp_path: Path) -> None:
    """A source distribution may be a zip file."""
    path = tmp_path / "pkg-1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pkg-1/pkg.py", "def f(): pass\n")
    assert [one.module for one in read_archive(path).files] == ["pkg"]


def test_data_folders_of_a_wheel_land_on_the_path(tmp_path: Path) -> None:
    """What lies in purelib and platlib is installed, scripts and data are no modules."""
    files = {
        "pkg-1.data/purelib/a.py": "",
        "pkg-1.data/platlib/b.py": "",
        "pkg-1.data/scripts/c.py": "",
        "pkg-1.data/d.py": "",
    }
    assert [one.module for one in read_archive(saved(tmp_path, wheel("pkg", "1", files))).files] == ["a", "b"]


def saved(folder: Path, file: Distribution) -> Path:
    """Write a distribution to a folder."""
    path = folder / file.filename
    path.write_bytes(file.data)
    return path


# Bad input


def bad_archives() -> dict[str, tuple[str, bytes]]:
    """Return archives that cannot be read, with what is said of them."""
    good = wheel("bad", "1", {"a.py": "a = 1\n" * 100})
    broken = bytearray(good.data)
    broken[60:80] = b"\0" * 20
    return {
        "corrupt": ("cannot be read", b"no zip at all"),
        "cut": ("cannot be read", good.data[: len(good.data) // 2]),
        "damaged": ("cannot be read", bytes(broken)),
        "empty": ("holds no Python source", wheel("bad", "1", {"README.txt": "text"}).data),
    }


@pytest.mark.parametrize("kind", sorted(bad_archives()))
def test_release_that_cannot_be_read_is_kept_with_its_reason(kind: str, database: Path, index: Index) -> None:
    """A corrupt wheel, or one without Python, does not stop the others, and is told in the database."""
    reason, data = bad_archives()[kind]
    outcomes = built(database, index, Distribution("nested", "1.5", "nested-1.5-py3-none-any.whl", data))
    assert outcomes["1.5"].status == "failed"
    assert reason in str(outcomes["1.5"].reason)
    assert outcomes["2.0"].status == "read"
    assert reason in str(names(database, "1.5").release.reason)


def test_files_that_cannot_be_parsed_do_not_stop_the_others(database: Path, index: Index) -> None:
    """Python 2, an unknown encoding: told for that file, and the release's other files are read."""
    files = {"old.py": "print 'x'\n", "odd.py": "# coding: no-such\n", "good.py": "def f(a): pass\n"}
    built(database, index, wheel("nested", "1.5", files))
    assert signature(names(database, "1.5"), "good.f") == "(a)"
    with store.open_store(database) as connection:
        told = store.unreadable(connection)
    assert [(release, module) for release, module, _ in told] == [("1.5", "odd"), ("1.5", "old")]


def test_another_digest_than_listed_is_refused(tmp_path: Path, index: Index) -> None:
    """A file that is not what the list of releases says is not read."""
    outcomes = build.build(tmp_path / "s", listed(index.base, index.files[0], sha256="0" * 64), downloads=tmp_path)
    assert outcomes[0].absent
    assert "the list of releases says" in str(outcomes[0].reason)
    with pytest.raises(DownloadError, match="list of releases"):
        build.require(outcomes)


def test_index_that_does_not_answer(database: Path, index: Index) -> None:
    """A release that cannot be fetched is not stored as anything, so that the next build asks again."""
    index.status = 503
    assert {one.absent for one in built(database, index).values()} == {True}
    with store.open_store(database) as connection:
        assert store.stored_archives(connection) == {}
    index.status = 200
    assert {one.status for one in built(database, index).values()} == {"read"}


def test_damaged_cache_is_fetched_again(tmp_path: Path, index: Index) -> None:
    """A cached file is checked before it is used."""
    file = index.files[0]
    path = fetch(f"{index.base}/files/{file.filename}", file.sha256, tmp_path)
    path.write_bytes(b"rotten")
    assert fetch(f"{index.base}/files/{file.filename}", file.sha256, tmp_path).read_bytes() == file.data


def test_archive_that_unpacks_to_too_much(tmp_path: Path) -> None:
    """A small archive with a huge file in it is refused before it is unpacked."""
    path = tmp_path / "bomb-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", b"#" * (MAX_FILE + 1))
    with pytest.raises(ArchiveError, match="more than a package holds"):
        read_archive(path)


def test_names_outside_of_the_archive_are_no_modules(tmp_path: Path) -> None:
    """Names that climb out, and links, are passed over."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        link = tarfile.TarInfo("pkg-1/link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("pkg-1/../out.py"))
        archive.addfile(tarfile.TarInfo("pkg-1/in.py"))
        archive.addfile(tarfile.TarInfo("pkg-1/fine.py"))
    path = tmp_path / "pkg-1.tar.gz"
    path.write_bytes(packed.getvalue())
    assert [one.path for one in read_archive(path).files] == ["fine.py", "in.py"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["x-1-py3-none-any.whl", "x-1.tar.gz", "x-1.zip"]), st.integers(0, 400))
def test_any_damage_is_told(tmp_path_factory: pytest.TempPathFactory, noise: bytes, name: str, at: int) -> None:
    """Archives with noise in them are read or refused with a reason, never anything else."""
    good = (
        wheel("x", "1", {"a.py": "b = 1\n"}).data
        if "tar" not in name
        else source_distribution("x", "1", {"a.py": ""}).data
    )
    path = tmp_path_factory.getbasetemp() / name
    atomic_write(path, good[:at] + noise + good[at + len(noise) :])
    try:
        found = read_archive(path).files
    except ArchiveError:
        found = ()
    assert all(one.module for one in found)


# The database


def test_another_schema_version_is_refused(database: Path, index: Index) -> None:
    """A database of another version is not touched, and the message says what to do."""
    built(database, index)
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(store.StoreError, match=r"schema version 99.*delete it and run"):
        built(database, index)


@pytest.mark.parametrize(
    "content", [b"this is no database, but long enough to be taken for one" * 30, b"SQLite format 3\0" + b"x" * 100]
)
def test_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    """Any other file in its place is told, not overwritten."""
    path = tmp_path / "signatures.sqlite"
    path.write_bytes(content)
    with pytest.raises(store.StoreError, match="cannot be used"), store.open_store(path, create=True):
        pass
    assert path.read_bytes() == content


def test_database_that_is_not_there(tmp_path: Path) -> None:
    """Reading what was never built says how to build it."""
    with pytest.raises(store.StoreError, match="build it with"), store.open_store(tmp_path / "none"):
        pass


def test_release_that_is_not_there(database: Path, index: Index) -> None:
    """A version that was never read is told with the command that reads it."""
    built(database, index)
    with store.open_store(database) as connection, pytest.raises(store.StoreError, match=r"--releases 9\.9"):
        store.load_releases(connection, ["9.9"])


def test_interrupted_build_leaves_the_database_as_it_was(
    database: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of storing rolls all of it back."""
    built(database, index)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "add_release", interrupt)
    with pytest.raises(KeyboardInterrupt):
        built(database, index, wheel("nested", "3.0", {"late.py": "a = 1\n"}))
    with store.open_store(database) as connection:
        assert sorted(store.stored_archives(connection)) == ["1.0", "2.0"]
        assert connection.execute("SELECT count(*) FROM file WHERE module = 'late'").fetchone() == (0,)


def test_schema_has_keys_and_indices(database: Path, index: Index) -> None:
    """References hold, and what is looked up by name has an index."""
    built(database, index)
    with store.open_store(database) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        plan = connection.execute("EXPLAIN QUERY PLAN SELECT * FROM definition WHERE qualname = 'outer'").fetchall()
        assert "definition_qualname" in plan[0][3]
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("INSERT INTO parameter VALUES (99999, 0, 'a', 'keyword-only', NULL, NULL)")


def test_documented_query_runs(database: Path, index: Index) -> None:
    """The query in the documentation gives what it says, for this package as for that one."""
    built(database, index)
    text = (Path(__file__).parents[1] / "docs" / "signatures.md").read_text()
    query = text.partition("```sql\n")[2].partition("```")[0]
    query = query.replace("oras.provider", "nested").replace("Registry.push", "Holder.Inside.method")
    with store.open_store(database) as connection:
        assert connection.execute(query).fetchall() == [("1.0", "self, e"), ("2.0", "self, e, f")]


# The command


def release_list(tmp_path: Path, index: Index) -> list[str]:
    """Write the list of releases and return the options that name it."""
    releases: tuple[Release, ...] = tuple(listed(index.base, *index.files))
    write_releases(tmp_path / "list.json", ReleaseList("nested", "2026-11-20", releases))
    return ["--subject", "nested", "--list", f"{tmp_path / 'list.json'}", "--database", f"{tmp_path / 's.sqlite'}"]


def test_command_builds_and_tells(tmp_path: Path, index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what it read, and what it could not."""
    index.files = [*index.files, Distribution("nested", "3.0", "nested-3.0-py3-none-any.whl", b"junk")]
    options = [*release_list(tmp_path, index), "--downloads", f"{tmp_path}"]
    assert cli.main(["signatures", *options]) == cli.FINE
    told = capsys.readouterr().out
    assert "2 read, 0 unchanged, 1 failed" in told
    assert "3.0            failed: nested-3.0-py3-none-any.whl cannot be read" in told


def test_command_prints_json(tmp_path: Path, index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` prints definitions, signatures, and where members are inherited from."""
    index.files = [wheel("nested", "1.0", files_of("inherited", "1.0"))]
    options = [*release_list(tmp_path, index), "--downloads", f"{tmp_path}", "--releases", "1.0", "--json"]
    assert cli.main(["signatures", *options]) == cli.FINE
    (release,) = json.loads(capsys.readouterr().out)["releases"]
    (child,) = [one for one in release["modules"]["inherited"]["definitions"] if one["qualname"] == "Grandchild"]
    assert child["signature"] == "(name, size=1)"
    assert child["inherited"]["shared"] == "inherited.base.Base"
    assert child["mro"][:3] == ["inherited.Grandchild", "inherited.Child", "inherited.base.Base"]


def test_command_fails_where_the_index_does(tmp_path: Path, index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    """Releases that could not be fetched are an error of the environment."""
    options = [*release_list(tmp_path, index), "--downloads", f"{tmp_path}"]
    index.status = 503
    assert cli.main(["signatures", *options]) == cli.USAGE
    assert "cannot be fetched" in capsys.readouterr().err


def test_command_refuses_an_unknown_release(tmp_path: Path, index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    """A release that the list does not hold is told in one line."""
    assert cli.main(["signatures", *release_list(tmp_path, index), "--releases", "7.7"]) == cli.USAGE
    assert "no release 7.7" in capsys.readouterr().err

"""What surrounds a call: files are seen, and brought into a state, without ever leaving the working folders."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.agent.templates import Templates
from matrix.agent.values import sha256
from matrix.agent.world import Files, difference, environment

HI = ("file", sha256(b"hi"), False)
NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", "link", "up", "c.txt", "\0"]), max_size=4)
PATHS = st.builds(
    lambda root, parts: "/".join([root, *parts]), st.sampled_from(["{work}", "{tmp}", "{no}", "", "/"]), NAMES
)
ENTRIES = st.sampled_from(
    [None, ["dir"], list(HI), ["link", ".."], ["link", "../outside"], ["link", "b"], ["link", "."]]
)
SOME = settings(max_examples=150, deadline=None)


class World:
    """Two working folders with something beside them, and what is known of their contents."""

    def __init__(self, folder: Path) -> None:
        """Make the folders below ``folder``."""
        self.folder, self.blobs = folder, {sha256(b"hi"): b"hi"}
        self.work, self.tmp, self.outside = (folder / name for name in ("work", "tmp", "outside"))
        for path in (self.work, self.tmp, self.outside):
            path.mkdir(parents=True)
        (self.outside / "secret").write_text("keep")
        roots = {"work": str(self.work), "tmp": str(self.tmp)}
        self.files = Files(roots, self.store, Templates({"tmp": str(self.tmp)}))

    def store(self, data: bytes) -> str:
        """Keep a content."""
        self.blobs[sha256(data)] = data
        return sha256(data)

    def look(self) -> dict[str, Any]:
        """Return what changed since the last look."""
        self.files.dirty = True
        return self.files.scan()

    def apply(self, changes: dict[str, Any]) -> None:
        """Bring files into a state."""
        self.files.apply(changes, self.blobs.__getitem__)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return two empty working folders."""
    return World(tmp_path)


def test_scan(world: World) -> None:
    """Folders, files, links and what is executable are seen, once."""
    (world.work / "d").mkdir()
    (world.work / "d" / "a.txt").write_bytes(b"hi")
    (world.work / "run").write_bytes(b"hi")
    (world.work / "run").chmod(0o755)
    (world.work / "link").symlink_to("d/a.txt")
    assert world.look() == {
        "{work}/d": ("dir",),
        "{work}/d/a.txt": HI,
        "{work}/link": ("link", "d/a.txt"),
        "{work}/run": ("file", sha256(b"hi"), True),
    }
    assert world.look() == {}


def test_changes(world: World) -> None:
    """A changed content is seen, and what is gone; a file that was written again unchanged is not."""
    path = world.work / "a"
    path.write_bytes(b"hi")
    world.look()
    path.write_bytes(b"ho")
    assert world.look() == {"{work}/a": ("file", sha256(b"ho"), False)}
    path.write_bytes(b"ho")
    assert world.look() == {}
    path.unlink()
    assert world.look() == {"{work}/a": None}


def test_what_is_left_out(world: World) -> None:
    """Caches, the suite's code, and links that name this machine are no data."""
    (world.work / "__pycache__").mkdir()
    (world.work / "test_a.py").write_text("x")
    (world.work / "absolute").symlink_to(world.outside)
    (world.work / "leaving").symlink_to("../tmp")
    os.mkfifo(world.work / "pipe")
    assert world.look() == {}


def test_text_that_names_this_machine(world: World) -> None:
    """A text with a folder in it is stored as a template, and shown with this machine's folder again."""
    (world.work / "a").write_text(f"see {world.tmp}/x")
    (entry,) = world.look().values()
    assert entry[0] == "text"
    assert world.blobs[entry[1]] == b"see {tmp}/x"
    world.apply({"{work}/b": list(entry)})
    assert (world.work / "b").read_text() == f"see {world.tmp}/x"


def test_apply(world: World) -> None:
    """A state is brought about: what is missing is made, what is of another kind is replaced, what is gone removed."""
    (world.work / "file").mkdir()
    (world.work / "dir").write_text("x")
    (world.work / "old").mkdir()
    (world.work / "old" / "x").write_text("x")
    (world.work / "link").write_text("x")
    changes = {
        "{work}/file": list(HI),
        "{work}/dir": ["dir"],
        "{work}/old": None,
        "{work}/old/x": None,
        "{work}/link": ["link", "file"],
        "{tmp}/new/deep/run": ["file", sha256(b"hi"), True],
    }
    world.apply(changes)
    assert (world.work / "file").read_bytes() == b"hi"
    assert (world.work / "dir").is_dir()
    assert not (world.work / "old").exists()
    assert (world.work / "link").readlink() == Path("file")
    assert (world.tmp / "new/deep/run").stat().st_mode & 0o111


def test_apply_what_was_scanned(world: World, tmp_path: Path) -> None:
    """What is seen in one place can be brought about in another."""
    (world.work / "d" / "e").mkdir(parents=True)
    (world.work / "d" / "e" / "a").write_bytes(b"hi")
    (world.work / "l").symlink_to("d/e")
    seen = world.look()
    other = World(tmp_path / "other")
    other.apply({name: list(entry) for name, entry in seen.items()})
    assert other.look() == {}
    assert other.files.entries == seen


@given(changes=st.lists(st.dictionaries(PATHS, ENTRIES, max_size=4), max_size=4))
@SOME
def test_what_was_applied_is_known(tmp_path_factory: pytest.TempPathFactory, changes: list[dict[str, Any]]) -> None:
    """After any changes, a look at the disk finds what is known already: nothing else, and nothing more."""
    world = World(tmp_path_factory.mktemp("world"))
    for change in changes:
        try:
            world.apply(change)
        except (ValueError, OSError):
            return
    assert world.look() == {}


@pytest.mark.parametrize(
    "name",
    [
        "{work}",
        "{work}/",
        "{work}/..",
        "{work}/../outside/secret",
        "{work}/a/../../outside/x",
        "/etc/x",
        "{no}/a",
        "a",
        "{work}//a",
        "{work}/./a",
        "{work}/a\0b",
    ],
)
@pytest.mark.parametrize("entry", [None, ["dir"], list(HI), ["link", "x"]], ids=str)
def test_path_that_leaves(world: World, name: str, entry: Any) -> None:  # noqa: ANN401 # an entry
    """A name that leads out of the working folders is refused, whatever is to be done there."""
    with pytest.raises(ValueError, match="outside of the working folders"):
        world.apply({name: entry})


@pytest.mark.parametrize("entry", [None, ["dir"], list(HI), ["link", "x"]], ids=str)
def test_link_that_leaves(world: World, entry: Any) -> None:  # noqa: ANN401 # an entry
    """Nothing is written or removed through a link that leads out, also one that was made in the same step."""
    (world.work / "out").symlink_to(world.outside)
    with pytest.raises(ValueError, match="leaves the working folders through a link"):
        world.apply({"{work}/out/secret": entry})
    with pytest.raises(ValueError, match="leaves the working folders through a link"):
        world.apply({"{work}/new": ["link", "../outside"], "{work}/new/secret": entry or list(HI)})
    assert [path.name for path in world.outside.iterdir()] == ["secret"]
    assert (world.outside / "secret").read_text() == "keep"


def test_link_itself(world: World) -> None:
    """A link is replaced, and not what it leads to."""
    (world.work / "link").symlink_to("../outside/secret")
    world.apply({"{work}/link": list(HI)})
    assert (world.outside / "secret").read_text() == "keep"
    assert (world.work / "link").read_bytes() == b"hi"


def test_removed_link(world: World) -> None:
    """A link to a folder is removed, and not the folder."""
    (world.work / "link").symlink_to("../outside")
    world.apply({"{work}/link": None})
    assert (world.outside / "secret").exists()


@given(changes=st.lists(st.dictionaries(PATHS, ENTRIES, max_size=4), max_size=3))
@SOME
def test_any_changes(tmp_path_factory: pytest.TempPathFactory, changes: list[dict[str, Any]]) -> None:
    """Whatever names and links come, in whatever order, nothing outside is touched."""
    world = World(tmp_path_factory.mktemp("world"))
    for change in changes:
        try:
            world.apply(change)
        except (ValueError, OSError):
            continue
    beside = {path.name for path in world.folder.iterdir()}
    assert beside == {"work", "tmp", "outside"}
    assert [(path.name, path.read_text()) for path in world.outside.iterdir()] == [("secret", "keep")]


def test_bring(world: World) -> None:
    """A whole state is brought about: what does not belong to it is removed, folders that it lies in stay."""
    (world.work / "old").write_text("x")
    (world.work / "d").mkdir()
    world.files.dirty = True
    world.files.bring({"{work}/d/a": HI}, world.blobs.__getitem__)
    assert sorted(path.name for path in world.work.rglob("*")) == ["a", "d"]


def test_variables() -> None:
    """Variables that were set, changed or unset are told; those of the test runner are not."""
    old = {"A": "1", "B": "2", "C": "3", "PYTEST_CURRENT_TEST": "x"}
    new = {"A": "1", "B": "3", "D": "4", "PYTEST_CURRENT_TEST": "y"}
    assert difference(old, new) == {"B": "3", "C": None, "D": "4"}


def test_the_environment_is_told_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that was set, changed or removed since the last look shows; what was told before stays as it was."""
    monkeypatch.setenv("CALIPER_COLOUR", "red")
    before = environment()
    monkeypatch.setenv("CALIPER_COLOUR", "green")
    after = environment()
    monkeypatch.delenv("CALIPER_COLOUR")
    assert (before["CALIPER_COLOUR"], after["CALIPER_COLOUR"]) == ("red", "green")
    assert difference(before, after) == {"CALIPER_COLOUR": "green"}
    assert difference(after, environment()) == {"CALIPER_COLOUR": None}

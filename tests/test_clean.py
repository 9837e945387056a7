"""Emptying the cache."""

import json
import os
from pathlib import Path

import pytest

from matrix import cli
from matrix.commands.clean import cache_folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache folder of a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder()


def test_the_cache_is_emptied(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything in it goes, and it is told how much that was; a second time there is nothing."""
    (cache / "demo").mkdir(parents=True)
    (cache / "demo" / "run.json").write_bytes(b"x" * 1_500_000)
    assert cli.main(["clean"]) == cli.FINE
    assert capsys.readouterr().out == f"removed 1.5 MB in {cache}\n"
    assert not cache.exists()
    assert cli.main(["clean"]) == cli.FINE
    assert capsys.readouterr().out == f"nothing to remove in {cache}\n"
    assert cli.main(["clean", "--json"]) == cli.FINE
    assert json.loads(capsys.readouterr().out) == {"folder": str(cache), "bytes": 0}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may remove anything")
def test_what_cannot_be_removed_is_named(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and exit status 2."""
    (cache / "demo").mkdir(parents=True)
    (cache / "demo" / "run.json").touch()
    (cache / "demo").chmod(0o500)
    assert cli.main(["clean"]) == cli.USAGE
    (cache / "demo").chmod(0o700)
    assert "cannot be removed (Permission denied); remove it by hand" in capsys.readouterr().err


def test_a_link_in_the_cache_is_not_followed(cache: Path, tmp_path: Path) -> None:
    """What it points to stays."""
    cache.mkdir(parents=True)
    (tmp_path / "kept").write_text("kept")
    (cache / "link").symlink_to(tmp_path / "kept")
    assert cli.main(["clean"]) == cli.FINE
    assert (tmp_path / "kept").read_text() == "kept"

"""The stranger: who runs a replay is noise, which a baseline finds."""

import os
import subprocess
import sys
from pathlib import Path

from matrix.agent import stranger
from matrix.commands.record import as_a_stranger

LOOK = """
import os, sys, tarfile
assert __name__ == "__main__"
owner = os.stat(sys.argv[1])
with open(sys.argv[1]) as file, tarfile.open(sys.argv[1] + ".tar", "w") as archive:
    print(owner.st_uid, owner.st_gid, os.lstat(sys.argv[1]).st_uid, os.fstat(file.fileno()).st_uid)
    print(archive.gettarinfo(sys.argv[1]).uid, owner.st_size, owner.st_mtime_ns == os.stat(sys.argv[1]).st_mtime_ns)
"""


def test_a_stranger_sees_another_owner(tmp_path: Path) -> None:
    """Files of this user seem to be a stranger's, also in an archive; everything else of them is as it is."""
    (tmp_path / "look.py").write_text(LOOK, encoding="utf-8")
    (tmp_path / "file").write_text("12345", encoding="utf-8")
    with as_a_stranger(Path(sys.executable)) as python:
        command = [str(python), str(tmp_path / "look.py"), str(tmp_path / "file")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    other = str(stranger.STRANGER)
    assert done.stdout.split() == [other, other, other, other, other, "5", "True"]


def test_files_of_others_keep_their_owner(tmp_path: Path) -> None:
    """Only what belongs to this user changes hands."""
    look = stranger.seen_by_stranger(os.stat)
    assert look(tmp_path).st_uid == stranger.STRANGER
    elsewhere = os.stat_result((0o40755, 1, 2, 3, os.getuid() + 1, 5, 6, 7, 8, 9))
    assert stranger.seen_by_stranger(lambda: elsewhere)() is elsewhere

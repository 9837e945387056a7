"""Leave in the image what a run needs: no tests of libraries, no runs, one copy of each compiled module.

The environments share the files of their packages by hard links, but each compiled its own bytecode when the build ran
the matrix. Bytecode of the same source is the same but for the path in it, which Python mends when it loads it.
"""

import shutil
import sys
from pathlib import Path

# What no run needs of the large libraries, 45 MB of 260: their suites, what is for compilers and type checkers, and the
# compiled twins of modules that only writing PDF would need fast.
UNUSED = (
    *("pandas/tests", "numpy/*/tests", "numpy/tests", "matplotlib/tests", "mpl_toolkits/*/tests"),
    *("**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.c", "**/*.h", "**/*.a"),
    "fontTools/**/*.so",
)
# What the run that filled the environments left: the next one is to do the whole job, as it would anywhere.
RUNS = (".nox/.cache/caliper/*/runs", ".nox/.cache/caliper/*/*.stamp.json", "cache/caliper-matrix/downloads")


def remove(folder: Path, patterns: tuple[str, ...]) -> None:
    """Remove all that matches in ``folder``."""
    for pattern in patterns:
        for path in list(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def share_bytecode(folder: Path) -> int:
    """Make the bytecode of sources that are one file one file, and return how many bytes that frees."""
    first: dict[tuple[int, str], Path] = {}
    freed = 0
    for compiled in sorted(folder.rglob("__pycache__/*.pyc")):
        name, tag, _ = compiled.name.split(".", 2)
        try:
            source = (compiled.parent.parent / f"{name}.py").stat()
        except FileNotFoundError:
            compiled.unlink()
            continue
        kept = first.setdefault((source.st_ino, tag), compiled)
        if kept != compiled and not kept.samefile(compiled):
            freed += compiled.stat().st_size
            compiled.unlink()
            compiled.hardlink_to(kept)
    return freed


def open_up(folder: Path) -> None:
    """Let everybody read what root made for itself; only what needs it is touched, for touching copies in a layer."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        wanted = mode | (0o555 if path.is_dir() else 0o444)
        if mode != wanted:
            path.chmod(wanted)


def main() -> int:
    """Tidy the folder that is given."""
    folder = Path(sys.argv[1])
    for packages in folder.glob(".nox/engine/lib/python*/site-packages"):
        remove(packages, UNUSED)
    remove(folder, RUNS)
    open_up(folder)
    print(f"{share_bytecode(folder / '.nox') >> 20} MB of bytecode shared")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Leave in the image what a run needs: no tests of libraries, no runs, one copy of each file.

The environments share the files of each package by hard links, but releases differ in few of their files, and each
environment compiled its own bytecode when the build ran the matrix. Bytecode of the same source is the same but for the
path in it, which Python mends when it loads it.
"""

import hashlib
import shutil
import stat
import sys
from pathlib import Path

# What no run needs of the engine's libraries, by what would need it.
UNUSED = (
    # their own suites
    *("pandas/tests", "numpy/*/tests", "numpy/tests", "matplotlib/tests", "mpl_toolkits/*/tests"),
    "numpy/_core/_simd.*.so",
    # compilers, type checkers and scanners
    *("**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.c", "**/*.h", "**/*.a", "numpy/f2py", "*.dist-info/sboms"),
    # other formats than PNG and SVG, formulas in another font than the text's
    *("fontTools/**/*.so", "PIL/_avif.*.so", "pillow.libs/libavif-*.so*"),
    *("matplotlib/mpl-data/fonts/afm", "matplotlib/mpl-data/fonts/pdfcorefonts"),
    *("matplotlib/mpl-data/fonts/ttf/STIX*.ttf", "matplotlib/mpl-data/sample_data"),
    # environments that virtualenv makes: uv makes those here
    "virtualenv/seed/wheels/embed/*.whl",
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


def share_files(folder: Path) -> int:
    """Make equal files one file, bytecode left out, and return how many bytes that frees."""
    sources = {source_of(compiled) for compiled in folder.rglob("__pycache__/*.pyc")}
    equal: dict[tuple[str, int], list[list[Path]]] = {}
    for paths in by_inode(folder).values():
        kind = hashlib.sha256(paths[0].read_bytes()).hexdigest(), paths[0].stat().st_mode
        equal.setdefault(kind, []).append(paths)
    freed = 0
    for groups in equal.values():
        # Bytecode holds the time of its source: one that has some is the one to keep.
        kept = max(groups, key=lambda paths: any(path in sources for path in paths))
        for paths in groups:
            if paths is not kept:
                freed += paths[0].stat().st_size
                for path in paths:
                    path.unlink()
                    path.hardlink_to(kept[0])
    return freed


def by_inode(folder: Path) -> dict[int, list[Path]]:
    """Return the paths of each file below a folder that holds anything and is no bytecode."""
    found: dict[int, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size and path.suffix != ".pyc":
            found.setdefault(status.st_ino, []).append(path)
    return found


def source_of(compiled: Path) -> Path:
    """Return the source of bytecode."""
    return compiled.parent.parent / f"{compiled.name.partition('.')[0]}.py"


def fits(compiled: Path) -> bool:
    """Tell whether Python would take bytecode for what its source says today: it holds the time of its source."""
    source = source_of(compiled)
    with compiled.open("rb") as file:
        time = int.from_bytes(file.read(12)[8:], "little")
    return source.exists() and time == int(source.stat().st_mtime)


def share_bytecode(folder: Path) -> int:
    """Make the bytecode of sources that are one file one file, and return how many bytes that frees.

    Bytecode of a source that is gone goes.
    """
    first: dict[tuple[int, str], Path] = {}
    freed = 0
    for compiled in sorted(folder.rglob("__pycache__/*.pyc"), key=lambda path: (not fits(path), path)):
        source = source_of(compiled)
        which = (source.stat().st_ino if source.exists() else 0, compiled.name.partition(".")[2])
        kept = first.setdefault(which, compiled) if fits(compiled) else first.get(which)
        if kept is None or not kept.samefile(compiled):
            freed += compiled.stat().st_size
            compiled.unlink()
        if kept is not None and not compiled.exists():
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
    freed = share_files(folder / ".nox"), share_bytecode(folder / ".nox")
    print(f"shared {freed[0] >> 20} MB of equal files, {freed[1] >> 20} MB of bytecode")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a wheel or an sdist would put on the path: its Python files by module, and its declared dependencies."""

import configparser
import email.parser
import hashlib
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from matrix.errors import CaliperError

# More than the largest package on the index needs; a smaller archive that unpacks to more is an attack.
MAX_FILE, MAX_TOTAL = 32 * 2**20, 512 * 2**20
SUFFIX = ".py"
# At the top of an sdist these are not what gets installed, unless `top_level.txt` says so.
NOT_INSTALLED = {"test", "tests", "testing", "doc", "docs", "example", "examples", "benchmark", "benchmarks", "tools"}


class ArchiveError(CaliperError):
    """A wheel or an sdist that cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class File:
    """A Python file of a release: ``module`` is its dotted name, ``package`` tells ``__init__.py``."""

    path: str
    module: str
    package: bool
    data: bytes

    @property
    def key(self) -> tuple[str, str, bool]:
        """What tells it from other files: content, and where it lies."""
        return hashlib.sha256(self.data).hexdigest(), self.module, self.package


@dataclass(frozen=True, slots=True)
class Archive:
    """What is installed of a release: files in the order of their paths, requirements as declared."""

    files: tuple[File, ...]
    requires: tuple[str, ...]


def read_archive(path: Path) -> Archive:
    """Read a wheel (``.whl``), a zip or a tar sdist without unpacking it to disk.

    Raises:
        ArchiveError: it is damaged, of an unknown format, larger than any package or holds no Python.
    """
    try:
        archive = _read_wheel(path) if path.suffix == ".whl" else _read_sdist(path)
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, NotImplementedError) as error:
        message = f"{path.name} cannot be read: {str(error) or type(error).__name__}"
        raise ArchiveError(message) from error
    if not archive.files:
        message = f"{path.name} holds no Python source"
        raise ArchiveError(message)
    return archive


def _read_wheel(path: Path) -> Archive:
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist() if not entry.is_dir()}
        wanted = _limit(path, {name: size for name, size in sizes.items() if _wheel_place(name) is not None})
        files = [_file(str(_wheel_place(name)), archive.read(name)) for name in wanted]
        metadata = [name for name in sizes if name.endswith(".dist-info/METADATA") and name.count("/") == 1]
        requires = _declared(archive.read(metadata[0])) if metadata else ()
    return Archive(_sorted(files), requires)


def _wheel_place(name: str) -> str | None:
    """Return where a wheel's file lands on the path, or None where it is not a module."""
    parts = PurePosixPath(name).parts
    if parts[0].endswith(".data"):
        parts = parts[2:] if len(parts) > 2 and parts[1] in {"purelib", "platlib"} else ()  # noqa: PLR2004
    return "/".join(parts) if _is_module(parts) else None


def _is_module(parts: tuple[str, ...]) -> bool:
    """Tell whether the path can be imported: every part of it is an identifier."""
    return (
        bool(parts)
        and parts[-1].endswith(SUFFIX)
        and all(part.isidentifier() for part in (*parts[:-1], parts[-1][:-3]))
    )


def _limit(path: Path, sizes: Mapping[str, int]) -> Iterator[str]:
    """Yield the names in order.

    Raises:
        ArchiveError: one of them, or all together, are larger than any package.
    """
    if sum(sizes.values()) > MAX_TOTAL or any(size > MAX_FILE for size in sizes.values()):
        message = f"{path.name} unpacks to more than a package holds"
        raise ArchiveError(message)
    yield from sorted(sizes)


def _file(place: str, data: bytes) -> File:
    parts = PurePosixPath(place).with_suffix("").parts
    package = parts[-1] == "__init__" and len(parts) > 1
    return File(place, ".".join(parts[:-1] if package else parts), package, data)


def _sorted(files: list[File]) -> tuple[File, ...]:
    return tuple(sorted(files, key=lambda file: file.path))


def _declared(metadata: bytes) -> tuple[str, ...]:
    """Return the ``Requires-Dist`` fields."""
    message = email.parser.BytesHeaderParser().parsebytes(metadata)
    return tuple(str(value) for value in message.get_all("Requires-Dist", []))


def _read_sdist(path: Path) -> Archive:
    """Read a zip or tar sdist: its single top folder is what a build starts from."""
    contents = _zip_contents(path) if path.suffix == ".zip" else _tar_contents(path)
    inside = {name.partition("/")[2]: data for name, data in contents.items() if "/" in name}
    found = [name for name in sorted(inside) if name.endswith("egg-info/top_level.txt")]
    egg_info = found[0].removesuffix("top_level.txt") if found else ""
    root = _source_root(inside)
    tops = set(inside.get(f"{egg_info}top_level.txt", b"").decode("utf-8", "replace").split()) if egg_info else set()
    files = [_file(name.removeprefix(root), data) for name, data in inside.items() if _installed(name, root, tops)]
    requires = _declared(inside.get("PKG-INFO", b""))
    if not requires and egg_info:
        requires = _egg_requires(inside.get(f"{egg_info}requires.txt", b""))
    return Archive(_sorted(files), requires)


def _source_root(inside: Mapping[str, bytes]) -> str:
    """Return the folder of the packages: ``package_dir`` of setup.cfg, else ``src/`` where it is used, else the top."""
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_string(inside.get("setup.cfg", b"").decode("utf-8", "replace"))
        folder = config.get("options", "package_dir", fallback="").strip().removeprefix("=").strip()
    except configparser.Error:
        folder = ""
    if folder and any(name.startswith(f"{folder}/") for name in inside):
        return f"{folder}/"
    return "src/" if any(name.startswith("src/") and name.endswith(SUFFIX) for name in inside) else ""


def _installed(name: str, root: str, tops: set[str]) -> bool:
    place = PurePosixPath(name.removeprefix(root))
    if not name.startswith(root) or not _is_module(place.parts):
        return False
    top = place.parts[0].removesuffix(SUFFIX)
    if tops:
        return top in tops
    return top not in NOT_INSTALLED | {"setup", "conftest", "noxfile"}


def _egg_requires(text: bytes) -> tuple[str, ...]:
    """Return requirements of egg-info's ``requires.txt``: sections are extras, and are marked so."""
    requires, marker = [], ""
    for line in text.decode("utf-8", "replace").splitlines():
        if line.startswith("["):
            extra, _, condition = line.strip("[] ").partition(":")
            tests = [f"extra == '{extra}'"] * bool(extra) + [f"({condition})"] * bool(condition)
            marker = f" ; {' and '.join(tests)}" if tests else ""
        elif line.strip():
            requires.append(line.strip() + marker)
    return tuple(requires)


def _zip_contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist() if _interesting(entry.filename)}
        return {name: archive.read(name) for name in _limit(path, sizes)}


def _tar_contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        members = {member.name: member for member in archive if member.isfile() and _interesting(member.name)}
        read: Callable[[str], bytes] = lambda name: (archive.extractfile(members[name]) or io.BytesIO()).read()  # noqa: E731
        return {name: read(name) for name in _limit(path, {name: member.size for name, member in members.items()})}


def _interesting(name: str) -> bool:
    return name.endswith((SUFFIX, "/PKG-INFO", "/setup.cfg", "egg-info/top_level.txt", "egg-info/requires.txt"))

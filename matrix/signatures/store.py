"""The database of signatures: opening, filling, reading it back. Its schema is `schema.sql`."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from matrix.errors import CaliperError
from matrix.signatures.model import Definition, Guard, Import, Parameter, ReleaseSource, Source

# Raised with every change of schema.sql, and of what the reader puts into it.
SCHEMA_VERSION = 1
Key = tuple[str, str, bool]
Row = tuple[object, ...]


class StoreError(CaliperError):
    """A database that cannot be used; the message says what to do."""


@contextmanager
def open_store(path: Path, *, create: bool = False) -> Iterator[sqlite3.Connection]:
    """Open the database; what is done in the ``with`` block is committed at its end, or not at all.

    Raises:
        StoreError: there is none (unless ``create``), it is of another schema version, or no such database.
    """
    if not create and not path.exists():
        message = f"{path} does not exist: build it with `caliper-matrix signatures`"
        raise StoreError(message)
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=30)
    try:
        _prepare(connection, path, create=create)
        with connection:
            yield connection
    except sqlite3.DatabaseError as error:
        message = f"{path} cannot be used ({error}): delete it and run `caliper-matrix signatures`"
        raise StoreError(message) from error
    finally:
        connection.close()


def _prepare(connection: sqlite3.Connection, path: Path, *, create: bool) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if empty and create:
        schema = resources.files("matrix.signatures").joinpath("schema.sql").read_text("utf-8")
        connection.executescript(f"BEGIN; {schema} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    elif version != SCHEMA_VERSION:
        message = (
            f"{path} has schema version {version}, this caliper-matrix reads {SCHEMA_VERSION}: "
            "delete it and run `caliper-matrix signatures`"
        )
        raise StoreError(message)
    connection.execute("PRAGMA foreign_keys = ON")


def stored_archives(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the sha256 of the archive that was read for each version that is in the database."""
    return dict(connection.execute("SELECT version, sha256 FROM release"))


def stored_files(connection: sqlite3.Connection) -> dict[Key, int]:
    """Return the row of each file that was read already."""
    rows = connection.execute("SELECT id, sha256, module, package FROM file")
    return {(sha256, module, bool(package)): identity for identity, sha256, module, package in rows}


def add_release(connection: sqlite3.Connection, release: ReleaseSource, files: Iterable[int]) -> None:
    """Put a release into the database, in place of what it held of that version; its files are there already."""
    forget_release(connection, release.version)
    cursor = connection.execute(
        "INSERT INTO release (version, filename, sha256, reason) VALUES (?, ?, ?, ?)",
        (release.version, release.filename, release.sha256, release.reason),
    )
    identity = cursor.lastrowid
    requirements = [(identity, position, source) for position, source in enumerate(release.requires)]
    connection.executemany("INSERT INTO requirement VALUES (?, ?, ?)", requirements)
    connection.executemany("INSERT INTO release_file VALUES (?, ?)", [(identity, file) for file in sorted(set(files))])


def forget_release(connection: sqlite3.Connection, version: str) -> None:
    """Take a release out; its files stay for the others."""
    connection.execute("DELETE FROM release WHERE version = ?", (version,))


def forget_unused(connection: sqlite3.Connection) -> None:
    """Take out files and bodies that no release holds any more."""
    connection.execute("DELETE FROM file WHERE id NOT IN (SELECT file FROM release_file)")
    connection.execute("DELETE FROM body WHERE sha256 NOT IN (SELECT body FROM definition WHERE body IS NOT NULL)")


def add_source(connection: sqlite3.Connection, source: Source) -> int:
    """Put one file into the database and return its row."""
    exports = None if source.exports is None else json.dumps(source.exports)
    cursor = connection.execute(
        "INSERT INTO file (sha256, module, package, exports, error) VALUES (?, ?, ?, ?, ?)",
        (source.sha256, source.module, source.package, exports, source.error),
    )
    file = int(cursor.lastrowid or 0)
    connection.executemany("INSERT OR IGNORE INTO body VALUES (?, ?)", source.bodies.items())
    for position, definition in enumerate(source.definitions):
        _add_definition(connection, file, position, definition)
    imports = [
        (file, position, item.module, item.name, item.line, item.deferred, json.dumps(_guards(item.guards)))
        for position, item in enumerate(source.imports)
    ]
    connection.executemany("INSERT INTO import VALUES (?, ?, ?, ?, ?, ?, ?)", imports)
    return file


def _add_definition(connection: sqlite3.Connection, file: int, position: int, item: Definition) -> None:
    row = (
        file, position, item.qualname, item.kind, item.access, item.line, item.end_line, item.target, item.value,
        item.annotation, item.body, item.is_async, item.is_generator, item.is_overload, item.on_instance, item.wraps,
    )  # fmt: skip
    marks = ", ".join("?" * len(row))
    identity = connection.execute(f"INSERT INTO definition VALUES (NULL, {marks})", row).lastrowid  # noqa: S608
    parameters = [
        (identity, number, one.name, one.kind, one.default, one.annotation)
        for number, one in enumerate(item.parameters)
    ]
    connection.executemany("INSERT INTO parameter VALUES (?, ?, ?, ?, ?, ?)", parameters)
    roles = {"decorator": item.decorators, "base": item.bases, "call": item.calls}
    parts = [(identity, role, number, text) for role, texts in roles.items() for number, text in enumerate(texts)]
    connection.executemany("INSERT INTO part VALUES (?, ?, ?, ?)", parts)
    guards = [(identity, number, *guard) for number, guard in enumerate(_guards(item.guards))]
    connection.executemany("INSERT INTO guard VALUES (?, ?, ?, ?, ?)", guards)


def _guards(guards: tuple[Guard, ...]) -> list[tuple[str, str, int]]:
    return [(guard.branch, guard.test, guard.line) for guard in guards]


def load_releases(connection: sqlite3.Connection, versions: Iterable[str] | None = None) -> dict[str, ReleaseSource]:
    """Return the releases (all, or those asked for), in the order in which the versions were asked for.

    Bodies are left out: `load_body` gives one by its digest.

    Raises:
        StoreError: a version is not in the database.
    """
    rows = {row[1]: row for row in connection.execute("SELECT id, version, filename, sha256, reason FROM release")}
    wanted = list(rows if versions is None else versions)
    for version in wanted:
        if version not in rows:
            message = f"release {version} is not in the database: run `caliper-matrix signatures --releases {version}`"
            raise StoreError(message)
    files = _release_files(connection, [rows[version][0] for version in wanted])
    sources = _load_sources(connection, {file for some in files.values() for file in some})
    requires = _grouped(connection.execute("SELECT release, source FROM requirement ORDER BY release, position"))
    return {version: _release(rows[version], files, sources, requires) for version in wanted}


def _release(
    row: tuple[int, str, str, str, str | None],
    files: dict[int, list[int]],
    sources: dict[int, Source],
    requires: dict[int, list[Row]],
) -> ReleaseSource:
    identity, version, filename, sha256, reason = row
    modules = {sources[file].module: sources[file] for file in files[identity]}
    declared = tuple(str(source) for (source,) in requires[identity])
    return ReleaseSource(version, filename, sha256, modules, declared, reason)


def _release_files(connection: sqlite3.Connection, releases: list[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {release: [] for release in releases}
    for release, file in connection.execute("SELECT release, file FROM release_file"):
        if release in found:
            found[release].append(file)
    return found


def _grouped(rows: Iterable[Row]) -> defaultdict[int, list[Row]]:
    groups: defaultdict[int, list[Row]] = defaultdict(list)
    for key, *rest in rows:
        groups[int(str(key))].append(tuple(rest))
    return groups


def _load_sources(connection: sqlite3.Connection, files: set[int]) -> dict[int, Source]:
    definitions = _load_definitions(connection, files)
    columns = "file, module, name, line, guards, deferred"
    imports = _grouped(connection.execute(f"SELECT {columns} FROM import ORDER BY file, position"))  # noqa: S608
    sources = {}
    for identity, sha256, module, package, exports, error in connection.execute(
        "SELECT id, sha256, module, package, exports, error FROM file"
    ):
        if identity in files:
            names = None if exports is None else tuple(json.loads(exports))
            read = tuple(_import(row) for row in imports[identity])
            sources[identity] = Source(
                module, bool(package), sha256, tuple(definitions[identity]), read, names, error=error
            )
    return sources


def _import(row: Row) -> Import:
    module, name, line, guards, deferred = row
    read = tuple(Guard(*guard) for guard in json.loads(str(guards)))
    return Import(str(module), None if name is None else str(name), int(str(line)), read, bool(deferred))


def _load_definitions(connection: sqlite3.Connection, files: set[int]) -> defaultdict[int, list[Definition]]:
    """Return the definitions by file: four queries, whatever their number."""
    parameters = _grouped(connection.execute("SELECT * FROM parameter ORDER BY definition, position"))
    parts = _grouped(connection.execute("SELECT definition, role, source FROM part ORDER BY definition, position"))
    guards = _grouped(connection.execute("SELECT * FROM guard ORDER BY definition, position"))
    found: defaultdict[int, list[Definition]] = defaultdict(list)
    for row in connection.execute("SELECT * FROM definition ORDER BY file, position"):
        identity, file, _, qualname, kind, _, line, end, target, value, annotation, body, *rest = row
        is_async, is_generator, is_overload, on_instance, wraps = rest
        if file not in files:
            continue
        roles = {"decorator": [], "base": [], "call": []}  # type: dict[str, list[str]]
        for role, source in parts[identity]:
            roles[str(role)].append(str(source))
        found[file].append(
            Definition(
                qualname=qualname,
                kind=kind,
                line=line,
                end_line=end,
                guards=tuple(Guard(*one[1:]) for one in guards[identity]),  # type: ignore[arg-type]
                parameters=tuple(Parameter(*one[1:]) for one in parameters[identity]),  # type: ignore[arg-type]
                decorators=tuple(roles["decorator"]),
                bases=tuple(roles["base"]),
                target=target,
                value=value,
                annotation=annotation,
                body=body,
                is_async=bool(is_async),
                is_generator=bool(is_generator),
                is_overload=bool(is_overload),
                on_instance=bool(on_instance),
                wraps=wraps,
                calls=tuple(roles["call"]),
            )
        )
    return found


def load_body(connection: sqlite3.Connection, sha256: str) -> str:
    """Return the source of a body by its digest."""
    row = connection.execute("SELECT source FROM body WHERE sha256 = ?", (sha256,)).fetchone()
    return "" if row is None else str(row[0])


def unreadable(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Return (release, module, reason) of each file that could not be parsed."""
    return connection.execute(
        "SELECT version, module, error FROM release JOIN release_file ON release = release.id"
        " JOIN file ON file.id = release_file.file WHERE error IS NOT NULL ORDER BY release.id, module"
    ).fetchall()

"""A results folder, read back. Without pandas: an answer should not wait for it."""

import csv
import difflib
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matrix.errors import CaliperError
from matrix.rows import CALL_COLUMNS, RANK, CallRow
from matrix.turned import ROW_COLUMNS

GRADES = ("works", "fails", "unknown")


class ResultsError(CaliperError):
    """Results that are not there, or not what they should be."""


class NoSuchError(CaliperError):
    """A function, test or release that the results do not have; tells which come close."""

    def __init__(self, name: str, known: Iterable[str], *, kind: str) -> None:
        """Keep the name."""
        names = list(known)
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = (
            f"close to it: {', '.join(close)}" if close else f"there are {len(names)}, such as {', '.join(names[:3])}"
        )
        super().__init__(f"there is no {kind} {name!r} in the results; {hint}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Results:
    """What a results folder says. ``cells`` and ``tests`` hold a verdict, and a grade, per release."""

    folder: Path
    subject: str
    recorded_release: str
    releases: tuple[str, ...]
    tiers: Mapping[str, str]
    cells: Mapping[str, Mapping[str, str]]
    tests: Mapping[str, Mapping[str, str]]
    reasons: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def reason(self, function: str, release: str) -> Mapping[str, Any]:
        """Return ``detail`` and the counts ``judged``, ``failing``, ``unreplayable`` of a cell, as far as told."""
        return self.reasons.get(function, {}).get(release, {})


def find_folder(folder: Path | None) -> Path:
    """Return ``folder``, or the one folder in ``results`` that holds a matrix.

    Raises:
        ResultsError: there is none, or more than one.
    """
    if folder is not None:
        return folder
    found = sorted(path.parent for path in Path("results").glob("*/matrix.csv"))
    if len(found) == 1:
        return found[0]
    if not found:
        message = "there is no results/*/matrix.csv here; make one with `nox -s matrix`, or say --results FOLDER"
    else:
        message = f"results holds {', '.join(path.name for path in found)}; say which with --results FOLDER"
    raise ResultsError(message)


def read_results(folder: Path) -> Results:
    """Read ``matrix.csv``, ``tests.csv`` and ``matrix.json`` of a results folder.

    Raises:
        ResultsError: a file is not there or does not hold what it should.
    """
    releases, rows = _table(folder / "matrix.csv", ROW_COLUMNS, RANK)
    tested, tests = _table(folder / "tests.csv", ("test", "profile"), GRADES)
    told = _told(folder / "matrix.json")
    if tested != releases or tuple(row.get("release") for row in told["releases"]) != releases:
        message = f"{folder}: its files are not of one run, they have different releases; make them anew"
        raise ResultsError(message)
    return Results(
        folder=folder,
        subject=told["subject"],
        recorded_release=told["recorded_release"],
        releases=releases,
        tiers={row["function"]: row["tier"] for row in rows},
        cells={row["function"]: {release: row[release] for release in releases} for row in rows},
        tests={f"{row['test']} [{row['profile']}]": {release: row[release] for release in releases} for row in tests},
        reasons={row["function"]: row["reasons"] for row in told["functions"]},
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path}: {error.strerror}; make it with `nox -s matrix`, or say --results FOLDER"
        raise ResultsError(message) from None


def _table(
    path: Path, columns: tuple[str, ...], allowed: Iterable[str]
) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Return the releases (what follows ``columns``) and the rows of a table."""
    try:
        reader = csv.DictReader(io.StringIO(_bytes(path).decode(), newline=""), strict=True)
        names = tuple(reader.fieldnames or ())
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _broken(path, str(error)) from None
    releases = names[len(columns) :]
    if names[: len(columns)] != columns or not releases:
        raise _broken(path, f"its columns are not {', '.join(columns)} and releases")
    for number, row in enumerate(rows, 2):
        for release in releases:
            if row[release] not in allowed or None in row:
                raise _broken(path, f"line {number}, {release}: {row[release]!r} is not what a cell can hold")
    return releases, rows


def _told(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(_bytes(path))
        named = {"subject": told["subject"], "recorded_release": told["recorded_release"]}
        releases = [{"release": row["release"]} for row in told["releases"]]
        functions = [{"function": row["function"], "reasons": row["reasons"]} for row in told["functions"]]
    except (ValueError, KeyError, TypeError):
        raise _broken(path, "it is no matrix of ours") from None
    return {**named, "releases": releases, "functions": functions}


def _broken(path: Path, why: str) -> ResultsError:
    return ResultsError(f"{path} cannot be read: {why}; make it anew with `nox -s matrix`")


def read_calls(folder: Path, **chosen: str) -> list[CallRow] | None:
    """Return the judged calls that hold what is ``chosen``; None where there is no ``calls.csv.gz`` (not committed).

    ``chosen`` maps columns to values: ``function="oras.utils.read_json", release="0.2.43"``.

    Raises:
        ResultsError: the file is damaged.
    """
    path = folder / "calls.csv.gz"
    if not path.exists():
        return None
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            return list(_calls(csv.DictReader(file, strict=True), chosen))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error, KeyError, ValueError, TypeError) as error:
        raise _broken(path, str(error) or type(error).__name__) from None


def _calls(reader: "csv.DictReader[str]", chosen: Mapping[str, str]) -> Iterator[CallRow]:
    if tuple(reader.fieldnames or ()) != CALL_COLUMNS:
        message = f"its columns are not {', '.join(CALL_COLUMNS)}"
        raise ValueError(message)
    for row in reader:
        if all(row[column] == value for column, value in chosen.items()):
            yield CallRow(**{**row, "call": int(row["call"])})  # type: ignore[arg-type]


def find_function(results: Results, name: str) -> str:
    """Return the definition path that ``name`` is, or the only one that ends with it.

    Raises:
        NoSuchError: none does.
        ResultsError: several do.
    """
    if name in results.cells:
        return name
    found = [path for path in results.cells if path.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NoSuchError(name, results.cells, kind="function")
    message = f"{name!r} may be {', '.join(found)}; say which"
    raise ResultsError(message)


def find_release(results: Results, name: str) -> str:
    """Return the release.

    Raises:
        NoSuchError: it is not among the judged ones.
    """
    if name not in results.releases:
        raise NoSuchError(name, reversed(results.releases), kind="release")
    return name

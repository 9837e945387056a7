"""``caliper-matrix predict``: what works on each release, told by reading alone, and how often that is right."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from matrix import cli
from matrix.accuracy import merge_scores
from matrix.commands.options import add_subject_options, built, name_of, releases_of
from matrix.files import atomic_write
from matrix.grid import Grid, GridRow, read_grid, render_grid
from matrix.predict import cells, predict, recorded_calls
from matrix.prediction_scores import disagreements, score, table
from matrix.rows import CallRow
from matrix.subject import load_subject
from matrix.trace import Trace, read_trace

EXAMPLES = """examples:
  caliper-matrix predict
  caliper-matrix predict --trace traces/oras-0.2.43-anonymous.trace.jsonl.gz --no-pictures
  caliper-matrix predict --json | jq .does_not_work.predictions.all_cells.f1

writes predictions.csv into the results folder and, where that holds a matrix.csv, also the scores (accuracy.json),
disagreements.csv and two pictures: predictions.png and disagreements.png (.svg too).
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_subject_options(parser, EXAMPLES)
    parser.add_argument(
        "--trace", type=Path, action="append", metavar="TRACE", help="may be given twice (default: all of the subject)"
    )
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where to write (default: results/NAME)")
    parser.add_argument("--no-pictures", dest="pictures", action="store_false", help="draw nothing")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON (the table of cells without any)")


def run(options: argparse.Namespace) -> int:
    """Predict, write, and score where there is something to score against."""
    folder = options.results or Path("results", name_of(options))
    replayed = read_grid(folder / "matrix.csv") if (folder / "matrix.csv").exists() else None
    traces = _traces(options)
    calls = [call for trace in traces for call in recorded_calls(str(trace.header.get("profile", "")), trace.events)]
    releases = built(options)
    also = load_subject(options.subject).also
    rows = [row for release in releases.values() for row in predict(release, calls, also)]
    predicted = grid_of(rows, list(releases), replayed)
    atomic_write(folder / "predictions.csv", render_grid(predicted))
    scored = None if replayed is None else _score(folder, predicted, replayed)
    if options.pictures:
        _draw(folder, options, str(traces[0].header.get("release", "")), predicted, replayed)
    print(_json(predicted, scored) if options.json else _text(folder, predicted, scored))
    return cli.FINE


def _traces(options: argparse.Namespace) -> list[Trace]:
    """Return the traces that predictions are made from.

    Raises:
        TraceError: there is none, or one cannot be read.
    """
    folder, name = Path("traces"), name_of(options)
    found = sorted(folder.glob(f"{name}-*.trace.jsonl.gz")) or [folder / f"{name}.trace.jsonl.gz"]
    return [read_trace(path) for path in options.trace or found]


def grid_of(rows: Sequence[CallRow], releases: Sequence[str], replayed: Grid | None) -> Grid:
    """Return the table of predictions, with the rows and releases of the replay's table where there is one."""
    found = {place: verdict for place, (verdict, _) in cells(rows).items()}
    before = replayed.rows if replayed else _rows(rows)
    columns = replayed.releases if replayed else tuple(releases)
    shown = {
        (row.function, release): found.get((row.function, release), "unknown") for row in before for release in columns
    }
    return Grid(before, columns, shown)


def _rows(rows: Sequence[CallRow]) -> tuple[GridRow, ...]:
    """Return the rows as the matrix has them, boundary functions first; nothing is unreplayable to a reader."""
    release = rows[0].release if rows else ""
    once = [row for row in rows if row.release == release]
    made = []
    for function in sorted({row.function for row in once}):
        own = [row for row in once if row.function == function]
        tier = min(row.tier for row in own)
        calls = [row for row in own if row.tier == tier]
        made.append(GridRow(function, tier, " ".join(sorted({row.profile for row in calls})), str(len(calls)), "0"))
    return tuple(sorted(made, key=lambda row: (row.tier, row.function)))


def _score(folder: Path, predicted: Grid, replayed: Grid) -> dict[str, Any]:
    scored = score(predicted, replayed)
    merge_scores(folder / "accuracy.json", "predictions", scored)
    cells_told = [astuple(one) for one in disagreements(predicted, replayed)]
    lines = [",".join(line) for line in [("function", "release", "predicted", "replayed", "kind"), *cells_told]]
    atomic_write(folder / "disagreements.csv", ("\n".join(lines) + "\n").encode())
    return scored


def _draw(
    folder: Path, options: argparse.Namespace, recorded_release: str, predicted: Grid, replayed: Grid | None
) -> None:
    from matrix import disagreements as picture  # noqa: PLC0415 # matplotlib takes most of a second
    from matrix.prediction_picture import draw  # noqa: PLC0415 # and pandas as much

    name = name_of(options)
    pictures = {"predictions": draw(releases_of(options), recorded_release, predicted)}
    if replayed is not None:
        pictures["disagreements"] = picture.draw(name, predicted, replayed)
    for stem, drawn in pictures.items():
        for suffix, data in drawn.items():
            atomic_write(folder / f"{stem}.{suffix}", data)


def _json(predicted: Grid, scored: Mapping[str, Any] | None) -> str:
    cells_by_function = {
        function: {release: predicted.cells[function, release] for release in predicted.releases}
        for function in predicted.functions
    }
    data = {"format": 1, "cells": cells_by_function} if scored is None else scored
    return json.dumps(data, indent=1, ensure_ascii=False)


def _text(folder: Path, predicted: Grid, scored: Mapping[str, Any] | None) -> str:
    verdicts = list(predicted.cells.values())
    counts = ", ".join(f"{verdicts.count(name):,} {name}" for name in sorted(set(verdicts)))
    lines = [
        f"{folder / 'predictions.csv'}: {len(predicted.rows)} functions on {len(predicted.releases)} releases: {counts}"
    ]
    if scored is None:
        return "\n".join([*lines, f"no {folder / 'matrix.csv'} to score against: run `nox -s matrix` first"])
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in scored["disagreements"].items())
    return "\n".join([*lines, "", table(scored), "", f"disagreements: {kinds or 'none'}"])

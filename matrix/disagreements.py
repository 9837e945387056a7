"""The third picture: where predictions and the replay disagree, and why."""

import io
from collections import Counter

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from matrix.grid import Grid
from matrix.heatmap import DPI, INK, LINE, SETTINGS, shorten
from matrix.prediction_scores import EXPLAINED, comparable, disagreements, fails

CELL = 0.17  # inches
AGREED = {"works": "both say that it works", "fails": "both say that it does not work"}
UNJUDGED = "replay does not judge"
# Apart in lightness as well as in hue, as the heatmap's are.
COLOURS = {
    UNJUDGED: "#ffffff", "works": "#dff1f6", "fails": "#c9ced3", "behaviour": "#eec02a", "blocked": "#9d84c9",
    "environment": "#431040", "dynamic name": "#8e2050", "dynamic signature": "#f0793f", "not readable": "#5b8fd6",
    "other verdict": "#7a8f5c",
}  # fmt: skip
NAMES = list(COLOURS)


def draw(subject: str, predicted: Grid, replayed: Grid) -> dict[str, bytes]:
    """Return the picture as ``png`` and ``svg``, the same bytes for the same tables."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        figure = _figure(subject, predicted, replayed)
        png, svg = io.BytesIO(), io.BytesIO()
        FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})  # type: ignore[no-untyped-call]
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return {"png": png.getvalue(), "svg": svg.getvalue()}


def kinds(predicted: Grid, replayed: Grid) -> dict[tuple[str, str], str]:
    """Return for each cell how the two agree, or the kind of reason why they do not."""
    cells = dict.fromkeys(
        ((function, release) for function in replayed.functions for release in replayed.releases), UNJUDGED
    )
    for place in comparable(predicted, replayed):
        cells[place] = "fails" if fails(replayed.cells[place]) else "works"
    cells.update({(one.function, one.release): one.kind for one in disagreements(predicted, replayed)})
    return cells


def _figure(subject: str, predicted: Grid, replayed: Grid) -> Figure:
    cells = kinds(predicted, replayed)
    functions, releases = replayed.functions, replayed.releases
    grid = np.array([[NAMES.index(cells[function, release]) for release in releases] for function in functions])
    width, height = 5.2 + CELL * len(releases), 2.6 + CELL * len(functions)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    axes = figure.add_axes((4.6 / width, 1.7 / height, CELL * len(releases) / width, CELL * len(functions) / height))
    axes.imshow(grid, cmap=ListedColormap(list(COLOURS.values())), vmin=0, vmax=len(COLOURS) - 1, aspect="auto")
    axes.set_xticks(range(len(releases)), releases, rotation=90, fontsize=7)
    axes.set_yticks(range(len(functions)), [shorten(function) for function in functions], fontsize=7)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, colors=INK)
    axes.set_xticks(np.arange(-0.5, len(releases)), minor=True)
    axes.set_yticks(np.arange(-0.5, len(functions)), minor=True)
    axes.grid(which="minor", color=LINE, linewidth=0.4)
    axes.tick_params(which="minor", length=0)
    figure.suptitle(f"{subject}: where predictions and the replay disagree", x=0.02, ha="left", fontsize=13, color=INK)
    _legend(figure, Counter(cells.values()))
    return figure


def _legend(figure: Figure, counts: Counter[str]) -> None:
    texts = {UNJUDGED: UNJUDGED, **AGREED, **{kind: f"{kind}: {text}" for kind, text in EXPLAINED.items()}}
    shown = [name for name in NAMES if counts[name]]
    patches = [
        Patch(facecolor=COLOURS[name], edgecolor=LINE, label=f"{texts[name]} ({counts[name]:,})") for name in shown
    ]
    figure.legend(handles=patches, loc="lower left", fontsize=8, frameon=False, ncols=2)

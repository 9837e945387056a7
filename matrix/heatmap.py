"""The matrix as a picture: a cell per function and release, in the colour and with the mark of its verdict.

Everything is placed in pixels of the PNG at 100 dots per inch, so that a label is as large at 100 % zoom as said here.
"""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from matrix.cells import Function, Table
from matrix.palette import STYLES
from matrix.rows import MEANING, UNREPLAYABLE, VERDICTS
from matrix.words import TIERS, WORKS, notes, subtitle, title

DPI = 100
CELL_WIDTH, CELL_HEIGHT = 20, 17
MARGIN, SERIES_GAP = 24, 5
SECTION_HEIGHT, MODULE_HEIGHT = 36, 23
BAR_HEIGHT, YEAR_HEIGHT = 40, 20
LEGEND_HEIGHT = 22
TEXT, SMALL, HEADING, TITLE = 11.5, 10.5, 14, 22
LABEL_MOST = 440
INK, QUIET, LINE, BAR = "#1b1f24", "#59636e", "#d0d7de", "#2f6f9f"
FONT = "DejaVu Sans"  # comes with matplotlib, so that every machine draws the same

# Nothing of a user's own settings may change the picture; the salt makes the SVG's names the same each time.
SETTINGS: Any = {
    "font.family": FONT,
    "svg.hashsalt": "caliper-matrix",
    "svg.fonttype": "path",
    "path.simplify": False,
}


def draw(table: Table) -> dict[str, bytes]:
    """Return the picture as ``png`` and ``svg``, the same bytes for the same table."""
    named = {"Title": title(table)}
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        figure = _figure(table)
        png, svg = io.BytesIO(), io.BytesIO()
        FigureCanvasAgg(figure).print_png(png, metadata={"Software": None, **named})  # type: ignore[no-untyped-call]
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None, **named})  # type: ignore[no-untyped-call]
    return {"png": png.getvalue(), "svg": svg.getvalue()}


@cache
def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Return how many pixels wide a text is that is ``size`` pixels high."""
    font = get_font(findfont(FontProperties(family=FONT, weight=weight)))
    font.set_size(size, 72)
    font.set_text(text)
    return float(font.get_width_height()[0]) / 64


@dataclass(frozen=True)
class _Layout:
    """Where things lie, in pixels from the top left corner."""

    table: Table

    @cached_property
    def lines(self) -> list[tuple[str, str | Function, float]]:
        """What lies below each other: sections, modules and functions with their upper edge."""
        placed: list[tuple[str, str | Function, float]] = []
        y = self.top
        for tier, functions in groupby(self.table.functions, key=lambda row: row.tier):
            placed.append(("section", tier, y))
            y += SECTION_HEIGHT
            for module, members in groupby(functions, key=lambda row: row.module):
                placed.append(("module", module, y))
                y += MODULE_HEIGHT
                for function in members:
                    placed.append(("function", function, y))
                    y += CELL_HEIGHT
        return placed

    @cached_property
    def rows(self) -> list[tuple[Function, float]]:
        """The functions with their upper edge."""
        return [(what, y) for _, what, y in self.lines if isinstance(what, Function)]

    @cached_property
    def left(self) -> float:
        """Where the first column begins."""
        widest = max(width_of(shorten(row.name), TEXT) for row in self.table.functions)
        headings = max(width_of(row.module, TEXT, "bold") for row in self.table.functions)
        return MARGIN + max(170, widest + 26, headings + 8)

    @cached_property
    def columns(self) -> list[float]:
        """The left edge of each release; a gap lies where the series (the first two numbers) changes."""
        x, edges, before = self.left, [], None
        for release in self.table.versions:
            series = release.split(".")[:2]
            x += SERIES_GAP if before not in (None, series) else 0
            edges.append(x)
            x, before = x + CELL_WIDTH, series
        return edges

    @cached_property
    def legend(self) -> list[list[tuple[float, str, str]]]:
        """The lines of the legend: place, verdict (or ``""`` for a heading) and text."""
        counts = Counter(cell.verdict for cell in self.table.cells.values())
        texts = {name: f"{name}: {MEANING[name].meaning} ({count:,})" for name, count in counts.items()}
        first = MARGIN + 112.0
        step = max(width_of(text, SMALL) for text in texts.values()) + 54
        across = max(1, int((self.width - MARGIN - first) // step))
        lines: list[list[tuple[float, str, str]]] = []
        for answer, heading in WORKS.items():
            names = [verdict.name for verdict in VERDICTS if verdict.works == answer and counts[verdict.name]]
            for start in range(0, len(names), across):
                items = [(first + step * place, name, texts[name]) for place, name in enumerate(names[start:][:across])]
                lines.append([(MARGIN, "", "" if start else heading), *items])
        return lines

    @cached_property
    def width(self) -> float:
        """The picture's width: the columns, or the title where that is wider."""
        words = max(width_of(title(self.table), TITLE, "bold"), width_of(subtitle(self.table), TEXT))
        return max(self.columns[-1] + CELL_WIDTH, MARGIN + words) + MARGIN

    @cached_property
    def versions(self) -> float:
        """The height of the longest version, written upwards."""
        return max(width_of(release, TEXT, "bold") for release in self.table.versions) + 12

    @cached_property
    def bars(self) -> float:
        """The upper edge of the first strip of bars."""
        return MARGIN + 62 + LEGEND_HEIGHT * len(self.legend) + 18

    @cached_property
    def top(self) -> float:
        """The upper edge of the cells and their headings."""
        strips = 1 if self.table.tests.empty else 2
        return self.bars + strips * (BAR_HEIGHT + 10) + YEAR_HEIGHT + self.versions

    @cached_property
    def bottom(self) -> float:
        """The lower edge of the last row."""
        return self.rows[-1][1] + CELL_HEIGHT

    @cached_property
    def height(self) -> float:
        """The picture's height."""
        return self.bottom + self.versions + MARGIN + (18 if notes(self.table) else 0)


def shorten(name: str) -> str:
    """Return a name that fits the column of labels, its end kept."""
    while width_of(name, TEXT) > LABEL_MOST:
        name = "…" + name.lstrip("…")[4:]
    return name


def _figure(table: Table) -> Figure:
    layout = _Layout(table)
    figure = Figure(figsize=(layout.width / DPI, layout.height / DPI), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, layout.width), ylim=(layout.height, 0))
    axes.set_axis_off()
    _head(axes, layout)
    _strips(axes, layout)
    _labels(axes, layout)
    _cells(axes, layout)
    _versions(axes, layout)
    return figure


def _text(axes: Axes, x: float, y: float, text: str, size: float = TEXT, **style: Any) -> None:  # noqa: ANN401
    """Write ``text``, ``size`` pixels high; a dollar sign in it is no formula."""
    style = {"color": INK, "va": "center", "parse_math": False, **style}
    axes.text(x, y, text, fontsize=size * 72 / DPI, **style)


def _head(axes: Axes, layout: _Layout) -> None:
    """Write the title and the legend of the verdicts that occur."""
    _text(axes, MARGIN, MARGIN + 12, title(layout.table), TITLE, weight="bold")
    _text(axes, MARGIN, MARGIN + 40, subtitle(layout.table), TEXT, color=QUIET)
    for number, line in enumerate(layout.legend):
        y = MARGIN + 72 + number * LEGEND_HEIGHT
        for x, verdict, text in line:
            if not verdict:
                _text(axes, x, y, text, SMALL, weight="bold")
                continue
            _rectangles(axes, [(x, y - 7, 18, 14, verdict)])
            _marks(axes, verdict, [(x + 9, y)])
            _text(axes, x + 24, y, text, SMALL)
    _text(axes, MARGIN, layout.height - MARGIN, notes(layout.table), SMALL, color=QUIET)


def _strips(axes: Axes, layout: _Layout) -> None:
    """Draw for each release the share of functions, and of tests, that work."""
    table = layout.table
    strips = {"functions that work": [table.working(release) for release in table.versions]}
    if not table.tests.empty:
        graded = Counter(zip(table.tests["release"], table.tests["gated"], strict=True))
        worked = [graded[release, "works"] for release in table.versions]
        failed = [graded[release, "fails"] for release in table.versions]
        shares = [(works, works + fails) for works, fails in zip(worked, failed, strict=True)]
        strips["tests that work"] = shares
    y = layout.bars
    for name, shares in strips.items():
        _strip(axes, layout, y, name, shares)
        y += BAR_HEIGHT + 10


def _strip(axes: Axes, layout: _Layout, y: float, name: str, shares: list[tuple[int, int]]) -> None:
    base = y + BAR_HEIGHT
    right = layout.columns[-1] + CELL_WIDTH
    _lines(axes, [(layout.left, y, right, y), (layout.left, base, right, base)], LINE)
    bars = []
    for x, (part, whole) in zip(layout.columns, shares, strict=True):
        if whole:
            bars.append((x + 3, base, 14.0, -BAR_HEIGHT * part / whole))
        else:
            _text(axes, x + CELL_WIDTH / 2, base - 8, "?", SMALL, ha="center", color=QUIET)
    _fill(axes, bars, BAR)
    _text(axes, layout.left - 10, y + BAR_HEIGHT / 2, name, TEXT, ha="right")
    most = max(shares, key=lambda share: share[1])[1]
    _text(axes, layout.left - 10, base - 3, f"of {most:,}", SMALL - 1, ha="right", color=QUIET)


def _labels(axes: Axes, layout: _Layout) -> None:
    """Write the headings and the functions' names, and rule a line above each module."""
    right = layout.columns[-1] + CELL_WIDTH
    rules = []
    for kind, what, y in layout.lines:
        if isinstance(what, Function):
            _text(axes, layout.left - 8, y + CELL_HEIGHT / 2, shorten(what.name), TEXT, ha="right")
        elif kind == "module":
            rules.append((MARGIN, y + MODULE_HEIGHT - 2, right, y + MODULE_HEIGHT - 2))
            _text(axes, MARGIN, y + MODULE_HEIGHT - 10, what, TEXT, weight="bold")
        else:
            count = sum(row.tier == what for row in layout.table.functions)
            text = (
                f"{TIERS[what].format(subject=layout.table.subject)}  ·  {what}, {count} function{'s' * (count != 1)}"
            )
            _text(axes, MARGIN, y + SECTION_HEIGHT - 15, text, HEADING, weight="bold", color=BAR)
    _lines(axes, rules, LINE)


def _cells(axes: Axes, layout: _Layout) -> None:
    """Fill the cells, runs of equal neighbours in one piece, then draw the gaps between cells and the marks.

    White cells come after the gaps, for their outlines would be lost in them.
    """
    pieces, gaps = [], []
    marks: dict[str, list[tuple[float, float]]] = {}
    for function, y in layout.rows:
        verdicts = [cell.verdict for cell in layout.table.row(function)]
        for x, width, verdict in _runs(layout.columns, verdicts):
            pieces.append((x, y, width, CELL_HEIGHT, verdict))
        for x, verdict in zip(layout.columns, verdicts, strict=True):
            marks.setdefault(verdict, []).append((x + CELL_WIDTH / 2, y + CELL_HEIGHT / 2))
            gaps.append((x, y, x, y + CELL_HEIGHT))
        gaps.append((layout.left, y, layout.columns[-1] + CELL_WIDTH, y))
    _rectangles(axes, pieces)
    _lines(axes, gaps, "white", 0.9)
    outlined = marks.get(UNREPLAYABLE, [])
    _rectangles(axes, [(x - 8.5, y - 7, 17, 14, UNREPLAYABLE) for x, y in outlined])
    for verdict in STYLES:
        _marks(axes, verdict, marks.get(verdict, []))


def _runs(columns: Sequence[float], verdicts: Sequence[str]) -> Iterator[tuple[float, float, str]]:
    """Yield the place, width and verdict of each run of equal cells that lie side by side."""
    start = 0
    for index in range(1, len(columns) + 1):
        adjacent = index < len(columns) and columns[index] == columns[index - 1] + CELL_WIDTH
        if not adjacent or verdicts[index] != verdicts[start]:
            yield columns[start], columns[index - 1] + CELL_WIDTH - columns[start], verdicts[start]
            start = index


def _rectangles(axes: Axes, pieces: Sequence[tuple[float, float, float, float, str]]) -> None:
    """Fill rectangles (place, size, verdict), those of a verdict as one path: a tenth of the SVG's size."""
    for name in dict.fromkeys(verdict for *_, verdict in pieces):
        colour = STYLES[name].colour
        own = [piece[:4] for piece in pieces if piece[4] == name]
        _fill(axes, own, colour, LINE if colour == "#ffffff" else "none")


def _fill(axes: Axes, places: Sequence[tuple[float, float, float, float]], colour: str, outline: str = "none") -> None:
    corners = [[(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)] for x, y, w, h in places]
    if corners:
        axes.add_artist(PathPatch(_path(corners), facecolor=colour, edgecolor=outline, linewidth=0.6))


def _lines(axes: Axes, ends: Sequence[tuple[float, float, float, float]], colour: str, width: float = 0.8) -> None:
    """Draw straight lines as one path."""
    if not ends:
        return
    path = _path([[(x, y), (to_x, to_y)] for x, y, to_x, to_y in ends])
    axes.add_artist(PathPatch(path, facecolor="none", edgecolor=colour, linewidth=width))


def _path(shapes: Sequence[Sequence[tuple[float, float]]]) -> Path:
    codes = [Path.LINETO if place else Path.MOVETO for shape in shapes for place, _ in enumerate(shape)]
    return Path([point for shape in shapes for point in shape], codes)


def _marks(axes: Axes, verdict: str, places: Sequence[tuple[float, float]]) -> None:
    """Draw the mark of a verdict at the middle of each of its cells; ``ok`` has none."""
    style = STYLES[verdict]
    if style.marker and places:
        xs, ys = zip(*places, strict=True)
        axes.scatter(xs, ys, s=style.size, marker=style.marker, c=style.ink, linewidths=style.line, alpha=0.85)


def _versions(axes: Axes, layout: _Layout) -> None:
    """Write the releases above and below their columns, and the years in which they came out above those."""
    for x, release in zip(layout.columns, layout.table.versions, strict=True):
        weight = "bold" if release == layout.table.recorded_release else "normal"
        middle = x + CELL_WIDTH / 2
        _text(axes, middle, layout.top - 4, release, TEXT, rotation=90, va="bottom", ha="center", weight=weight)
        _text(axes, middle, layout.bottom + 6, release, TEXT, rotation=90, va="top", ha="center", weight=weight)
    y = layout.top - layout.versions - YEAR_HEIGHT + 8
    years = [row.uploaded[:4] for row in layout.table.releases]
    rules = []
    for x, width, year in _runs(layout.columns, years):
        if not year:
            continue
        rules.append((x + 2, y + 9, x + width - 2, y + 9))
        _text(axes, x + width / 2, y, year if width > CELL_WIDTH else f"'{year[2:]}", SMALL, ha="center", color=QUIET)
    _lines(axes, rules, QUIET)

"""The picture: colours that everybody can tell apart, labels that can be read, and the same bytes each time."""

import io
import itertools
import re
import struct
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from judged import SMALL, Rows, large, rows
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread
from matplotlib.text import Text
from numpy.typing import NDArray

from matrix import heatmap, words
from matrix.cells import Extras, Table
from matrix.palette import STYLES
from matrix.rows import VERDICTS

Colours = NDArray[np.float64]

# How people see without red, green or blue cones (Machado, Oliveira, Fernandes 2009, severity 1), on linear RGB.
VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(colour: str) -> Colours:
    """Return a colour's linear red, green and blue."""
    values = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def seen(colour: str, vision: str) -> Colours:
    """Return the place in OKLab of a colour as somebody with this vision sees it."""
    return np.asarray(np.cbrt(TO_CONES @ np.clip(VISION[vision] @ linear(colour), 0, 1)) @ TO_OKLAB.T)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG defines it."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    light, dark = sorted((float(weights @ linear(colour)) for colour in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def shape(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def texts(table: Table) -> list[Text]:
    """Return the texts of the picture, drawn."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(heatmap.SETTINGS)
        figure = heatmap._figure(table)
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    return [text for text in figure.axes[0].texts if text.get_text()]


@pytest.fixture(scope="module")
def big() -> Table:
    """Return a table as large as that of oras."""
    return large().build("0.3.13")


@pytest.fixture(scope="module")
def drawn(big: Table) -> dict[str, bytes]:
    """Return its picture."""
    return heatmap.draw(big)


def test_every_verdict_has_a_style_of_its_own() -> None:
    """In the order of the verdicts; no two share a colour, a mark or a marker."""
    assert list(STYLES) == [verdict.name for verdict in VERDICTS]
    for part in ("colour", "mark", "marker"):
        assert len({getattr(style, part) for style in STYLES.values()}) == len(STYLES)


@pytest.mark.parametrize("vision", VISION)
def test_any_two_colours_can_be_told_apart(vision: str) -> None:
    """With all cones or without one kind, the distance is several times that which is just noticed (0.02)."""
    places = {name: seen(style.colour, vision) for name, style in STYLES.items()}
    distances = {
        pair: float(np.linalg.norm(places[pair[0]] - places[pair[1]])) for pair in itertools.combinations(places, 2)
    }
    closest = min(distances, key=distances.__getitem__)
    assert distances[closest] > 0.075, closest


@pytest.mark.parametrize("name", STYLES)
def test_marks_can_be_read_on_their_colour(name: str) -> None:
    """The contrast is what WCAG asks of graphics at least, 3:1."""
    assert contrast(STYLES[name].ink, STYLES[name].colour) > 3


@pytest.mark.parametrize("colour", [heatmap.INK, heatmap.QUIET, heatmap.BAR])
def test_text_can_be_read_on_white(colour: str) -> None:
    """The contrast is what WCAG asks of text, 4.5:1."""
    assert contrast(colour, "#ffffff") > 4.5


def test_labels_are_large_enough_at_full_size(big: Table) -> None:
    """No text is smaller than nine and a half pixels, no label smaller than eleven."""
    sizes = {text.get_text(): float(text.get_fontsize()) * heatmap.DPI / 72 for text in texts(big)}
    assert min(sizes.values()) >= 9.5
    assert all(sizes[name] > 11 for name in (*big.versions, *(row.name for row in big.functions)))


@pytest.mark.parametrize(
    ("made", "recorded"), [(large(), "0.3.13"), (large(40, 8), "0.3.1"), (SMALL, "1.1")], ids=["large", "few", "small"]
)
def test_no_text_overlaps_another_or_leaves_the_picture(made: Rows, recorded: str) -> None:
    """95 functions on 56 releases, 40 on 8, and a picture that is narrower than its title."""
    drawn = texts(made.build(recorded))
    boxes = [text.get_window_extent() for text in drawn]
    figure = drawn[0].get_figure()
    assert figure is not None
    for text, box in zip(drawn, boxes, strict=True):
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, text.get_text()
    for (text, box), (other, second) in itertools.combinations(zip(drawn, boxes, strict=True), 2):
        apart = box.x1 <= second.x0 or second.x1 <= box.x0 or box.y1 <= second.y0 + 2 or second.y1 <= box.y0 + 2
        assert apart, (text.get_text(), other.get_text())


def test_the_picture_says_what_it_is(big: Table) -> None:
    """Subject, recorded release, date, Python, share of calls replayed."""
    shown = [text.get_text() for text in texts(big)]
    assert shown[0] == "pkg: what works on each of 56 releases"
    assert "recorded on 0.3.13" in shown[1]
    assert "as of 2026-11-20" in shown[1]
    assert "Python 3.11" in shown[1]
    assert "63 of 63 boundary calls replayed (100 %)" in shown[1]
    assert "32 of 32 inner calls replayed (100 %)" in shown[1]


def test_functions_are_grouped_by_tier_and_module() -> None:
    """Headings tell who calls them and where they are; a label leaves out what its heading says."""
    shown = [text.get_text() for text in texts(SMALL.build())]
    start = shown.index("Called from outside pkg  ·  boundary, 4 functions")
    assert shown[start:][:10] == [
        "Called from outside pkg  ·  boundary, 4 functions", "pkg.core", "Thing.run", "make", "pkg.tools", "lock",
        "read_file", "Called only from inside pkg  ·  inner, 1 function", "pkg.hidden", "_Box.open",
    ]  # fmt: skip


def test_the_legend_lists_the_verdicts_that_occur_and_no_others() -> None:
    """Worst first among those that do not work; with how many cells have it."""
    table = rows("pkg.a boundary anonymous missing differs ok\npkg.b boundary anonymous crash ok ok", ["1", "2", "3"])
    shown = [text.get_text() for text in texts(table.build("3"))]
    listed = [word for word in shown if word.partition(":")[0] in STYLES or word in words.WORKS.values()]
    assert [word.partition(":")[0] for word in listed] == [
        "works", "differs", "ok", "does not work", "crash", "missing",
    ]  # fmt: skip
    assert listed[2].endswith("(3)")


def test_a_cell_has_the_colour_of_its_verdict(big: Table, drawn: dict[str, bytes]) -> None:
    """Looked up in the picture itself, near a corner of each cell, where no mark is."""
    image = np.rint(imread(io.BytesIO(drawn["png"]))[..., :3] * 255).astype(int)
    layout = heatmap._Layout(big)
    for function, y in layout.rows:
        for x, cell in zip(layout.columns, big.row(function), strict=True):
            red, green, blue = image[int(y) + 3, int(x) + 3]
            assert f"#{red:02x}{green:02x}{blue:02x}" == STYLES[cell.verdict].colour


def test_the_size_follows_the_table(drawn: dict[str, bytes]) -> None:
    """A cell is 20 by 17 pixels, so that 95 rows and 56 columns fit a wide screen's width."""
    width, height = shape(drawn["png"])
    assert 1400 < width < 1800
    assert 1900 < height < 3000


def test_the_same_table_gives_the_same_bytes_whatever_the_settings(big: Table, drawn: dict[str, bytes]) -> None:
    """A user's own matplotlib settings do not reach the picture, and are not touched."""
    with mpl.rc_context({"font.size": 30, "savefig.dpi": 10, "svg.fonttype": "none", "lines.linewidth": 9}):
        again = heatmap.draw(big)
        assert mpl.rcParams["font.size"] == 30
    assert again == drawn


def test_no_date_and_no_version_is_in_the_files(drawn: dict[str, bytes]) -> None:
    """They would differ from one machine to the next."""
    assert not re.search(rb"<dc:date>|[Mm]atplotlib v|tEXtSoftware", drawn["svg"] + drawn["png"])


def test_a_dollar_sign_is_no_formula() -> None:
    """Names and reasons are written as they are."""
    made = rows("pkg.core.$x_1$ boundary anonymous ok", ["1.1"]).build()
    assert "$x_1$" in [text.get_text() for text in texts(made)]
    assert heatmap.draw(made)["png"]


def test_a_very_long_name_is_cut_at_its_beginning() -> None:
    """The end of a path tells most."""
    name = "Very" * 40 + ".run"
    assert heatmap.shorten("short") == "short"
    assert heatmap.shorten(name).startswith("…")
    assert heatmap.shorten(name).endswith(".run")
    assert heatmap.width_of(heatmap.shorten(name), heatmap.TEXT) <= heatmap.LABEL_MOST


def test_releases_that_do_not_import_alone_are_told() -> None:
    """The line below names release and reason, several releases of one reason together."""
    reasons = ["no: needs boto3", "yes", "no: needs six", "no: needs six", "yes"]
    releases = tuple(replace(row, plain_import=answer) for row, answer in zip(SMALL.releases, reasons, strict=True))
    table = replace(SMALL, releases=releases).build()
    assert words.notes(table) == "Installed alone, these do not import: 0.9 (needs boto3); 1.0.dev1, 1.0 (needs six)"
    assert words.notes(SMALL.build()) == ""


@pytest.mark.parametrize(
    ("part", "whole", "told"),
    [
        (0, 7, "0 %"),
        (7, 7, "100 %"),
        (9999, 10000, "99.9 %"),
        (1, 10000, "under 0.1 %"),
        (1, 3, "33.3 %"),
        (0, 0, "0 %"),
    ],
)
def test_a_share_is_whole_only_when_it_is(part: int, whole: int, told: str) -> None:
    """Rounding never says that all works where something does not."""
    assert words.percent(part, whole) == told


def test_one_function_on_one_release_can_be_drawn() -> None:
    """The least there is; without tests there is one strip of bars, and no Python need be told."""
    made = rows("f boundary anonymous ok", ["1.1"]).build(extras=Extras())
    assert shape(heatmap.draw(made)["png"])[0] > 400


def test_releases_whose_upload_is_not_known_have_no_year() -> None:
    """A table of predictions has no uploads."""
    releases = tuple(replace(row, uploaded="") for row in SMALL.releases)
    assert "2024" not in [text.get_text() for text in texts(replace(SMALL, releases=releases).build())]

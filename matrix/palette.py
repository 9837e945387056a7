"""A colour and a mark for each verdict, for the heatmap and the report alike.

The colours are apart in lightness as well as in hue: any two differ by more than 0.075 in OKLab, also as people without
red or green cones see them (tests/test_heatmap.py simulates it), and the marks tell them apart without any colour.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Style:
    """The colour of a cell, the ink that is read on it, a mark of one character, and matplotlib's marker for it.

    ``size`` is the marker's in square points, ``line`` the width of its line in points (0 where it is filled).
    """

    colour: str
    ink: str
    mark: str
    marker: str
    size: float = 16
    line: float = 0


STYLES: dict[str, Style] = {
    "crash": Style("#000000", "#ffffff", "✶", "*", 34),
    "import-error": Style("#431040", "#ffffff", "■", "s", 5),
    "missing": Style("#8e2050", "#ffffff", "✕", "x", 14, 0.9),
    "signature": Style("#c9506f", "#ffffff", "≠", "D", 9),
    "shifted": Style("#f0793f", "#000000", "»", ">", 14),
    "timeout": Style("#7a5c00", "#ffffff", "◷", "o", 14),
    "raised": Style("#eec02a", "#000000", "▲", "^", 14),
    "changed": Style("#fbe58a", "#000000", "~", "_", 26, 1.1),
    "blocked": Style("#c9b3bd", "#000000", "·", ".", 12),
    "differs": Style("#5b8fd6", "#000000", "+", "+", 26, 1),
    "ok": Style("#bfe3ef", "#000000", "✓", ""),
    "unreplayable": Style("#ffffff", "#000000", "?", "$?$", 22),
    "install-error": Style("#8f9ba0", "#000000", "/", "$/$", 26),
}

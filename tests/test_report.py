"""The report, the summary, and what other programs read, in a real browser where there is one."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from judged import MASKS, RELEASES, SMALL, Rows, rows

from matrix.cells import Extras
from matrix.report import causes, machine, page, summary
from matrix.report.turns import group, order_of
from matrix.rows import works
from matrix.table import matrix_csv
from matrix.turned import Turned

HOSTILE = '</script><img src=x onerror="alert(1)">\x07 & | `*`'
Driver = Callable[[str], dict[str, Any]]
VOID = {"meta", "input", "link", "br", "img"}


class Page(HTMLParser):
    """What a page holds: its elements, and the text of each that has an id or is a cell."""

    def __init__(self, html: str) -> None:
        """Parse, and fail where an element is not closed."""
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close it."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        if self.open and self.open[-1] not in {"script", "style"}:
            self.text.append(data)

    def having(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """Return the attributes of the elements that have these."""
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]


@pytest.fixture(scope="module")
def html() -> str:
    """Return the report of the small results."""
    return page.render(SMALL.build(extras=Extras("3.11", masks=MASKS))).decode()


@pytest.fixture(scope="module")
def parsed(html: str) -> Page:
    """Return it, parsed."""
    return Page(html)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG defines it."""

    def light(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05

    return max(light(one), light(other)) / min(light(one), light(other))


def hostile() -> Rows:
    """Return rows in which a function, a test and a reason are written to break out."""
    name = "pkg.core.<locals>&\"'"
    calls = tuple(replace(row, detail=HOSTILE, function=name if row.call == 4 else row.function) for row in SMALL.calls)
    releases = tuple(replace(row, plain_import=f"no: {HOSTILE}") for row in SMALL.releases)
    return Rows(calls, SMALL.tests, releases)


def test_the_report_needs_no_network(html: str, parsed: Page) -> None:
    """No address but anchors, no import, and a policy that forbids the rest."""
    for _, attributes in parsed.elements:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp", html)
    assert parsed.having("meta", content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'")


def test_every_cell_says_its_verdict_in_words(parsed: Page) -> None:
    """Not by its colour alone; one verdict each."""
    table = SMALL.build()
    classes = [attributes["class"] for attributes in parsed.having("td") if "class" in attributes]
    verdicts = [name for name in classes if name and name not in {"number", "reason"}]
    assert verdicts == [cell.verdict for row in table.functions for cell in table.row(row)]


def test_a_cell_that_does_not_work_leads_to_its_cause_without_javascript(parsed: Page) -> None:
    """Each link is an anchor that is there."""
    anchors = {attributes["id"] for _, attributes in parsed.elements if "id" in attributes}
    links = [str(attributes["href"])[1:] for attributes in parsed.having("a")]
    table = SMALL.build()
    broken = sum(works(cell.verdict) != "yes" for cell in table.cells.values())
    assert sum(link.startswith("c") and link[1:].isdigit() for link in links) == broken
    assert set(links) <= anchors


def test_the_report_is_accessible_in_its_structure(parsed: Page) -> None:
    """A language, a title, one first heading, headers with a scope, a caption, labels for what can be changed."""
    assert parsed.having("html", lang="en")
    assert len(parsed.having("h1")) == 1
    assert all(attributes.get("scope") in {"col", "row", "rowgroup"} for attributes in parsed.having("th"))
    assert parsed.having("caption")
    labelled = [tag for tag, _ in parsed.elements].count("label")
    assert labelled == len(parsed.having("input")) + len(parsed.having("select"))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_on_its_background(html: str, scheme: int) -> None:
    """The contrast is what WCAG asks of text, 4.5:1, in both colour schemes."""
    colours = dict(re.findall(r"--(\w+): (#\w+)", re.findall(r":root \{(.*?)\}", html)[scheme]))
    for text in ("text", "quiet", "accent"):
        for ground in ("page", "raised"):
            assert contrast(colours[text], colours[ground]) > 4.5, (text, ground)


def test_the_filters_are_hidden_until_javascript_shows_them(parsed: Page) -> None:
    """What does nothing is not offered."""
    assert "hidden" in parsed.having("form", id="filters")[0]


def test_masked_fields_and_unreplayable_calls_are_listed(parsed: Page) -> None:
    """A reader sees what was not compared, and what was not judged and why."""
    text = " ".join(parsed.text)
    assert "return.headers['Date']" in text
    assert "unreplayable for a reason" in text
    assert "pkg.tools.lock" in text


def test_nothing_masked_and_nothing_unreplayable_is_said_too() -> None:
    """An absence is told, not left to guess."""
    text = " ".join(Page(page.render(rows("f boundary anonymous ok", ["1.1"]).build()).decode()).text)
    assert "every field of every outcome is compared" in text
    assert "every recorded call is judged" in text
    assert "Everything works everywhere." in text


def test_hostile_text_stays_text() -> None:
    """Names and reasons come from code that nobody vouches for."""
    html = page.render(hostile().build()).decode()
    parsed = Page(html)
    assert not parsed.having("img")
    assert any("</script><img" in text for text in parsed.text)
    assert len(parsed.having("script")) == 1


def test_causes_group_cells_and_the_largest_comes_first() -> None:
    """Cells of one verdict for one reason are one cause, with functions and releases in the table's order."""
    found = causes.causes(SMALL.build())
    assert [(cause.verdict, cause.cells) for cause in found[:3]] == [
        ("missing", 5), ("install-error", 5), ("unreplayable", 3),
    ]  # fmt: skip
    assert found[0].functions[0] == "pkg.core.Thing.run"
    assert found[2].releases == ("1.0.dev1", "1.0", "1.1")
    assert sum(cause.cells for cause in found) == sum(
        works(cell.verdict) != "yes" for cell in SMALL.build().cells.values()
    )


def test_matrix_json_holds_the_whole_matrix() -> None:
    """Each cell with its verdict, and a reason where there is something to say."""
    told = json.loads(machine.matrix_json(SMALL.build(extras=Extras("3.11", masks=MASKS))))
    assert (told["format"], told["subject"], told["recorded_release"], told["as_of"]) == (1, "pkg", "1.1", "2026-11-20")
    assert [row["release"] for row in told["releases"]] == list(RELEASES)
    first = told["functions"][0]
    assert first["cells"]["1.0"] == "raised"
    assert first["reasons"]["1.0"] == {"detail": "raised for a reason", "judged": 2, "failing": 2, "unreplayable": 0}
    assert "1.1" not in first["reasons"]
    assert told["replayed"]["boundary"] == {"calls": 6, "replayed": 4}
    assert told["masks"][0]["field"] == "return.headers['Date']"


def test_junit_has_a_suite_per_release_and_a_case_per_function() -> None:
    """Failures and skips agree with the counts, and the message says why."""
    root = ET.fromstring(machine.junit(SMALL.build()))
    assert [suite.get("name") for suite in root] == [f"pkg {release}" for release in RELEASES]
    for suite in root:
        assert int(suite.get("tests", "")) == len(suite) == 5
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("skipped", "")) == len(suite.findall("testcase/skipped"))
    messages = {failure.get("message") for failure in root.iter("failure")}
    assert "signature: signature for a reason" in messages


def test_junit_can_hold_what_xml_cannot() -> None:
    """A control character or a lone surrogate becomes a replacement character."""
    calls = tuple(replace(row, detail="bell \x07 and \udc80") for row in SMALL.calls)
    root = ET.fromstring(machine.junit(replace(SMALL, calls=calls).build()))
    assert any("bell \ufffd and \ufffd" in str(failure.get("message")) for failure in root.iter("failure"))


def test_the_summary_counts_shows_and_explains(tmp_path: Path) -> None:
    """Verdicts, causes, the picture, releases from the latest."""
    table = SMALL.build()
    text = summary.render(table, matrix_csv(table), tmp_path).decode()
    assert text.startswith("# pkg: what works on each of 5 releases\n\nrecorded on 1.1")
    assert "![pkg: what works on each of 5 releases](heatmap.png)" in text
    assert "| missing | no | 5 | 20.0 % |" in text
    assert "| missing | missing for a reason | 5 functions | 0.9 | 5 |" in text
    assert text.index("| 1.1 | 2024-05-01 | 4 / 4 | 2 / 2 | yes |") < text.index("| 0.10 | 2024-05-01 | unknown |")
    assert "install-error: does not build" in text
    assert "There are no earlier results to compare with." in text


def test_the_summary_tells_what_turned_what_broke_first(tmp_path: Path) -> None:
    """Compared with the matrix that the folder held before."""
    SMALL.write(tmp_path)
    calls = tuple(
        replace(row, verdict="ok", detail="") if row.release == "0.9" else
        replace(row, verdict="crash", detail="signal 11") if row.call == 4 and row.release == "1.1" else row
        for row in SMALL.calls
    )  # fmt: skip
    table = replace(SMALL, calls=calls).build()
    text = summary.render(table, matrix_csv(table), tmp_path).decode()
    section = text.partition(summary.TURNED)[2].partition("\n## ")[0]
    lines = section.strip().splitlines()
    assert lines[0] == "- pkg.core.make: ok → **crash** on 1.1"
    assert "- pkg.core.Thing.run: missing → **ok** on 0.9" in lines


def test_the_summary_survives_earlier_results_that_are_damaged(tmp_path: Path) -> None:
    """New results must be written all the same."""
    (tmp_path / "matrix.csv").write_text("no,matrix\n1,2\n")
    table = SMALL.build()
    assert b"The earlier results cannot be read." in summary.render(table, matrix_csv(table), tmp_path)


def test_the_summary_shows_the_scores_that_are_there(tmp_path: Path) -> None:
    """Any numerator with a denominator, wherever it is in the file."""
    scores = {"replay": {"agree": {"numerator": 99, "denominator": 100, "share": 0.99}, "left_out": 3}}
    (tmp_path / "accuracy.json").write_text(json.dumps(scores))
    table = SMALL.build()
    assert "| replay, agree | 99.0 % | 99 / 100 |" in summary.render(table, matrix_csv(table), tmp_path).decode()
    (tmp_path / "accuracy.json").write_text("{")
    assert "## Scores" not in summary.render(table, matrix_csv(table), tmp_path).decode()


def test_hostile_text_stays_text_in_markdown(tmp_path: Path) -> None:
    """A reason cannot end the row of its table, nor make an image or code."""
    table = hostile().build()
    text = summary.render(table, matrix_csv(table), tmp_path).decode()
    assert "<img" not in text.replace("\\<img", "")
    assert all(line.replace("\\|", "").count("|") == 6 for line in text.splitlines() if line.startswith("| missing |"))


def test_turns_are_grouped_and_named() -> None:
    """A function that turned the same way on many releases is one line; what broke comes first."""
    turns = group(
        [
            Turned("f", "1.0", "missing", "ok"),
            Turned("f", "0.9", "missing", "ok"),
            Turned("g", "1.0", "ok", "differs"),
            Turned("h", "1.0", "ok", "raised"),
            Turned("i", "1.0", "", "missing"),
        ]
    )
    assert [(turn.function, turn.kind) for turn in turns] == [
        ("h", "broke"), ("f", "mended"), ("g", "turned"), ("i", "turned"),
    ]  # fmt: skip
    assert turns[1].place(order_of(turns, ["0.10"])) == "0.9, 1.0"


# From here on in a real browser.

DRIVER = """
<script>
const told = {}, fire = (on, type, init) => on.dispatchEvent(new Event(type, { bubbles: true, ...init }));
const key = (name) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
const visible = () => [...document.querySelectorAll("tr[data-function]")].filter((row) => row.offsetParent)
  .map((row) => row.dataset.function);
const detail = () => document.getElementById("detail").innerText;
const at = (name, column) => [...document.querySelectorAll("tr[data-function]")]
  .find((row) => row.dataset.function === name).cells[column];
told.form = !document.getElementById("filters").hidden;
told.all = visible();
%s
const out = document.createElement("pre");
out.id = "told";
out.textContent = JSON.stringify(told);
document.body.append(out);
</script>
"""


def chromium() -> str:
    """Return the browser's path, or skip the test."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("needs chromium (apt-get install chromium)")


def browse(folder: Path, html: str) -> str:
    """Return the page as a real browser has it after loading."""
    (folder / "report.html").write_text(html, encoding="utf-8")
    command = [
        chromium(), "--headless", "--no-sandbox", "--disable-dev-shm-usage",
        f"--user-data-dir={folder}", "--window-size=1280,900", "--dump-dom", (folder / "report.html").as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.fixture
def drive(tmp_path: Path, html: str) -> Driver:
    """Return what runs JavaScript in the report, as a user would act, and gives what it told."""

    def run(script: str) -> dict[str, Any]:
        dom = browse(tmp_path, html.replace("</body>", DRIVER % script + "</body>"))
        found = re.search(r'<pre id="told">(.*?)</pre>', dom, re.DOTALL)
        assert found, dom[-2000:]
        told: dict[str, Any] = json.loads(found[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))
        return told

    return run


def test_filters_keep_the_rows_that_match(drive: Driver) -> None:
    """By verdict, on one release, by module, by who calls, by name; and all come back."""
    told = drive("""
      const box = document.querySelector("[name=verdict][value=raised]"), form = document.getElementById("filters");
      box.click(); told.raised = visible(); told.shown = document.getElementById("shown").textContent;
      document.getElementById("release").value = "1.1"; fire(form, "input"); told.on = visible();
      box.click(); document.getElementById("release").value = "";
      document.getElementById("module").value = "pkg.tools"; fire(form, "input"); told.module = visible();
      told.headings = [...document.querySelectorAll("#cells tbody")].filter((body) => !body.hidden).length;
      document.getElementById("module").value = "";
      document.getElementById("tier").value = "inner"; fire(form, "input"); told.tier = visible();
      document.getElementById("tier").value = "";
      document.getElementById("words").value = "MAKE"; fire(form, "input"); told.words = visible();
      document.getElementById("words").value = ""; fire(form, "input"); told.again = visible();
    """)
    assert told["form"] is True
    assert told["raised"] == ["pkg.core.Thing.run"]
    assert told["shown"] == "1 of 5 functions"
    assert told["on"] == []
    assert told["module"] == ["pkg.tools.lock", "pkg.tools.read_file"]
    assert told["headings"] == 2
    assert told["tier"] == ["pkg.hidden._Box.open"]
    assert told["words"] == ["pkg.core.make"]
    assert told["again"] == told["all"]
    assert len(told["all"]) == 5


def test_a_cell_that_is_clicked_or_hovered_tells_its_detail(drive: Driver) -> None:
    """Function, release, verdict, how many calls, why, and where else it is so."""
    told = drive("""
      at("pkg.core.Thing.run", 4).querySelector("a").click(); told.clicked = detail();
      fire(at("pkg.tools.read_file", 3), "mouseover"); told.hovered = detail();
      fire(document.getElementById("cells"), "mouseleave"); told.left = detail();
      told.hash = location.hash;
    """)
    assert "pkg.core.Thing.run on 1.0: raised (2 of 2 calls fail)" in told["clicked"]
    assert "raised for a reason" in told["clicked"]
    assert "Same reason: 1 cells, 1.0" in told["clicked"]
    assert "pkg.tools.read_file on 1.0.dev1: differs (1 cannot be replayed)" in told["hovered"]
    assert "differs for a reason" in told["hovered"]
    assert told["left"] == told["clicked"]
    assert told["hash"] == ""


def test_the_matrix_can_be_walked_with_the_keyboard(drive: Driver) -> None:
    """One stop for the Tab key, arrows from cell to cell, past the headings; Enter goes to the root cause."""
    told = drive("""
      const stops = () => document.querySelectorAll("#cells [tabindex='0']").length;
      told.stops = stops();
      document.querySelector("#cells td[tabindex='0']").focus();
      told.start = detail(); key("ArrowRight"); told.right = detail(); key("ArrowDown"); told.down = detail();
      key("End"); told.end = detail(); key("Home"); key("ArrowUp"); key("ArrowUp"); told.top = detail();
      told.after = stops();
      key("Enter"); told.focused = document.activeElement.id; told.cause = document.activeElement.innerText;
    """)
    assert told["stops"] == told["after"] == 1
    assert told["start"].startswith("pkg.core.Thing.run on 0.9: missing")
    assert told["right"].startswith("pkg.core.Thing.run on 0.10: install-error")
    assert told["down"].startswith("pkg.core.make on 0.10")
    assert told["end"].startswith("pkg.core.make on 1.1: ok")
    assert told["top"] == told["start"]
    assert told["focused"] == "c1"
    assert "missing for a reason" in told["cause"]


def test_a_choice_that_a_filter_hides_is_dropped(drive: Driver) -> None:
    """The panel does not speak of a row that is not there, and the Tab key still reaches the matrix."""
    told = drive("""
      at("pkg.core.make", 1).querySelector("a").click();
      document.getElementById("tier").value = "inner"; fire(document.getElementById("filters"), "input");
      told.hidden = document.getElementById("detail").hidden;
      told.stop = document.querySelector("#cells td[tabindex='0']").closest("tr").dataset.function;
    """)
    assert told == {**told, "hidden": True, "stop": "pkg.hidden._Box.open"}


def test_the_page_lies_within_the_window(drive: Driver) -> None:
    """Only the matrix scrolls sideways, and it begins at the latest releases."""
    told = drive("""
      told.page = document.documentElement.scrollWidth - innerWidth;
      const scroll = document.querySelector(".scroll");
      told.right = scroll.scrollWidth - scroll.clientWidth - scroll.scrollLeft;
    """)
    assert told["page"] <= 0
    assert abs(told["right"]) <= 1


def test_hostile_text_runs_nothing_in_a_browser(tmp_path: Path) -> None:
    """The page as the browser has it holds no element that a name or a reason made."""
    dom = browse(tmp_path, page.render(hostile().build()).decode())
    assert "<img" not in dom
    assert 'role="grid"' in dom

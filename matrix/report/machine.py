"""The matrix for other programs: ``matrix.json`` and ``junit.xml``."""

import json
import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from matrix.cells import Cell, Function, Table
from matrix.report.causes import causes
from matrix.rows import NO, UNKNOWN, VERDICTS, YES, works

FORMAT = 1
# What XML 1.0 cannot hold, not even escaped.
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_json(value: Mapping[str, object]) -> bytes:
    """Return JSON with sorted keys, ended by a newline."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def matrix_json(table: Table) -> bytes:
    """Return everything that the matrix and the report say, a reason for each cell that does not work included."""
    shares = {tier: table.replayed(tier) for tier in ("boundary", "inner")}
    return to_json(
        {
            "format": FORMAT,
            "subject": table.subject,
            "recorded_release": table.recorded_release,
            "as_of": table.as_of,
            "python": table.extras.python,
            "replayed": {tier: {"calls": total, "replayed": part} for tier, (part, total) in shares.items()},
            "verdicts": [{"name": row.name, "works": row.works, "meaning": row.meaning} for row in VERDICTS],
            "releases": [_release(table, release) for release in table.versions],
            "functions": [_function(table, row) for row in table.functions],
            "causes": [
                {
                    "verdict": cause.verdict,
                    "detail": cause.detail,
                    "cells": cause.cells,
                    "functions": cause.functions,
                    "releases": cause.releases,
                }
                for cause in causes(table)
            ],
            "masks": [
                {"profile": mask.profile, "call": mask.call, "function": mask.function, "field": mask.field}
                for mask in sorted(table.extras.masks, key=lambda mask: (mask.profile, mask.call, mask.field))
            ],
        }
    )


def _release(table: Table, release: str) -> dict[str, object]:
    row = next(row for row in table.releases if row.release == release)
    working, total = table.working(release)
    return {
        "release": release,
        "uploaded": row.uploaded,
        "yanked": row.yanked,
        "installed": row.installed,
        "plain_import": row.plain_import,
        "python": row.python,
        "status": row.status,
        "reason": row.reason,
        "functions_working": working,
        "functions_total": total,
    }


def _function(table: Table, row: Function) -> dict[str, object]:
    cells = dict(zip(table.versions, table.row(row), strict=True))
    return {
        "function": row.function,
        "module": row.module,
        "tier": row.tier,
        "profiles": row.profiles,
        "calls": row.calls,
        "unreplayable": row.unreplayable,
        "cells": {release: cell.verdict for release, cell in cells.items()},
        "reasons": {release: _reason(cell) for release, cell in cells.items() if _told(cell)},
    }


def _told(cell: Cell) -> bool:
    """Whether a cell has more to say than its verdict."""
    return works(cell.verdict) != YES or bool(cell.detail or cell.unreplayable)


def _reason(cell: Cell) -> dict[str, object]:
    counts = {"judged": cell.judged, "failing": cell.failing, "unreplayable": cell.unreplayable}
    return {"detail": cell.detail, **counts}


def junit(table: Table) -> bytes:
    """Return JUnit XML: a suite per release, a case per function; what is unknown is skipped."""
    root = ET.Element("testsuites", name=f"caliper-matrix {table.subject}")
    for release in table.versions:
        cells = {row: table.cells[row.function, release] for row in table.functions}
        answers = [works(cell.verdict) for cell in cells.values()]
        counts = {"tests": len(cells), "failures": answers.count(NO), "errors": 0, "skipped": answers.count(UNKNOWN)}
        suite = ET.SubElement(root, "testsuite", {"name": f"{table.subject} {release}"})
        suite.attrib.update({name: str(count) for name, count in counts.items()})
        for row, cell in cells.items():
            case = ET.SubElement(suite, "testcase", classname=row.module, name=row.name)
            kind = {NO: "failure", UNKNOWN: "skipped"}.get(works(cell.verdict))
            if kind:
                ET.SubElement(case, kind, message=NOT_IN_XML.sub("\ufffd", f"{cell.verdict}: {cell.detail}"))
    ET.indent(root, " ")
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"

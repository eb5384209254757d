"""Our tables beside the standard's: ``python -m benchmarks.deidentify.table part15.xml``.

Reads the DocBook source of an edition of PS3.15 and prints every row of Tables E.1-1, E.3.4-1 and
E.3.10-1 that ours lack, have beyond, or have otherwise; ends with 1 where there is any. With a
newer edition, that is what has to be taken over.
"""

from __future__ import annotations

import argparse
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from isocenter.deidentification.profile import Row, attribute_rows, content_rows, safe_private

_NAMESPACE = "{http://docbook.org/ns/docbook}"
_OF_ATTRIBUTES = (
    "safe_private",
    "uids",
    "device",
    "institution",
    "patient",
    "full_dates",
    "modified_dates",
    "descriptors",
    "structured",
    "graphics",
)
_OF_CONTENT = _OF_ATTRIBUTES[1:8]


def main() -> None:
    """Parse the command line, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part15", type=Path, help="DocBook source of PS3.15")
    root = ET.parse(parser.parse_args().part15).getroot()
    print(_words(next(root.iter(f"{_NAMESPACE}subtitle"))))
    found = [*attributes(root), *contents(root), *private(root)]
    print("\n".join(found) or "no difference")
    sys.exit(1 if found else 0)


def attributes(root: ET.Element) -> Iterator[str]:
    """Differences of Table E.1-1."""
    theirs = {
        _tag(cells[1]): _row(cells[0], cells[4], cells[5:], _OF_ATTRIBUTES)
        for cells in _cells(root, "E.1-1")
    }
    yield from _differences("E.1-1", theirs, dict(attribute_rows()))


def contents(root: ET.Element) -> Iterator[str]:
    """Differences of Table E.3.4-1."""
    theirs = {
        (cells[1], cells[2], cells[3]): _row(cells[0], cells[6], cells[7:], _OF_CONTENT)
        for cells in _cells(root, "E.3.4-1")
    }
    yield from _differences("E.3.4-1", theirs, dict(content_rows()))


def private(root: ET.Element) -> Iterator[str]:
    """Differences of Table E.3.10-1."""
    theirs = {}
    for cells in _cells(root, "E.3.10-1"):
        tag = _tag(cells[0])
        theirs[cells[1], int(tag[:4], 16), int(tag[6:], 16)] = cells[2]
    yield from _differences("E.3.10-1", theirs, dict(safe_private().vrs))


def _differences(table: str, theirs: dict, ours: dict) -> Iterator[str]:
    for key in sorted({*theirs, *ours}, key=str):
        if theirs.get(key) != ours.get(key):
            yield f"{table} {key}: the standard {theirs.get(key)}, ours {ours.get(key)}"


def _row(name: str, basic: str, actions: list[str], columns: tuple[str, ...]) -> Row:
    options = {column: one for column, one in zip(columns, actions, strict=True) if one}
    return Row(name=name, basic=basic, options=options)


def _cells(root: ET.Element, label: str) -> Iterator[list[str]]:
    for table in root.iter(f"{_NAMESPACE}table"):
        if table.get("label") == label:
            for line in table.findall(f".//{_NAMESPACE}tbody/{_NAMESPACE}tr"):
                yield [_words(cell) for cell in line.findall(f"{_NAMESPACE}td")]


def _words(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).replace("\u200b", "").split())


def _tag(text: str) -> str:
    if "odd" in text:
        return "private"
    return text.strip("()").replace(",", "").upper().replace("X", "x")


if __name__ == "__main__":
    main()

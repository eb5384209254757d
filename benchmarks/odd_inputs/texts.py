"""Texts of any script, and private elements of any kind: none of it stops a scan."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.odd_inputs.case import Expect, OddInput
from benchmarks.odd_inputs.scans import (
    NUM_SLICES,
    UNDEFINED,
    Element,
    Elements,
    with_value,
    write_scan,
)

SCRIPTS = {
    "ISO_IR 100": ("Zyxwvut^Ärger", "latin-1"),
    "ISO_IR 101": ("Zyxwvut^Łódź", "iso8859-2"),
    "ISO_IR 109": ("Zyxwvut^Ġanni", "iso8859-3"),
    "ISO_IR 110": ("Zyxwvut^Ēriks", "iso8859-4"),
    "ISO_IR 144": ("Zyxwvut^Люкceмбypг", "iso8859-5"),
    "ISO_IR 127": ("Zyxwvut^قباني", "iso8859-6"),
    "ISO_IR 126": ("Zyxwvut^Διονυσιος", "iso8859-7"),
    "ISO_IR 138": ("Zyxwvut^שרון", "iso8859-8"),
    "ISO_IR 148": ("Zyxwvut^Çavuşoğlu", "iso8859-9"),
    "ISO_IR 13": ("Zyxwvut^ﾔﾏﾀﾞ", "shift_jis"),
    "ISO_IR 166": ("Zyxwvut^นามสกุล", "tis-620"),
    "ISO_IR 192": ("Zyxwvut^王小東", "utf-8"),
    "GB18030": ("Zyxwvut^王小东", "gb18030"),
    "GBK": ("Zyxwvut^王小东", "gbk"),
    "\\ISO 2022 IR 87": ("Zyxwvut^\x1b$B;3ED\x1b(B", "latin-1"),
    "\\ISO 2022 IR 149": ("Zyxwvut^\x1b$)C\xb1\xe8", "latin-1"),
    "ISO 2022 IR 13\\ISO 2022 IR 87": ("Zyxwvut^\x1b$B;3ED\x1b(J", "latin-1"),
}
WRONG = {
    "none declared": ("", b"Zyxwvut^\xc4rger"),
    "unknown": ("ISO_IR 777", b"Zyxwvut^\xc4rger"),
    "UTF-8 that is not": ("ISO_IR 192", b"Zyxwvut^\xff\xfe\xc4"),
    "escape without end": ("\\ISO 2022 IR 87", b"Zyxwvut^\x1b$B;3"),
    "escape of another set": ("ISO_IR 100", b"Zyxwvut^\x1b$)C\xb1"),
    "control characters": ("ISO_IR 100", b"Zyxwvut^\x00\x07\x1b[31m\x7f"),
    "many": ("\\".join(["ISO 2022 IR 87"] * 40), b"Zyxwvut^A"),
    "multi-valued with UTF-8": ("ISO_IR 192\\ISO 2022 IR 87", b"Zyxwvut^A"),
}
WRITTEN = ("PatientName", "StudyDescription", "SeriesDescription", "ReferringPhysicianName")


def inputs() -> Iterator[OddInput]:
    for charset, (text, codec) in SCRIPTS.items():
        yield _written(f"{charset!r}", charset, text.encode(codec))
    for name, (charset, content) in WRONG.items():
        yield _written(name, charset, content)
    yield from _private()


def _written(name: str, charset: str, text: bytes) -> OddInput:
    def edit(elements: Elements, _: int) -> Elements:
        elements = with_value(elements, "SpecificCharacterSet", charset)
        for keyword in WRITTEN:
            elements = with_value(elements, keyword, text)
        return elements

    return OddInput(
        kind="character set",
        name=name,
        build=lambda folder: write_scan(folder, edit),
        expect=Expect.ACCEPTED,
        slices=NUM_SLICES,
    )


def _private() -> Iterator[OddInput]:
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    end = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    creator = Element(0x00290010, b"LO", b"SIEMENS CSA HEADER")
    junk: dict[str, list[Element]] = {
        "without creator": [Element(0x00291010, b"OB", b"Zyxwvut!")],
        "creator without elements": [creator],
        "5 MB of bytes": [creator, Element(0x00291010, b"OB", b"Zyxwvut!" * 650_000)],
        "40 MB of bytes": [creator, Element(0x00291010, b"UN", bytes(40 * 2**20))],
        "a sequence": [creator, Element(0x00291010, b"SQ", item * 3)],
        "a sequence as UN": [creator, Element(0x00291010, b"UN", item * 3 + end, UNDEFINED)],
        "bytes that begin as a sequence": [
            creator,
            Element(0x00291010, b"UN", item[:4] + b"\x99" * 40),
        ],
        "a number without bytes": [creator, Element(0x00291010, b"FD", b"\1\2\3\4")],
        "group 0009": [
            Element(0x00090010, b"LO", b"GEMS_IDEN_01"),
            Element(0x00091001, b"LO", b"Zyxwvut "),
        ],
        "group 0001": [Element(0x00010010, b"LO", b"X "), Element(0x00011001, b"UN", b"Zyxwvut!")],
        "group FFFF": [Element(0xFFFF1001, b"UN", b"Zyxwvut!")],
        "creator of another script": [
            Element(0x00290010, b"LO", "王小东".encode()),
            Element(0x00291010, b"LO", b"a "),
        ],
        "creator twice": [creator, Element(0x00290011, b"LO", b"SIEMENS CSA HEADER")],
        "unknown public element": [Element(0x00187777, b"LO", b"Zyxwvut ")],
        "group lengths": [
            Element(0x00080000, b"UL", struct.pack("<L", 7)),
            Element(0x00280000, b"UL", bytes(4)),
        ],
        "retired elements": [
            Element(0x00084000, b"LT", b"Zyxwvut "),
            Element(0x00280005, b"US", b"\2\0"),
        ],
        "an overlay": [
            Element(0x60000010, b"US", struct.pack("<H", 8)),
            Element(0x60000011, b"US", struct.pack("<H", 8)),
            Element(0x60003000, b"OW", bytes(8)),
        ],
        "an icon": [Element(0x00880200, b"SQ", item)],
        "referenced instance at the top": [Element(0x00081155, b"UI", b"1.2.840.99999.7777.5")],
    }
    for name, elements in junk.items():
        yield OddInput(
            kind="private junk",
            name=name,
            build=partial(_with_junk, junk=elements),
            expect=Expect.EITHER if name in ("group FFFF", "an icon") else Expect.ACCEPTED,
            slices=NUM_SLICES,
        )


def _with_junk(folder: Path, *, junk: list[Element]) -> Path:
    def edit(elements: Elements, _: int) -> Elements:
        return sorted([*elements, *junk], key=lambda one: one.tag)

    return write_scan(folder, edit)

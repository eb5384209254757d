"""The walk through a header sees what pydicom sees, and ends where limits are."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from isocenter.core.errors import UnreadableInput
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.decoding.parsing import parse_file
from isocenter.dicom.decoding.scanning import Header, file_meta, scan_header

UNDEFINED = 0xFFFFFFFF
EMPTY_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
OPEN_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED)
ITEM_END = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
LIMITS = Limits(items=10, elements=20, nesting=9, header_bytes=10_000)


def element(tag: int, vr: str, value: bytes = b"", *, length: int | None = None) -> bytes:
    """Explicit VR Little Endian."""
    group, number = tag >> 16, tag & 0xFFFF
    length = len(value) if length is None else length
    if vr in ("SQ", "OB", "OW", "UN", "UC"):
        return struct.pack("<HH2sHL", group, number, vr.encode(), 0, length) + value
    return struct.pack("<HH2sH", group, number, vr.encode(), length) + value


def implicit(tag: int, value: bytes = b"", *, length: int | None = None) -> bytes:
    length = len(value) if length is None else length
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length) + value


def scanned(tmp_path: Path, content: bytes, *, limits: Limits = LIMITS, **options: Any) -> Header:
    path = tmp_path / "dataset"
    path.write_bytes(content)
    syntax = options.pop("syntax", ExplicitVRLittleEndian)
    with path.open("rb") as stream:
        return scan_header(stream, start=0, transfer_syntax=syntax, limits=limits, **options)


@pytest.mark.parametrize("end", [True, False], ids=["undefined length", "defined length"])
def test_items_are_counted_and_too_many_refused(tmp_path: Path, end: bool) -> None:
    def sequence(count: int) -> bytes:
        value = EMPTY_ITEM * count + SEQUENCE_END * end
        return element(0x00081140, "SQ", value, length=UNDEFINED if end else None)

    assert scanned(tmp_path, sequence(10)).num_items == 10
    with pytest.raises(UnreadableInput, match="more than 10 items"):
        scanned(tmp_path, sequence(300_000))


def test_items_in_values_of_unknown_kind_count_too(tmp_path: Path) -> None:
    """What a library takes for a sequence by its tag or by its first bytes."""
    for value, syntax in (
        (element(0x00081140, "UN", EMPTY_ITEM * 11), ExplicitVRLittleEndian),
        (implicit(0x00081140, EMPTY_ITEM * 11), ImplicitVRLittleEndian),
        (implicit(0x00091010, EMPTY_ITEM * 11, length=UNDEFINED), ImplicitVRLittleEndian),
        (element(0x00091010, "UN", EMPTY_ITEM * 11, length=UNDEFINED), ExplicitVRLittleEndian),
    ):
        with pytest.raises(UnreadableInput, match="more than 10 items"):
            scanned(tmp_path, value, syntax=syntax)
    with pytest.raises(UnreadableInput, match="do not end where they must"):
        scanned(tmp_path, element(0x00081140, "UN", bytes(2**15)))


def test_elements_are_counted_nested_ones_too(tmp_path: Path) -> None:
    small = element(0x00100020, "LO", b"ab")
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 10 * len(small)) + small * 10
    header = scanned(tmp_path, element(0x00081140, "SQ", item) + small)
    assert (header.num_elements, header.num_items) == (12, 1)
    with pytest.raises(UnreadableInput, match="more than 20 elements"):
        scanned(tmp_path, element(0x00081140, "SQ", item * 2) + small)


def test_frames_allow_for_more_as_far_as_the_file_can_hold_them(tmp_path: Path) -> None:
    frames = element(0x00280008, "IS", b"4 ")
    items = element(0x52009230, "SQ", EMPTY_ITEM * 50)
    more = Limits(items=10, items_a_frame=10)
    pixels = element(0x7FE00010, "OW", bytes(4096))
    assert scanned(tmp_path, frames + items + pixels, limits=more).num_items == 50
    with pytest.raises(UnreadableInput, match="more than 10 items"):
        scanned(tmp_path, frames + items, limits=more)


def test_depth_is_limited(tmp_path: Path) -> None:
    def nested(depth: int) -> bytes:
        opening = element(0x00081140, "SQ", OPEN_ITEM, length=UNDEFINED)
        return opening * depth + (ITEM_END + SEQUENCE_END) * depth

    assert scanned(tmp_path, nested(9)).num_items == 9
    with pytest.raises(UnreadableInput, match="more than 9 deep"):
        scanned(tmp_path, nested(5000), limits=Limits(nesting=9))


@pytest.mark.parametrize(
    "content",
    [
        element(0x00100010, "PN", b"ab", length=1000),
        element(0x00081140, "SQ", EMPTY_ITEM, length=1000),
        element(0x00081140, "SQ", EMPTY_ITEM, length=UNDEFINED),
        element(0x00081140, "SQ", struct.pack("<HHL", 0xFFFE, 0xE000, 99) + bytes(4)),
        element(0x00081140, "SQ", struct.pack("<HHL", 0xFFFE, 0xE000, 99) + bytes(4)) + bytes(99),
        element(0x00081140, "SQ", bytes(16)),
        element(0x00880200, "OB", EMPTY_ITEM, length=UNDEFINED),
        element(0x00081140, "SQ")[:9],
    ],
)
def test_lengths_that_do_not_fit_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnreadableInput, match=r"damaged or truncated"):
        scanned(tmp_path, content)


def test_a_header_of_many_bytes_is_refused_private_ones_are_passed_over(tmp_path: Path) -> None:
    public, private = (element(tag, "OB", bytes(9000)) for tag in (0x00420011, 0x00431010))
    header = scanned(tmp_path, private * 3 + public)
    assert [one.tag for one in header.elements] == [0x00420011]
    with pytest.raises(UnreadableInput, match=r"larger than 9\.766 KiB.*limit header_bytes"):
        scanned(tmp_path, public * 2)


def test_a_list_longer_than_explicit_vr_holds_is_refused(tmp_path: Path) -> None:
    """Of each of its numbers a library makes an object."""
    positions = implicit(0x00200032, b"1\\" * 40_000)
    with pytest.raises(UnreadableInput, match="do not end where they must"):
        scanned(tmp_path, positions, syntax=ImplicitVRLittleEndian, limits=DEFAULT_LIMITS)
    table = implicit(0x00281201, bytes(2**17))
    assert scanned(tmp_path, table, syntax=ImplicitVRLittleEndian, limits=DEFAULT_LIMITS)


def test_other_kinds_are_walked_as_far_as_group_0028(tmp_path: Path) -> None:
    kind = element(0x00080016, "UI", b"1.2\0")
    rest = element(0x00280010, "US", b"\x01\0") + element(0x30060039, "SQ", EMPTY_ITEM * 11)
    assert scanned(tmp_path, kind + rest, sop_classes=["1.3"]).num_items == 0
    with pytest.raises(UnreadableInput, match="more than 10 items"):
        scanned(tmp_path, kind + rest, sop_classes=["1.2"])


def test_file_meta_without_end_is_refused() -> None:
    meta = bytes(128) + b"DICM"
    small = element(0x00020010, "UI", b"1.2\0")
    assert file_meta(io.BytesIO(meta + small)).transfer_syntax == "1.2"
    for endless in (small * 300, element(0x00020102, "OB", length=2**30)):
        with pytest.raises(UnreadableInput, match="damaged or truncated"):
            file_meta(io.BytesIO(meta + endless))


INSTALLED = Path(pydicom.__file__).parent / "data" / "test_files"
PYDICOM_FILES = [
    path
    for path in sorted(INSTALLED.glob("*.dcm"))
    # Cut off within the header, or at its start: refused.
    if path.name not in ("rtplan_truncated.dcm", "no_meta.dcm")
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", PYDICOM_FILES, ids=lambda path: path.name)
def test_sees_the_same_header_as_pydicom(path: Path) -> None:
    expected = dcmread(path, force=True, stop_before_pixels=True)
    expected.remove_private_tags()
    found = parse_file(path).dataset
    found.remove_private_tags()
    assert found.to_json_dict(suppress_invalid_tags=True) == expected.to_json_dict(
        suppress_invalid_tags=True
    )

"""Headers made wrong: cut, flipped, of another length, representation or value."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.odd_inputs.case import Expect, OddInput
from benchmarks.odd_inputs.scans import (
    NUM_SLICES,
    UNDEFINED,
    Element,
    Elements,
    slice_file,
    split,
    tag_of,
    uid,
    value_of,
    with_value,
    without,
    write_scan,
)

NUM_FLIPPED = 60
REFUSED, ACCEPTED, EITHER = Expect.REFUSED, Expect.ACCEPTED, Expect.EITHER

# What a scan cannot be placed, scaled or referred to without.
NEEDED = (
    "SOPClassUID SOPInstanceUID SeriesInstanceUID Modality Rows Columns BitsAllocated "
    "PhotometricInterpretation ImagePositionPatient ImageOrientationPatient PixelSpacing "
    "RescaleSlope RescaleIntercept"
).split()
# Read where it is there; without it the scan is worked on, with a note or an assumption at most.
HELPFUL = (
    "StudyInstanceUID FrameOfReferenceUID SeriesNumber InstanceNumber Manufacturer "
    "ManufacturerModelName BodyPartExamined ImageType SliceThickness ConvolutionKernel KVP "
    "Exposure ExposureInuAs GantryDetectorTilt ReconstructionDiameter RescaleType "
    "PixelPaddingValue SamplesPerPixel BitsStored HighBit PixelRepresentation PatientName "
    "PatientID PatientBirthDate PatientSex StudyDate StudyTime ContentDate ContentTime "
    "AcquisitionDate AcquisitionTime TimezoneOffsetFromUTC AccessionNumber "
    "SpecificCharacterSet WindowCenter WindowWidth StudyID ReferencedImageSequence "
    "AcquisitionNumber PatientPosition PositionReferenceIndicator ReferringPhysicianName "
    "StudyDescription SeriesDescription DeviceSerialNumber SoftwareVersions"
).split()
# Where one is missing or empty, both answers are right.
OPTIONAL_BUT_DECIDING = (
    "SamplesPerPixel",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "StudyInstanceUID",
)
DECIMALS = (
    "ImagePositionPatient ImageOrientationPatient PixelSpacing RescaleSlope RescaleIntercept "
    "SliceThickness KVP GantryDetectorTilt ReconstructionDiameter WindowCenter"
).split()
ODD_DECIMALS = (
    "nan",
    "inf",
    "-inf",
    "1e-320",
    "1e308",
    "1e999",
    "-1",
    "0",
    "12,5",
    "abc",
    "1\\2\\3\\4",
    " ",
    "--3",
    "0x10",
)
INTEGERS = "SeriesNumber InstanceNumber Exposure ExposureInuAs AcquisitionNumber".split()
ODD_INTEGERS = ("-5", "99999999999999", "3.7", "abc", "1\\2", "nan")
TIMES = {
    "TimezoneOffsetFromUTC": ("+9999", "-2400", "abc", "+1", "0100", "+01000", "+0100\\+0200"),
    "StudyDate": ("20261399", "2026.01.02", "yesterday", "00000000", "20260102-20260103", "2026"),
    "StudyTime": ("256199", "10:11:12", "noon", "101112.9999999", "-1"),
    "AcquisitionDate": ("20260230", "x" * 300),
    "AcquisitionTime": ("999999", "1"),
    "PatientBirthDate": ("18000101", "birthday", "99991231"),
}
TEXTS = {
    "Modality": ("ct", "CT\\MR", "MR", "OT", "C\0T", "CT" * 40),
    "ImageType": (
        "ORIGINAL",
        "DERIVED\\SECONDARY\\AXIAL",
        "ORIGINAL\\PRIMARY\\LOCALIZER",
        "\\\\\\\\",
        "X" * 900,
    ),
    "PhotometricInterpretation": ("MONOCHROME1", "RGB", "PALETTE COLOR", "MONOCHROME3", "YBR_FULL"),
    "RescaleType": ("US", "OD", "HU\\HU", "\x1b[31mHU"),
    "BodyPartExamined": ("HEAD", "[bold]CHEST[/]", "\x1b]0;CHEST\x07", "CHEST\\ABDOMEN", "A" * 400),
    "ConvolutionKernel": ("[red]", "B30f\\2", "\x00\x01\x02", "K" * 500),
    "Manufacturer": ("Isocenter", "<script>alert(1)</script>", "'\"&<>", "M" * 900),
    "SOPInstanceUID": ("1.2", "not a uid", "1." * 60, "../../../etc/passwd", "1.2.3\\1.2.4"),
    "SeriesInstanceUID": ("x", "1.2.3\\1.2.4", "0", "/", "1." * 200),
    "StudyInstanceUID": ("x", "1.2.3\\1.2.4", "1." * 200, "..\\.."),
    "FrameOfReferenceUID": ("x", "1.2\\1.3", "1." * 200),
    "SOPClassUID": (
        "1.2.840.10008.5.1.4.1.1.2.1",
        "1.2.840.10008.1.1",
        "x",
        "1.2.840.10008.5.1.4.1.1.2\\1",
    ),
    "PatientPosition": ("FFDR", "XXX", "HFS\\FFS"),
    "PatientSex": ("Z", "MALE AND FEMALE"),
    "SpecificCharacterSet": ("ISO_IR 999", "\\ISO 2022 IR 87", "utf-8", "ISO_IR 192\\GBK"),
}
US_ELEMENTS = (
    "Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation SamplesPerPixel".split()
)


def inputs() -> Iterator[OddInput]:
    yield from _truncated()
    yield from _flipped()
    yield from _representations()
    yield from _lengths()
    yield from _absent()
    yield from _values()
    yield from _sequences()


def _changed_one(folder: Path, content: bytes, *, number: int = NUM_SLICES - 1) -> Path:
    """The scan with one file of other content."""
    write_scan(folder)
    (folder / f"IM{number:04d}.dcm").write_bytes(content)
    return folder


def _truncated() -> Iterator[OddInput]:
    beginning, elements = split(slice_file(NUM_SLICES - 1))
    places = {0, 1, 64, 127, 128, 130, 131, 132, 133, 140, len(beginning)}
    place = len(beginning)
    for element in elements:
        head = 12 if element.vr in (b"OW", b"SQ") else 8
        places |= {place, place + head} if element.tag >> 16 in (0x08, 0x20, 0x28) else {place}
        place += len(element.encoded())
    whole = slice_file(NUM_SLICES - 1)
    places |= {place - 1, place - 2, len(whole) - 9000}
    for cut in sorted(places):
        yield OddInput(
            kind="truncated",
            name=f"last file cut to {cut} bytes",
            build=partial(_changed_one, content=whole[:cut]),
            expect=REFUSED,
        )


def _flipped() -> Iterator[OddInput]:
    whole = slice_file(1)
    header_end = whole.index(struct.pack("<HH", 0x7FE0, 0x0010))
    for seed in range(NUM_FLIPPED):
        rng = np.random.default_rng(seed)
        content = bytearray(whole)
        for place in rng.integers(0 if seed % 10 == 0 else 132, header_end, 1 + seed % 7):
            content[place] ^= 1 << rng.integers(8)
        yield OddInput(
            kind="flipped bits",
            name=f"seed {seed}",
            build=partial(_changed_one, content=bytes(content), number=1),
            expect=EITHER,
            slices=NUM_SLICES,
        )


def _everywhere(
    kind: str, name: str, edit: object, expect: Expect, *, slices: int | None = NUM_SLICES
) -> OddInput:
    return OddInput(
        kind=kind,
        name=name,
        build=lambda folder: write_scan(folder, edit),  # type: ignore[arg-type]
        expect=expect,
        slices=slices,
    )


def _representations() -> Iterator[OddInput]:
    """Another value representation than the standard's, with a value of that kind."""
    wrong = (
        ("UN", b"\x01\x02\x03\x04"),
        ("SQ", b""),
        ("OB", b"\0" * 6),
        ("FD", struct.pack("<d", 2.5)),
    )
    named = (
        *NEEDED,
        "SliceThickness",
        "ImageType",
        "PatientName",
        "StudyInstanceUID",
        "KVP",
        "SeriesNumber",
    )
    for keyword in named:
        for vr, value in wrong[: 3 if keyword not in DECIMALS else 4]:

            def edit(
                elements: Elements,
                _: int,
                keyword: str = keyword,
                vr: str = vr,
                value: bytes = value,
            ) -> Elements:
                return with_value(elements, keyword, value, vr=vr)

            yield _everywhere("wrong representation", f"{keyword} as {vr}", edit, EITHER)
    for vr in ("??", "\0\0", "XX", "us"):

        def edit_vr(elements: Elements, _: int, vr: str = vr) -> Elements:
            return with_value(elements, "Rows", value_of(elements, "Rows").value, vr=vr)

        yield _everywhere("wrong representation", f"Rows as {vr!r}", edit_vr, EITHER)


def _lengths() -> Iterator[OddInput]:
    chosen = (*NEEDED[:8], "RescaleSlope", "PatientName", "ImageType", "ReferencedImageSequence")
    for keyword in chosen:
        for what, change in (("none", 0), ("one less", -1), ("odd", 1), ("most", 0xFFFE)):

            def edit(
                elements: Elements,
                _: int,
                keyword: str = keyword,
                what: str = what,
                change: int = change,
            ) -> Elements:
                one = value_of(elements, keyword)
                length = {"none": 0, "most": 0xFFFE}.get(what, len(one.value) + change)
                return with_value(elements, keyword, one.value, length=length)

            yield _everywhere("wrong length", f"{keyword}, {what}", edit, EITHER)
    for what, length in (
        ("huge", 0xFFFFFFF0),
        ("undefined", UNDEFINED),
        ("short", 100),
        ("long", 2**20),
    ):

        def edit_pixels(elements: Elements, _: int, length: int = length) -> Elements:
            return with_value(
                elements, "PixelData", value_of(elements, "PixelData").value, length=length
            )

        expect = ACCEPTED if what == "huge" else REFUSED
        yield _everywhere(
            "wrong length",
            f"pixels, {what}",
            edit_pixels,
            EITHER if what in ("huge", "long") else expect,
        )


def _absent() -> Iterator[OddInput]:
    for keyword in (*NEEDED, *HELPFUL):
        expect = REFUSED if keyword in NEEDED else ACCEPTED
        expect = EITHER if keyword in OPTIONAL_BUT_DECIDING else expect
        yield _everywhere(
            "missing value", f"{keyword} missing", lambda e, _, k=keyword: without(e, k), expect
        )
        yield _everywhere(
            "missing value",
            f"{keyword} empty",
            lambda e, _, k=keyword: with_value(e, k, b""),
            expect,
        )


def _expected(keyword: str, value: str) -> Expect:
    """Where a number decides, what is none is refused; where it is a remark, both are right."""
    deciding = keyword in NEEDED
    harmless = {"1e-320", "-1", "0", "12,5", " "}
    return REFUSED if deciding and value not in harmless else EITHER


def _values() -> Iterator[OddInput]:
    for keyword in DECIMALS:
        for value in ODD_DECIMALS:

            def edit(
                elements: Elements, _: int, keyword: str = keyword, value: str = value
            ) -> Elements:
                parts = value_of(elements, keyword).value.decode().strip().split("\\")
                return with_value(elements, keyword, "\\".join([value, *parts[1:]]))

            yield _everywhere("odd value", f"{keyword} {value!r}", edit, _expected(keyword, value))
    for values in (dict.fromkeys(INTEGERS, ODD_INTEGERS), TIMES, TEXTS):
        for keyword, odd in values.items():
            for value in odd:
                name = f"{keyword} {value[:30]!r}"
                yield _everywhere(
                    "odd value",
                    name,
                    partial(_with, keyword=keyword, value=value),
                    EITHER,
                    slices=None,
                )
    for keyword in US_ELEMENTS:
        for number in (0, 1, 2, 7, 65535):
            packed = struct.pack("<H", number)
            expect = REFUSED if keyword in ("Rows", "Columns", "BitsAllocated") else EITHER
            yield _everywhere(
                "odd value",
                f"{keyword} {number}",
                partial(_with, keyword=keyword, value=packed),
                expect,
                slices=None,
            )


def _with(elements: Elements, _: int, *, keyword: str, value: bytes | str) -> Elements:
    return with_value(elements, keyword, value)


def _sequences() -> Iterator[OddInput]:
    item, open_item = (
        struct.pack("<HHL", 0xFFFE, 0xE000, 0),
        struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED),
    )
    item_end, end = struct.pack("<HHL", 0xFFFE, 0xE00D, 0), struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    series = Element(tag_of("SeriesInstanceUID"), b"UI", uid(1, 3).encode() + b"\0").encoded()
    for name, value, length, expect in (
        ("no tag of an item", b"\x01\x02\x03\x04" * 8, None, REFUSED),
        (
            "item longer than its sequence",
            struct.pack("<HHL", 0xFFFE, 0xE000, 500) + series,
            None,
            REFUSED,
        ),
        ("item that never ends", open_item + series, UNDEFINED, REFUSED),
        ("sequence that never ends", item, UNDEFINED, REFUSED),
        ("delimiter alone", item_end, None, REFUSED),
        ("two ends", item + end + end, UNDEFINED, EITHER),
        ("empty items", item * 5, None, ACCEPTED),
        ("no items", b"", None, ACCEPTED),
        ("a few bytes", b"\xfe\xff\x00", None, REFUSED),
        ("item within an element", open_item + series + item_end + end, UNDEFINED, ACCEPTED),
    ):
        for keyword in (
            "ReferencedImageSequence",
            "ContributingEquipmentSequence",
            "DerivationCodeSequence",
        ):

            def edit(
                elements: Elements,
                _: int,
                keyword: str = keyword,
                value: bytes = value,
                length: int | None = length,
            ) -> Elements:
                return with_value(
                    elements, keyword, value, vr="SQ", length=length if length else len(value)
                )

            yield _everywhere("sequences", f"{keyword}: {name}", edit, expect)
    no_uid = struct.pack("<HHL", 0xFFFE, 0xE000, 10) + Element(0x0008103E, b"LO", b"ab").encoded()
    for keyword in (
        "ReferencedSeriesSequence",
        "ReferencedStudySequence",
        "SourceImageSequence",
        "RelatedSeriesSequence",
        "ReferencedPatientSequence",
        "RequestAttributesSequence",
    ):
        yield _everywhere(
            "sequences",
            f"{keyword} without UID",
            partial(_sequence, keyword=keyword, value=no_uid),
            EITHER,
        )


def _sequence(elements: Elements, _: int, *, keyword: str, value: bytes) -> Elements:
    return with_value(elements, keyword, value, vr="SQ")

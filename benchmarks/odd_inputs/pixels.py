"""Pixels and frames made wrong: codecs, sizes, multi-frame files, bombs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import (
    JPEG2000LosslessEncoder,
    JPEGLSLosslessEncoder,
    RLELosslessEncoder,
)
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    LegacyConvertedEnhancedCTImageStorage,
    RLELossless,
)

from benchmarks.odd_inputs.case import Expect, OddInput
from benchmarks.odd_inputs.scans import (
    NUM_SLICES,
    PIXEL_MM,
    SIDE,
    UNDEFINED,
    Element,
    Elements,
    classic,
    encoded,
    enhanced,
    item,
    joined,
    slice_file,
    split,
    trunk,
    with_value,
    write_dataset,
    write_scan,
)

REFUSED, ACCEPTED, EITHER = Expect.REFUSED, Expect.ACCEPTED, Expect.EITHER
ENCODERS = {
    RLELossless: RLELosslessEncoder,
    JPEG2000Lossless: JPEG2000LosslessEncoder,
    JPEGLSLossless: JPEGLSLosslessEncoder,
}
NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
NOT_DECODED = (
    "1.2.840.10008.1.2.4.94",
    "1.2.840.10008.1.2.4.100",
    "1.2.840.10008.1.2.4.102",
    "1.2.840.10008.1.2.4.107",
    "1.2.840.10008.1.2.6.1",
    "1.2.840.99999.1",
    "x",
)
EMPTY_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
OPEN_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED)
ITEM_END = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
Damage = Callable[[bytes], bytes]


def inputs() -> Iterator[OddInput]:
    yield from _transfer_syntaxes()
    yield from _damaged_codestreams()
    yield from _sizes()
    yield from _multiframe()
    yield from _bombs()


# transfer syntaxes


def _codestream(dataset: FileDataset, syntax: str) -> bytes:
    return next(
        ENCODERS[UID(syntax)].iter_encode(
            np.frombuffer(dataset.PixelData, "<i2").reshape(dataset.Rows, dataset.Columns),
            rows=dataset.Rows,
            columns=dataset.Columns,
            number_of_frames=1,
            samples_per_pixel=1,
            bits_allocated=16,
            bits_stored=16,
            photometric_interpretation="MONOCHROME2",
            pixel_representation=1,
            transfer_syntax_uid=UID(syntax),
        )
    )


def compressed(dataset: FileDataset, syntax: str, *, damage: Damage | None = None) -> FileDataset:
    """The same image in a transfer syntax."""
    if syntax in ENCODERS:
        frame = _codestream(dataset, syntax)
        frame = damage(frame) if damage else frame
        dataset.PixelData = encapsulate([frame]) if frame else EMPTY_ITEM * 2 + SEQUENCE_END
        dataset["PixelData"].VR = "OB"
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    return dataset


def _write_compressed(
    folder: Path, syntax: str, *, damage: Damage | None = None, number: int | None = None
) -> Path:
    for index in range(NUM_SLICES):
        harmed = damage if number is None or index == number else None
        write_dataset(folder / f"{index}.dcm", compressed(classic(index), syntax, damage=harmed))
    return folder


def _declared(folder: Path, syntax: str, *, pixels: bytes | None = None) -> Path:
    """Explicit VR Little Endian that says it is something else."""
    for index in range(NUM_SLICES):
        dataset = classic(index)
        if pixels is not None:
            dataset.PixelData = encapsulate([pixels])
            dataset["PixelData"].VR = "OB"
        content = encoded(dataset)
        beginning, elements = split(content) if pixels is None else (content, [])
        old = ExplicitVRLittleEndian.encode()
        new = syntax.encode()
        new += b"\0" * (len(new) % 2)
        padded = old + b"\0" * (len(old) % 2)
        head = struct.pack("<HH2sH", 2, 0x10, b"UI", len(padded)) + padded
        place = beginning.index(head)
        beginning = (
            beginning[:place]
            + struct.pack("<HH2sH", 2, 0x10, b"UI", len(new))
            + new
            + beginning[place + len(head) :]
        )
        (length,) = struct.unpack("<L", beginning[140:144])
        beginning = (
            beginning[:140] + struct.pack("<L", length + len(new) - len(padded)) + beginning[144:]
        )
        folder.joinpath(f"{index}.dcm").write_bytes(joined(beginning, elements))
    return folder


def _transfer_syntaxes() -> Iterator[OddInput]:
    kind = "transfer syntax"
    for syntax in (*NATIVE, *ENCODERS):
        yield OddInput(
            kind=kind,
            name=f"{syntax.name}, as it should be",
            build=partial(_write_compressed, syntax=syntax),
            expect=ACCEPTED,
            slices=NUM_SLICES,
        )
    for syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian):
        yield OddInput(
            kind=kind,
            name=f"declares {syntax.name}, is not",
            build=partial(_declared, syntax=syntax),
            expect=EITHER,
            slices=NUM_SLICES,
        )
    for syntax in (*ENCODERS, JPEGBaseline8Bit, JPEGLosslessSV1):
        yield OddInput(
            kind=kind,
            name=f"declares {syntax.name}, is not",
            build=partial(_declared, syntax=syntax),
            expect=REFUSED,
        )
        yield OddInput(
            kind=kind,
            name=f"{syntax.name} of noise",
            build=partial(_declared, syntax=syntax, pixels=np.random.default_rng(0).bytes(3000)),
            expect=REFUSED,
        )
    for unknown in NOT_DECODED:
        yield OddInput(
            kind=kind,
            name=f"{unknown}, which is not decoded",
            build=partial(_declared, syntax=unknown, pixels=b"\0" * 3000),
            expect=REFUSED,
        )
    yield OddInput(
        kind=kind, name="without file meta", build=_without_meta, expect=ACCEPTED, slices=NUM_SLICES
    )
    yield OddInput(
        kind=kind,
        name="without preamble",
        build=_without_preamble,
        expect=ACCEPTED,
        slices=NUM_SLICES,
    )
    yield OddInput(
        kind=kind,
        name="two syntaxes in one series",
        build=_two_syntaxes,
        expect=ACCEPTED,
        slices=NUM_SLICES,
    )


def _without_meta(folder: Path) -> Path:
    for index in range(NUM_SLICES):
        _, elements = split(slice_file(index))
        folder.joinpath(f"{index}.dcm").write_bytes(joined(b"", elements))
    return folder


def _without_preamble(folder: Path) -> Path:
    for index in range(NUM_SLICES):
        folder.joinpath(f"{index}.dcm").write_bytes(slice_file(index)[132:])
    return folder


def _two_syntaxes(folder: Path) -> Path:
    write_scan(folder)
    write_dataset(folder / "IM0001.dcm", compressed(classic(1), JPEG2000Lossless))
    return folder


def _damaged_codestreams() -> Iterator[OddInput]:
    rng = np.random.default_rng(1)
    places = rng.random(40)

    def flip(frame: bytes) -> bytes:
        content = bytearray(frame)
        for place in places:
            content[int(place * len(content))] ^= 0x55
        return bytes(content)

    damages: dict[str, tuple[Damage, Expect]] = {
        "cut to half": (lambda frame: frame[: len(frame) // 4 * 2], REFUSED),
        "cut to 20 bytes": (lambda frame: frame[:20], REFUSED),
        "empty": (lambda frame: b"", REFUSED),
        "zeros": (lambda frame: bytes(len(frame)), REFUSED),
        "flipped": (flip, EITHER),
        "twice": (lambda frame: frame + frame, EITHER),
        "half zeroed": (
            lambda frame: frame[: len(frame) // 2] + bytes(len(frame) - len(frame) // 2),
            EITHER,
        ),
    }
    for syntax in ENCODERS:
        for name, (damage, expect) in damages.items():
            for number, which in ((None, "all"), (2, "one")):
                if which == "all" and name not in ("cut to half", "flipped", "empty"):
                    continue
                yield OddInput(
                    kind="damaged codestream",
                    name=f"{syntax.name}, {name}, {which}",
                    build=partial(_write_compressed, syntax=syntax, damage=damage, number=number),
                    expect=expect,
                    slices=NUM_SLICES,
                )
    for syntax in ENCODERS:
        yield OddInput(
            kind="damaged codestream",
            name=f"{syntax.name} of another size",
            build=partial(_other_size, syntax=syntax),
            expect=REFUSED,
        )


def _other_size(folder: Path, syntax: str) -> Path:
    for index in range(NUM_SLICES):
        dataset = compressed(classic(index), syntax)
        dataset.Rows = dataset.Columns = 2 * SIDE
        write_dataset(folder / f"{index}.dcm", dataset)
    return folder


# sizes


def _sizes() -> Iterator[OddInput]:
    faults: dict[str, tuple[dict[str, int | str], Expect]] = {
        "65535 x 65535": ({"Rows": 65535, "Columns": 65535}, REFUSED),
        "1 x 1": ({"Rows": 1, "Columns": 1}, REFUSED),
        "one row": ({"Rows": 1}, REFUSED),
        "one row more": ({"Rows": SIDE + 1}, REFUSED),
        "one row less": ({"Rows": SIDE - 1}, EITHER),
        "rows and columns swapped by half": ({"Rows": SIDE * 2, "Columns": SIDE // 2}, EITHER),
        "bits 12 of 16": ({"BitsStored": 12, "HighBit": 11}, EITHER),
        "bits 17 of 16": ({"BitsStored": 17, "HighBit": 16}, REFUSED),
        "high bit below stored": ({"BitsStored": 12, "HighBit": 3}, REFUSED),
        "high bit 200": ({"HighBit": 200}, REFUSED),
        "bits allocated 8": ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, EITHER),
        "bits allocated 12": ({"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11}, REFUSED),
        "bits allocated 1": ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, REFUSED),
        "bits allocated 32": ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, REFUSED),
        "bits allocated 64": ({"BitsAllocated": 64, "BitsStored": 64, "HighBit": 63}, REFUSED),
        "unsigned": ({"PixelRepresentation": 0}, EITHER),
        "representation 9": ({"PixelRepresentation": 9}, EITHER),
        "three samples": ({"SamplesPerPixel": 3}, REFUSED),
        "palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, REFUSED),
        "two frames": ({"NumberOfFrames": "2"}, EITHER),
        "many frames": ({"NumberOfFrames": "2147483647"}, EITHER),
        "minus one frame": ({"NumberOfFrames": "-1"}, EITHER),
    }
    for name, (values, expect) in faults.items():
        for which in ("all", "last"):

            def build(
                folder: Path, values: dict[str, int | str] = values, which: str = which
            ) -> Path:
                def edit(elements: Elements, index: int) -> Elements:
                    if which == "last" and index != NUM_SLICES - 1:
                        return elements
                    for keyword, value in values.items():
                        content = struct.pack("<H", value) if isinstance(value, int) else value
                        elements = with_value(elements, keyword, content)
                    return elements

                return write_scan(folder, edit)

            yield OddInput(
                kind="absurd size",
                name=f"{name}, {which}",
                build=build,
                expect=EITHER if which == "last" and expect is ACCEPTED else expect,
            )
    for name, millimeters in (("tiny", 0.001), ("huge", 99.0), ("beyond", 1e6)):

        def build_spacing(folder: Path, millimeters: float = millimeters) -> Path:
            return write_scan(
                folder, lambda e, _: with_value(e, "PixelSpacing", f"{millimeters}\\{millimeters}")
            )

        yield OddInput(
            kind="absurd size", name=f"{name} pixels", build=build_spacing, expect=REFUSED
        )
    yield OddInput(
        kind="absurd size",
        name="oblong pixels",
        build=lambda folder: write_scan(
            folder, lambda e, _: with_value(e, "PixelSpacing", f"{PIXEL_MM}\\1.0")
        ),
        expect=REFUSED,
    )


# multi-frame


def _one_file(
    folder: Path,
    change: Callable[[FileDataset], object] | None = None,
    *,
    name: str = "enhanced.dcm",
) -> Path:
    dataset = enhanced()
    if change is not None:
        change(dataset)
    write_dataset(folder / name, dataset)
    return folder


def _set(dataset: Dataset, keyword: str, value: object) -> None:
    setattr(dataset, keyword, value)


def _multiframe() -> Iterator[OddInput]:
    def frames(dataset: FileDataset) -> DicomSequence:
        return dataset.PerFrameFunctionalGroupsSequence

    def shared(dataset: FileDataset) -> Dataset:
        return dataset.SharedFunctionalGroupsSequence[0]

    def position(dataset: FileDataset, number: int) -> Dataset:
        return frames(dataset)[number].PlanePositionSequence[0]

    changes: dict[str, tuple[Callable[[FileDataset], object], Expect]] = {
        "as it should be": (lambda d: None, ACCEPTED),
        "frames in another order": (
            lambda d: _set(d, "PerFrameFunctionalGroupsSequence", list(frames(d))[::-1]),
            ACCEPTED,
        ),
        "legacy converted": (_legacy, ACCEPTED),
        "one group less": (lambda d: frames(d).pop(), REFUSED),
        "one group more": (lambda d: frames(d).append(Dataset()), REFUSED),
        "no groups of frames": (lambda d: delattr(d, "PerFrameFunctionalGroupsSequence"), REFUSED),
        "no shared groups": (lambda d: delattr(d, "SharedFunctionalGroupsSequence"), REFUSED),
        "empty shared groups": (lambda d: _set(d, "SharedFunctionalGroupsSequence", []), REFUSED),
        "two shared groups": (
            lambda d: _set(d, "SharedFunctionalGroupsSequence", [shared(d), Dataset()]),
            EITHER,
        ),
        "no number of frames": (lambda d: delattr(d, "NumberOfFrames"), REFUSED),
        "no frames": (lambda d: _set(d, "NumberOfFrames", 0), REFUSED),
        "frames -4": (lambda d: _set(d, "NumberOfFrames", -4), REFUSED),
        "two billion frames": (lambda d: _set(d, "NumberOfFrames", 2**31 - 1), REFUSED),
        "fewer pixels than frames": (lambda d: _set(d, "PixelData", d.PixelData[:-SIDE]), REFUSED),
        "no pixels": (lambda d: delattr(d, "PixelData"), REFUSED),
        "no spacing": (lambda d: delattr(shared(d), "PixelMeasuresSequence"), REFUSED),
        "no rescale": (lambda d: delattr(shared(d), "PixelValueTransformationSequence"), REFUSED),
        "no position of a frame": (
            lambda d: delattr(frames(d)[2], "PlanePositionSequence"),
            REFUSED,
        ),
        "empty position of a frame": (
            lambda d: _set(frames(d)[2], "PlanePositionSequence", []),
            REFUSED,
        ),
        "position of two numbers": (
            lambda d: _set(position(d, 1), "ImagePositionPatient", [1, 2]),
            REFUSED,
        ),
        "two frames in one place": (
            lambda d: _set(
                position(d, 1), "ImagePositionPatient", position(d, 0).ImagePositionPatient
            ),
            REFUSED,
        ),
        "a frame away": (
            lambda d: _set(position(d, 3), "ImagePositionPatient", [-150, -160, 500]),
            REFUSED,
        ),
        "another orientation": (
            lambda d: _set(
                frames(d)[1].PlaneOrientationSequence[0],
                "ImageOrientationPatient",
                [0, 1, 0, 0, 0, -1],
            ),
            REFUSED,
        ),
        "no orientation": (lambda d: delattr(frames(d)[1], "PlaneOrientationSequence"), REFUSED),
        "two rescales": (_two_rescales, EITHER),
        "two kernels": (_two_kernels, REFUSED),
        "a localizer frame": (_localizer_frame, REFUSED),
        "no frame content": (lambda d: delattr(frames(d)[1], "FrameContentSequence"), ACCEPTED),
        "no dimensions": (
            _without_dimensions,
            ACCEPTED,
        ),
        "no image type": (lambda d: delattr(d, "ImageType"), EITHER),
        "no frame type": (lambda d: delattr(shared(d), "CTImageFrameTypeSequence"), EITHER),
        "classic class, several frames": (
            lambda d: _set(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
            REFUSED,
        ),
        "color": (lambda d: _set(d, "SamplesPerPixel", 3), REFUSED),
    }
    for name, (change, expect) in changes.items():
        yield OddInput(
            kind="multi-frame",
            name=name,
            build=partial(_one_file, change=change),
            expect=expect,
            slices=NUM_SLICES,
        )
    for name, table, expect in (
        ("one fragment a frame", None, ACCEPTED),
        ("a table that leads elsewhere", [0, 7, 9, 13], EITHER),
        ("a table of too few", [0, 100], EITHER),
    ):
        yield OddInput(
            kind="multi-frame",
            name=f"RLE, {name}",
            build=partial(_rle_frames, table=table),
            expect=expect,
            slices=NUM_SLICES,
        )
    yield OddInput(
        kind="multi-frame",
        name="RLE, a frame missing",
        build=partial(_rle_frames, count=NUM_SLICES - 1),
        expect=REFUSED,
    )
    yield OddInput(
        kind="multi-frame",
        name="beside classic images of the series",
        build=_beside_classic,
        expect=REFUSED,
    )
    yield OddInput(
        kind="multi-frame", name="cut within a frame", build=_cut_multiframe, expect=REFUSED
    )


def _legacy(dataset: FileDataset) -> None:
    dataset.SOPClassUID = LegacyConvertedEnhancedCTImageStorage
    dataset.file_meta.MediaStorageSOPClassUID = LegacyConvertedEnhancedCTImageStorage
    shared = dataset.SharedFunctionalGroupsSequence[0]
    del shared.CTReconstructionSequence, shared.CTExposureSequence
    shared.UnassignedSharedConvertedAttributesSequence = item(ConvolutionKernel="STANDARD")


def _two_rescales(dataset: FileDataset) -> None:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    del shared.PixelValueTransformationSequence
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.PixelValueTransformationSequence = item(
            RescaleIntercept=-1024, RescaleSlope=1 + number / 100, RescaleType="HU"
        )


def _two_kernels(dataset: FileDataset) -> None:
    del dataset.SharedFunctionalGroupsSequence[0].CTReconstructionSequence
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.CTReconstructionSequence = item(ConvolutionKernel=f"K{number % 2}")


def _without_dimensions(dataset: FileDataset) -> None:
    del dataset.DimensionIndexSequence, dataset.DimensionOrganizationSequence


def _localizer_frame(dataset: FileDataset) -> None:
    dataset.PerFrameFunctionalGroupsSequence[1].CTImageFrameTypeSequence = item(
        FrameType=["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
    )


def _rle_frames(folder: Path, *, table: list[int] | None = None, count: int = NUM_SLICES) -> Path:
    dataset = enhanced()
    frames = [_codestream(classic(index), RLELossless) for index in range(count)]
    content = encapsulate(frames)
    if table is not None:
        length = struct.unpack("<L", content[4:8])[0]
        written = struct.pack(f"<{len(table)}L", *table)
        content = content[:4] + struct.pack("<L", len(written)) + written + content[8 + length :]
    dataset.PixelData = content
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = RLELossless
    write_dataset(folder / "enhanced.dcm", dataset)
    return folder


def _beside_classic(folder: Path) -> Path:
    _one_file(folder)
    return write_scan(folder)


def _cut_multiframe(folder: Path) -> Path:
    _one_file(folder)
    path = folder / "enhanced.dcm"
    path.write_bytes(path.read_bytes()[:-SIDE])
    return folder


# bombs


def rle_bomb(side: int = 8192) -> bytes:
    """A valid RLE image of one value: 2.1 MB that decode to 134 MB."""
    high, low = (bytes([0x81, value]) * (side * side // 128) for value in (4, 0))  # 0 HU
    head = struct.pack("<16L", 2, 64, 64 + len(high), *[0] * 13)
    dataset = classic(0, hu=trunk()[0])
    dataset.Rows = dataset.Columns = side
    dataset.PixelSpacing = [SIDE * PIXEL_MM / side] * 2
    dataset.PixelData = encapsulate([head + high + low])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = RLELossless
    return encoded(dataset)


def item_bomb(
    count: int = 300_000, *, keyword: str = "ReferencedImageSequence", defined: bool = True
) -> bytes:
    """Empty items, 8 bytes each."""
    beginning, elements = split(slice_file(0))
    value = EMPTY_ITEM * count + (b"" if defined else SEQUENCE_END)
    return joined(
        beginning,
        with_value(elements, keyword, value, vr="SQ", length=len(value) if defined else UNDEFINED),
    )


def grown(deflater: Any, start: bytes, num_bytes: int) -> bytes:
    """A beginning and so many zeros, compressed: a block that stands by itself, repeated."""
    first = deflater.compress(start) + deflater.flush(zlib.Z_FULL_FLUSH)
    block = deflater.compress(bytes(2**22)) + deflater.flush(zlib.Z_FULL_FLUSH)
    return bytes(first + block * (num_bytes // 2**22) + deflater.flush())


def deflated_bomb(num_bytes: int = 400 * 2**20, *, where: str = "elements") -> bytes:
    """A deflated file that grows to so many bytes: of empty elements, one element, or pixels."""
    _, elements = split(slice_file(0))
    padded = DeflatedExplicitVRLittleEndian.encode()
    padded += b"\0" * (len(padded) % 2)
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(padded)) + padded
    start = bytes(128) + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta)) + meta
    head = {
        "elements": b"",
        "one element": struct.pack("<HH2sHL", 0x0008, 0x0001, b"OB", 0, num_bytes),
        "pixels": joined(b"", elements[:-1])
        + struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, num_bytes),
        "behind the pixels": joined(b"", elements),
    }[where]
    return start + grown(zlib.compressobj(9, wbits=-zlib.MAX_WBITS), head, num_bytes)


def nested_bomb(depth: int = 50_000) -> bytes:
    """Sequences in sequences."""
    beginning, elements = split(slice_file(0))
    opening = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, UNDEFINED) + OPEN_ITEM
    nest = opening * depth + (ITEM_END + SEQUENCE_END) * depth
    place = next(i for i, one in enumerate(elements) if one.tag > 0x00081140)
    return beginning + joined(b"", elements[:place]) + nest + joined(b"", elements[place:])


def element_bomb(count: int = 1_000_000) -> bytes:
    """Empty elements, 8 bytes each."""
    beginning, elements = split(slice_file(0))
    empty = Element(0x00080050, b"SH", b"").encoded()
    return joined(beginning, elements[:3]) + empty * count + joined(b"", elements[3:])


def number_bomb(num_bytes: int = 8 * 2**20) -> bytes:
    """Implicit VR has room for millions of numbers in one element."""
    dataset = classic(0)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    content = encoded(dataset)
    place = content.index(struct.pack("<HH", 0x0020, 0x0032))
    (length,) = struct.unpack("<L", content[place + 4 : place + 8])
    value = b"1\\" * (num_bytes // 2)
    return (
        content[: place + 4] + struct.pack("<L", len(value)) + value + content[place + 8 + length :]
    )


def jpeg2000_bomb() -> bytes:
    """A small codestream that says it is 60000 x 60000."""
    dataset = compressed(classic(0), JPEG2000Lossless)
    content = bytearray(encoded(dataset))
    place = content.index(b"\xff\x4f\xff\x51") + 8
    content[place : place + 8] = struct.pack(">LL", 60_000, 60_000)
    return bytes(content)


def meta_bomb() -> bytes:
    """File meta without end."""
    return bytes(128) + b"DICM" + struct.pack("<HH2sH", 2, 0x16, b"AE", 0) * 500_000


def _bombs() -> Iterator[OddInput]:
    made: dict[str, tuple[Callable[[], bytes], Expect]] = {
        "RLE of 8192 x 8192": (rle_bomb, REFUSED),
        "RLE of 4000 x 4000, fine pixels": (partial(rle_bomb, 4000), REFUSED),
        "300,000 empty items": (item_bomb, REFUSED),
        "300,000 empty items, undefined length": (partial(item_bomb, defined=False), REFUSED),
        "300,000 pieces of equipment": (
            partial(item_bomb, keyword="ContributingEquipmentSequence"),
            REFUSED,
        ),
        "19,000 pieces of equipment": (
            partial(item_bomb, 19_000, keyword="ContributingEquipmentSequence"),
            EITHER,
        ),
        "300,000 private items": (
            partial(item_bomb, keyword="ReferencedImageSequence", defined=False),
            REFUSED,
        ),
        "deflated, empty elements": (deflated_bomb, REFUSED),
        "deflated, one element": (partial(deflated_bomb, where="one element"), REFUSED),
        "deflated, pixels": (partial(deflated_bomb, where="pixels"), EITHER),
        "deflated, behind the pixels": (partial(deflated_bomb, where="behind the pixels"), EITHER),
        "deflated, 2 GB": (partial(deflated_bomb, 2 * 2**30, where="pixels"), EITHER),
        "50,000 nested sequences": (nested_bomb, REFUSED),
        "1,000,000 empty elements": (element_bomb, REFUSED),
        "4,000,000 numbers in one element": (number_bomb, REFUSED),
        "JPEG 2000 of 60000 x 60000": (jpeg2000_bomb, REFUSED),
        "endless file meta": (meta_bomb, REFUSED),
    }
    for name, (make, expect) in made.items():

        def build(folder: Path, make: Callable[[], bytes] = make) -> Path:
            (folder / "bomb.dcm").write_bytes(make())
            return folder

        yield OddInput(kind="bomb", name=name, build=build, expect=expect)
    for name, make in (("items", item_bomb), ("deflated", deflated_bomb), ("nested", nested_bomb)):

        def many(folder: Path, make: Callable[[], bytes] = make) -> Path:
            content = make()
            for number in range(20):
                (folder / f"{number}.dcm").write_bytes(content)
            return folder

        yield OddInput(kind="bomb", name=f"20 files, {name}", build=many, expect=REFUSED)

        def beside(folder: Path, make: Callable[[], bytes] = make) -> Path:
            (folder / "bomb.dcm").write_bytes(make())
            return write_scan(folder)

        yield OddInput(kind="bomb", name=f"beside a scan, {name}", build=beside, expect=REFUSED)

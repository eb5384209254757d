"""How much of a file or folder of unknown origin is read before it is refused."""

from __future__ import annotations

from dataclasses import dataclass, fields

from isocenter.core.errors import InputRefused

MEBIBYTE = 2**20
GIBIBYTE = 2**30


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an input may cost. Defaults are far above what scanners make; none changes a pixel.

    A file beyond one of them is refused by its header, before its pixels are touched.

    Attributes:
        files: in a folder and all below it.
        file_bytes: of one file.
        header_bytes: of all that stands before the pixels of a DICOM file, private elements aside.
        header_bytes_a_frame: as many more for each frame of a multi-frame file.
        inflated_bytes: what the deflated part of a DICOM file may grow to.
        elements: data elements in a DICOM header, nested ones included.
        elements_a_frame: as many more for each frame of a multi-frame file.
        items: items of sequences in a DICOM header, nested ones included.
        items_a_frame: as many more for each frame of a multi-frame file.
        nesting: sequences within sequences.
        frames: of one DICOM file.
        frame_pixels: rows times columns of one frame.
        volume_voxels: of what is read into memory whole: a NIfTI or MetaImage file.
        decoding_seconds: processor time for one compressed frame; three times as long by the clock.
        decoding_memory_bytes: address space of the process that decodes compressed frames.
    """

    files: int = 200_000
    file_bytes: int = 16 * GIBIBYTE
    header_bytes: int = 8 * MEBIBYTE
    header_bytes_a_frame: int = 16 * 2**10
    inflated_bytes: int = 512 * MEBIBYTE
    elements: int = 100_000
    elements_a_frame: int = 300
    items: int = 20_000
    items_a_frame: int = 50
    nesting: int = 32
    frames: int = 20_000
    frame_pixels: int = 4096 * 4096
    volume_voxels: int = 2**30
    decoding_seconds: float = 20.0
    decoding_memory_bytes: int = 2 * GIBIBYTE

    def __post_init__(self) -> None:
        for each in fields(self):
            if not getattr(self, each.name) > 0:
                raise InputRefused(
                    f"the limit {each.name} must be above 0, got {getattr(self, each.name)}"
                )


DEFAULT_LIMITS = Limits()


def in_bytes(count: int) -> str:
    """A limit of bytes in words, such as "64 MiB"."""
    for size, name in ((GIBIBYTE, "GiB"), (MEBIBYTE, "MiB"), (2**10, "KiB")):
        if count >= size:
            return f"{count / size:.4g} {name}"
    return f"{count} bytes"

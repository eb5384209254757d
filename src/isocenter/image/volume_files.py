"""NIfTI and MetaImage in and out.

Positions in NIfTI are RAS, ours are LPS as in DICOM; the change of sign happens here and nowhere
else. Axes keep the order of the file: its fastest axis is our column, its slowest our slice.

SimpleITK writes both and reads MetaImage. NIfTI is read here from its bytes, since readers differ
in which of its two transforms they believe, and mend in silence: SimpleITK puts 0 where a value is
not finite.

Sources: NIfTI-1 header, nifti1.h (Cox et al., 2004, with the clarifications of 2007); MetaImage,
ITK's MetaIO documentation.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from isocenter.core.acquisition import Acquisition, CtAcquisition
from isocenter.core.errors import InputRefused, OutputRefused, UnreadableInput
from isocenter.core.files import put_in_place, raise_what_stops
from isocenter.core.inflating import GZIP, MOST_GROWTH, InflatedStream
from isocenter.core.limits import DEFAULT_LIMITS, Limits, in_bytes
from isocenter.core.outputs import HOUNSFIELD
from isocenter.core.partial_folders import partial_folder
from isocenter.core.volume import Geometry, Vector, Volume
from isocenter.image.ct_values import why_not_hu

# The longer of two that a name may end with comes first.
NIFTI_ENDINGS = (".nii.gz", ".nii")
META_ENDINGS = (".mha", ".mhd")
VOLUME_ENDINGS = (*NIFTI_ENDINGS, *META_ENDINGS)
# A note that both formats carry; ours says the unit.
_NOTE_KEY = "ITK_FileNotes"
_UNIT_NOTE = "unit="
# Stands in the note behind the unit where a model made the values.
_SYNTHETIC_NOTE = "; synthetic=YES"
_HEADER_BYTES = 348
_MOST_OFFSET = 2**24
_MOST_VOXEL_BYTES = 8
_MILLIMETERS = 2
_MOST_META_HEADER_BYTES = 100_000
_LONGEST_NAME = 255
_LEAST_ROWS_COLUMNS = 2
# What is not here has no single number a voxel.
_NIFTI_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8",
    256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
# Bytes of a number.
_META_TYPES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}  # fmt: skip
_LEAST_SINE = 1e-3  # how far two axes may be from a right angle
_SAME_POSITION_MM = 0.1


def is_volume_file(path: str | Path) -> bool:
    """Whether the name is one of a NIfTI or MetaImage file."""
    return bool(volume_ending(path))


def volume_ending(path: str | Path) -> str:
    """The ending that says which kind of volume file it is; "" where it is none."""
    name = str(path).lower()
    return next((ending for ending in VOLUME_ENDINGS if name.endswith(ending)), "")


def read_volume_file(
    path: str | Path,
    *,
    unit: str | None = None,
    length_unit: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Volume:
    """Read a three-dimensional NIfTI or MetaImage file.

    Args:
        path: .nii, .nii.gz, .mha or .mhd.
        unit: what the numbers mean, such as "HU". Neither format has a place for it; files that
            Isocenter wrote say it in a note, for others it must be given.
        length_unit: "mm" for a NIfTI file that does not say in which unit its spacing is.
        limits: what the file may cost; beyond, it is refused by its header.

    Returns:
        float32 values in the order of the file's axes. Of the acquisition no more is known than
        that HU come from CT.

    Raises:
        UnreadableInput: no such file, damaged or truncated.
        InputRefused: not three-dimensional, in color, without spacing or position, sheared, not
            finite, of no known unit, or said to be HU and clearly something else.
    """
    path = Path(path)
    if not is_volume_file(path):
        raise InputRefused(
            "the name does not end in .nii, .nii.gz, .mha or .mhd; other formats of volumes are "
            "not read"
        )
    if not _is_file(path):
        raise UnreadableInput(
            "the volume file does not exist, or is no plain file", reason="no_such_input"
        )
    if length_unit not in (None, "mm"):
        raise InputRefused(f'length_unit must be "mm" where it is given, got {length_unit!r}')
    _check_file_bytes(path, limits)
    if str(path).lower().endswith(NIFTI_ENDINGS):
        array, geometry, note = _read_nifti(path, length_unit, limits)
    else:
        array, geometry, note = _read_meta(path, limits)
    unit = _unit(note, unit)
    _check_values(array, unit)
    return Volume(
        array=array,
        geometry=geometry,
        unit=unit,
        acquisition=CtAcquisition() if unit == HOUNSFIELD.name else Acquisition(),
    )


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What the header of a volume file says of its values.

    Attributes:
        unit: what the numbers mean; None where the file does not say.
        synthetic: a model made the values.
        length_unit: the file says in which unit its spacing is, as MetaImage always does.
    """

    unit: str | None
    synthetic: bool
    length_unit: bool


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _check_file_bytes(path: Path, limits: Limits) -> None:
    if path.stat().st_size > limits.file_bytes:
        raise UnreadableInput(
            f"the volume file is larger than {in_bytes(limits.file_bytes)} (limit file_bytes)"
        )


def stated(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> Stated:
    """What a volume file says of its values, without reading them.

    Raises:
        UnreadableInput: no such file, or damaged.
    """
    path = Path(path)
    if not _is_file(path):
        raise UnreadableInput(
            "the volume file does not exist, or is no plain file", reason="no_such_input"
        )
    if str(path).lower().endswith(NIFTI_ENDINGS):
        with _decompressed(path, limits) as stream:
            header = stream.read(_HEADER_BYTES)
        note = _nifti_note(header)
        length_unit = len(header) < _HEADER_BYTES or header[123] & 7 != 0
    else:
        note, length_unit = _meta_fields(path).get(_NOTE_KEY, ""), True
    return Stated(
        unit=_noted(note), synthetic=note.endswith(_SYNTHETIC_NOTE), length_unit=length_unit
    )


def write_volume_file(volume: Volume, path: str | Path, *, synthetic: bool = False) -> Path:
    """Write a volume whole or not at all, over what was there.

    Values become int16 where all are whole numbers that fit, else float32. The mask of measured
    voxels and the acquisition have no place in these formats and are not written; the unit stands
    in a note.

    Args:
        volume: finite values.
        path: .nii, .nii.gz, .mha or .mhd (which has its values in a .raw file beside it); the
            folder exists.
        synthetic: write into the note that a model made the values.

    Raises:
        OutputRefused: another ending, or no such folder.
        OSError: the disk does not take it.
        ValueError: values that are not finite.
    """
    path = Path(path)
    if not is_volume_file(path):
        raise OutputRefused(
            f"a volume file ends in .nii, .nii.gz, .mha or .mhd, not {path.suffix!r}"
        )
    if not path.parent.is_dir():
        raise OutputRefused("the folder of the volume file does not exist; make it first")
    image = simple_itk_image(volume)
    if synthetic:
        image.SetMetaData(_NOTE_KEY, image.GetMetaData(_NOTE_KEY) + _SYNTHETIC_NOTE)
    num_bytes = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
    with _files_appearing_whole(path) as temporary:
        _write_whole(image, temporary, num_bytes)
    return path


def simple_itk_image(volume: Volume) -> Any:
    """The volume as a ``SimpleITK.Image``, int16 where all values are whole numbers that fit.

    Raises:
        ValueError: values that are not finite.
    """
    import SimpleITK

    if not np.isfinite(volume.array).all():
        raise ValueError("the volume holds values that are not finite; fill them first")
    geometry = volume.geometry
    image = SimpleITK.GetImageFromArray(_compact(volume.array))
    image.SetSpacing(geometry.spacing_mm[::-1])
    image.SetOrigin(geometry.origin_mm)
    axes = (geometry.column_direction, geometry.row_direction, geometry.slice_direction)
    image.SetDirection(np.array(axes).T.ravel().tolist())
    image.SetMetaData(_NOTE_KEY, _UNIT_NOTE + volume.unit)
    return image


def _compact(array: NDArray) -> NDArray:
    limits = np.iinfo(np.int16)
    fits = array.min() >= limits.min and array.max() <= limits.max
    if fits and bool((array == np.rint(array)).all()):
        return array.astype(np.int16)
    return array.astype(np.float32)


@contextmanager
def _files_appearing_whole(path: Path) -> Iterator[Path]:
    """A name of the same ending to write under, in a folder of its own beside ``path``.

    Everything written there takes its place when the block ends well, ``path`` itself last.
    """
    with partial_folder(path) as folder:
        yield folder / path.name
        written = sorted(folder.iterdir(), key=lambda one: one.name == path.name)
        for one in written:
            put_in_place(one, path.with_name(one.name))


def _write_whole(image: Any, path: Path, num_bytes: int) -> None:
    """Have SimpleITK write, and see that all is there: it cuts NIfTI short without a word.

    Raises:
        OSError: the disk did not take it.
        OutputRefused: the file is not whole, for a reason that is gone.
    """
    import SimpleITK

    try:
        SimpleITK.WriteImage(image, str(path), useCompression=path.suffix == ".gz")
    except RuntimeError as error:
        raise_what_stops(path.parent, num_bytes)
        raise OutputRefused("the volume file could not be written; try again") from error
    if _num_bytes_stored(path) < num_bytes:
        raise_what_stops(path.parent, num_bytes)
        raise OutputRefused("the volume file was cut short; try again")


def _num_bytes_stored(path: Path) -> int:
    """Bytes of a file, decompressed; of all beside it too, as values may lie in one."""
    if path.suffix != ".gz":
        return sum(one.stat().st_size for one in path.parent.iterdir())
    count = 0
    try:
        with gzip.open(path) as stream:
            while block := stream.read(2**20):
                count += len(block)
    except (EOFError, OSError, zlib.error):
        return 0
    return count


# NIfTI


def _read_nifti(
    path: Path, length_unit: str | None, limits: Limits
) -> tuple[NDArray, Geometry, str]:
    """(slice, row, column) float32, where it lies, and the note in the header."""
    with _decompressed(path, limits) as stream:
        header = stream.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            raise UnreadableInput("the file is shorter than a NIfTI header")
        order = _byte_order(header)
        _check_nifti_kind(header, order)
        shape = _shape(*_axes(header, order), limits)
        _check_held(path, _nifti_end(header, order, shape))
        if length_unit is None:
            _check_millimeters(header)
        geometry = _geometry(_nifti_affine(header, order), shape)
        array = _nifti_values(stream, header, order, shape)
    return array, geometry, _nifti_note(header)


def _axes(header: bytes, order: str) -> tuple[int, list[int]]:
    """Number of axes and size of the first three; axes of one value behind them do not count."""
    num_axes, *sizes = struct.unpack_from(f"{order}8h", header, 40)
    while 3 < num_axes <= 7 and sizes[num_axes - 1] == 1:
        num_axes -= 1
    return num_axes, sizes[:3]


def _nifti_note(header: bytes) -> str:
    return header[148:228].split(b"\0")[0].decode(errors="replace")


@contextmanager
def _decompressed(path: Path, limits: Limits) -> Iterator[BinaryIO | InflatedStream]:
    try:
        if path.suffix.lower() != ".gz":
            with path.open("rb") as stream:
                yield stream
        else:
            most_bytes = _MOST_OFFSET + _MOST_VOXEL_BYTES * limits.volume_voxels
            yield InflatedStream(path, form=GZIP, most_bytes=most_bytes, keep=False)
    except OSError as error:
        raise UnreadableInput("the volume file is truncated or damaged; copy it again") from error


def _nifti_end(header: bytes, order: str, shape: tuple[int, int, int]) -> int:
    """Where the values end."""
    code = struct.unpack_from(f"{order}h", header, 70)[0]
    offset = struct.unpack_from(f"{order}f", header, 108)[0]
    return int(offset) + math.prod(shape) * np.dtype(_NIFTI_TYPES[code]).itemsize


def _check_held(path: Path, num_bytes: int, *, is_compressed: bool | None = None) -> None:
    """Refuse, before any room is made for them, more values than a file can hold."""
    if is_compressed is None:
        is_compressed = path.suffix.lower() == ".gz"
    if path.stat().st_size * (MOST_GROWTH if is_compressed else 1) < num_bytes:
        raise UnreadableInput("the volume file is truncated; copy it again")


def _check_millimeters(header: bytes) -> None:
    code = header[123] & 7
    if code != _MILLIMETERS:
        said = {0: "no unit", 1: "meters", 3: "micrometers"}.get(code, "an unknown unit")
        raise InputRefused(
            f"the NIfTI header gives {said} for its spacing, millimeters are needed; write the "
            'unit into the file, or give length_unit="mm" where you know it'
        )


def _nifti_values(
    stream: BinaryIO | InflatedStream, header: bytes, order: str, shape: tuple[int, int, int]
) -> NDArray:
    code = struct.unpack_from(f"{order}h", header, 70)[0]
    offset, slope, intercept = struct.unpack_from(f"{order}3f", header, 108)
    kind = np.dtype(order + _NIFTI_TYPES[code])
    _read_exactly(stream, int(offset) - _HEADER_BYTES)
    array = np.empty(shape, np.float32)
    for index in range(shape[0]):
        content = _read_exactly(stream, shape[1] * shape[2] * kind.itemsize)
        values = np.frombuffer(content, kind).reshape(shape[1:])
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused later
            array[index] = values if slope == 0 else values * np.float64(slope) + intercept
    stream.read(1 << 20)  # the end, where a compressed file has its checksum
    return array


def _read_exactly(stream: BinaryIO | InflatedStream, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise UnreadableInput("the volume file is truncated; copy it again")
    return content


def _byte_order(header: bytes) -> str:
    for order in "<>":
        size = struct.unpack_from(f"{order}i", header)[0]
        if size == _HEADER_BYTES:
            return order
        if size == 540:
            raise InputRefused("this is NIfTI-2, which is not read; save it as NIfTI-1")
    raise UnreadableInput("the file does not begin as NIfTI does")


def _check_nifti_kind(header: bytes, order: str) -> None:
    if header[344:348] != b"n+1\0":
        raise UnreadableInput("the file is not a single-file NIfTI-1 image")
    code, bits = struct.unpack_from(f"{order}2h", header, 70)
    if code not in _NIFTI_TYPES:
        raise InputRefused(
            f"the NIfTI file holds colors, complex numbers or bits (type {code}); one number a "
            "voxel is needed"
        )
    if bits != 8 * np.dtype(_NIFTI_TYPES[code]).itemsize:
        raise UnreadableInput(f"the NIfTI header gives {bits} bits for type {code}")
    offset, slope, intercept = struct.unpack_from(f"{order}3f", header, 108)
    if not (np.isfinite([slope, intercept]).all() and _HEADER_BYTES <= offset < _MOST_OFFSET):
        raise UnreadableInput("scale or offset in the NIfTI header cannot be meant")


def _nifti_affine(header: bytes, order: str) -> NDArray:
    """Column, row and slice index to RAS millimeters, (3, 4).

    Raises:
        InputRefused: neither transform is set, or the two lead to different places.
    """
    qform_code, sform_code = struct.unpack_from(f"{order}2h", header, 252)
    pixdim = np.array(struct.unpack_from(f"{order}8f", header, 76), float)
    steps = pixdim[1:4]
    if not (np.isfinite(steps) & (steps > 0)).all():
        raise InputRefused(f"the spacing must be positive, the header gives {steps.tolist()}")
    found = []
    if qform_code > 0:
        quaternion = np.array(struct.unpack_from(f"{order}3f", header, 256), float)
        offset = np.array(struct.unpack_from(f"{order}3f", header, 268), float)
        if not np.abs(quaternion).max() <= 1:  # also refuses NaN
            raise InputRefused(
                "the qform in the NIfTI header is no rotation; convert the scan again"
            )
        rotation = _rotation(quaternion) * [1.0, 1.0, -1.0 if pixdim[0] < 0 else 1.0]
        found.append(np.column_stack([rotation * steps, offset]))
    if sform_code > 0:
        rows = struct.unpack_from(f"{order}12f", header, 280)
        found.append(np.array(rows, float).reshape(3, 4))
    if not found:
        raise InputRefused(
            "the NIfTI header does not say where the volume lies (no qform and no sform); which "
            "side is left is then unknown. Convert the scan again"
        )
    if not all(np.isfinite(affine).all() for affine in found):
        raise InputRefused("the position in the NIfTI header is not finite; convert the scan again")
    sizes = np.array(struct.unpack_from(f"{order}3h", header, 42))
    corners = np.array([[*(sizes * one), 1] for one in np.ndindex(2, 2, 2)])
    if np.abs(corners @ (found[0] - found[-1]).T).max() > _SAME_POSITION_MM:
        raise InputRefused(
            "qform and sform in the NIfTI header lead to different places; keep one of them"
        )
    lengths = np.linalg.norm(found[-1][:, :3], axis=0)
    if not np.allclose(lengths, steps, rtol=1e-3):
        raise InputRefused(
            f"the NIfTI header gives a spacing of {steps.tolist()} and a transform of "
            f"{lengths.tolist()}; convert the scan again"
        )
    return found[-1]


def _rotation(quaternion: NDArray) -> NDArray:
    """Rotation of NIfTI's b, c, d."""
    b, c, d = quaternion
    a = np.sqrt(max(0.0, 1.0 - float(quaternion @ quaternion)))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


# MetaImage


def _read_meta(path: Path, limits: Limits) -> tuple[NDArray, Geometry, str]:
    """(slice, row, column) float32, where it lies, and the note in the header."""
    import SimpleITK

    said = _meta_fields(path)
    geometry = _meta_geometry(path, said, limits)
    _check_meta_held(path, said, geometry.shape)
    try:
        image = SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat32)
    except RuntimeError as error:
        raise UnreadableInput("the volume file is truncated or damaged; copy it again") from error
    array: NDArray = SimpleITK.GetArrayFromImage(image)
    if array.shape != geometry.shape:
        raise UnreadableInput(
            f"the file holds an array of shape {array.shape}, its header says {geometry.shape}"
        )
    return array, geometry, said.get(_NOTE_KEY, "")


def _check_meta_held(path: Path, said: dict[str, str], shape: tuple[int, int, int]) -> None:
    values = said["ElementDataFile"]
    place = path if values.upper() == "LOCAL" else path.parent / values
    _check_held(
        place,
        math.prod(shape) * _META_TYPES[said["ElementType"]],
        is_compressed=said.get("CompressedData", "").upper() == "TRUE",
    )


def _meta_geometry(path: Path, said: dict[str, str], limits: Limits) -> Geometry:
    _check_meta_kind(path, said)
    try:
        sizes = [int(size) for size in said["DimSize"].split()]
        steps = np.array([float(step) for step in said["ElementSpacing"].split()])
        axes = said.get("TransformMatrix", said.get("Orientation", said.get("Rotation")))
        place = said.get("Offset", said.get("Position", said.get("Origin")))
        if axes is None or place is None:
            raise InputRefused(
                "the MetaImage header does not say where the volume lies (TransformMatrix and "
                "Offset); which side is left is then unknown. Convert the scan again"
            )
        columns = np.array([float(one) for one in axes.split()]).reshape(3, 3).T
        offset = np.array([float(one) for one in place.split()]).reshape(3)
    except (KeyError, ValueError) as error:
        if isinstance(error, InputRefused):
            raise
        raise UnreadableInput("the MetaImage header lacks numbers that it must hold") from error
    shape = _shape(int(said["NDims"]), sizes, limits)
    if len(steps) != 3 or not (np.isfinite(steps) & (steps > 0)).all():
        raise InputRefused(f"the spacing must be positive, the header gives {steps.tolist()}")
    lps_to_ras = np.diag([-1.0, -1.0, 1.0])
    affine = lps_to_ras @ np.column_stack([columns * steps, offset])
    return _geometry(affine, shape)


def _meta_fields(path: Path) -> dict[str, str]:
    """The lines of the header, up to the one that says where the values are."""
    said: dict[str, str] = {}
    try:
        with path.open("rb") as stream:
            text = stream.read(_MOST_META_HEADER_BYTES)
    except OSError as error:
        raise UnreadableInput("the volume file cannot be read; copy it again") from error
    for line in text.split(b"\n"):
        name, mark, value = line.decode(errors="replace").partition("=")
        if not mark:
            break
        said[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            return said
    raise UnreadableInput("the file does not begin as MetaImage does")


def _check_meta_kind(path: Path, said: dict[str, str]) -> None:
    if not said.get("NDims", "").isdecimal() or said.get("ObjectType", "Image") != "Image":
        raise UnreadableInput("the file is not a MetaImage image")
    channels = said.get("ElementNumberOfChannels", "1")
    if channels != "1" or said.get("ElementType") not in _META_TYPES:
        raise InputRefused(
            "the MetaImage file holds colors or several numbers a voxel; one number is needed"
        )
    if "ElementSpacing" not in said:
        raise InputRefused("the MetaImage header gives no spacing; convert the scan again")
    if said.get("DistanceUnits", "mm") not in ("mm", "?"):
        raise InputRefused(
            f"the MetaImage header gives {said['DistanceUnits']} for its spacing, millimeters are "
            "needed"
        )
    values = said["ElementDataFile"]
    is_name = Path(values).name == values and len(values) <= _LONGEST_NAME
    if values.upper() != "LOCAL" and (not is_name or values in ("LIST", "..")):
        raise InputRefused(
            "the MetaImage header names its values by a path or a list; a file beside it is needed"
        )
    if values.upper() != "LOCAL" and not _is_file(path.parent / values):
        raise UnreadableInput("the file of values that the MetaImage header names is missing")


def _shape(num_axes: int, sizes: list[int], limits: Limits) -> tuple[int, int, int]:
    """(slice, row, column)."""
    if num_axes != 3 or len(sizes) != 3:
        raise InputRefused(
            f"the file has {num_axes} dimensions, 3 are needed; save one volume a file"
        )
    columns, rows, slices = sizes
    is_flat = min(columns, rows) < _LEAST_ROWS_COLUMNS or slices < 1
    if is_flat or slices * rows * columns > limits.volume_voxels:
        raise InputRefused(
            f"a volume of {columns} x {rows} x {slices} voxels is not accepted; slices of at least "
            f"{_LEAST_ROWS_COLUMNS} rows and columns and up to {limits.volume_voxels} voxels are "
            "(limit volume_voxels)"
        )
    return slices, rows, columns


def _geometry(affine: NDArray, shape: tuple[int, int, int]) -> Geometry:
    """Geometry in LPS from a transform to RAS."""
    axes = affine[:, :3]
    steps = np.linalg.norm(axes, axis=0)
    if not (np.isfinite(affine).all() and (steps > 0).all()):
        raise InputRefused("the axes in the header have no length; convert the scan again")
    directions = axes / steps
    if np.abs(directions.T @ directions - np.eye(3)).max() > _LEAST_SINE:
        raise InputRefused(
            "the axes of the volume are not perpendicular (a tilted gantry, or a sheared "
            "transform); resample it to straight axes first"
        )
    to_lps = np.array([-1.0, -1.0, 1.0])
    column, row, slice_ = (_vector(to_lps * direction) for direction in directions.T)
    return Geometry(
        shape=shape,
        spacing_mm=_vector(steps[::-1]),
        origin_mm=_vector(to_lps * affine[:, 3]),
        slice_direction=slice_,
        row_direction=row,
        column_direction=column,
    )


def _vector(values: NDArray) -> Vector:
    first, second, third = (float(value) + 0.0 for value in values)  # no minus before zero
    return first, second, third


# values


def _noted(note: str) -> str | None:
    if not note.startswith(_UNIT_NOTE):
        return None
    return note.removeprefix(_UNIT_NOTE).removesuffix(_SYNTHETIC_NOTE).strip()


def _unit(note: str, unit: str | None) -> str:
    noted = _noted(note)
    if unit is None and noted is None:
        raise InputRefused(
            'the file does not say what its numbers mean; give the unit, such as unit="HU" for CT '
            'or unit="" for numbers without one'
        )
    if unit is not None and noted is not None and unit != noted:
        raise InputRefused(f"the file says that it is in {noted!r}, not in {unit!r}")
    return noted if unit is None else unit  # type: ignore[return-value]


def _check_values(array: NDArray, unit: str) -> None:
    if not np.isfinite(array).all():
        raise InputRefused(
            "the volume holds values that are not finite; fill them, for HU with -1000, first"
        )
    reason = why_not_hu(array, whole_scan=True) if unit == HOUNSFIELD.name else ""
    if reason:
        raise InputRefused(f"the values are no HU: {reason}; give HU, where air is about -1000")

from __future__ import annotations

import gzip
import itertools
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.errors import InputRefused, OutputRefused, UnreadableInput
from isocenter.core.inflating import InflatedStream
from isocenter.core.limits import Limits
from isocenter.core.volume import Geometry, Vector, Volume
from isocenter.image.volume_files import (
    is_volume_file,
    read_volume_file,
    volume_ending,
    write_volume_file,
)

ENDINGS = (".nii", ".nii.gz", ".mha", ".mhd")
SHAPE = (3, 4, 5)
STEPS_MM = (2.5, 0.75, 0.5)
PLACE_MM = (-12.5, 30.0, 101.25)
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
AXES = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def values(seed: int = 0) -> NDArray:
    """No two voxels alike."""
    order = np.random.default_rng(seed).permutation(np.prod(SHAPE))
    return (order.reshape(SHAPE) * 20.0 - 1000).astype(np.float32)


def vector(numbers: NDArray) -> Vector:
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def volume(directions: NDArray, *, unit: str = "HU") -> Volume:
    """Rows of ``directions``: slice, row, column."""
    geometry = Geometry(
        shape=SHAPE,
        spacing_mm=STEPS_MM,
        origin_mm=PLACE_MM,
        slice_direction=vector(directions[0]),
        row_direction=vector(directions[1]),
        column_direction=vector(directions[2]),
    )
    return Volume(array=values(), geometry=geometry, unit=unit)


def upright() -> Volume:
    return volume(np.eye(3)[::-1])


def affine_of(one: Volume) -> NDArray:
    """Column, row, slice index to LPS, (4, 4), by asking for positions."""
    geometry = one.geometry
    affine = np.eye(4)
    affine[:3, 3] = geometry.position_mm(0)
    for place, step in enumerate([(0, 0, 1), (0, 1, 0), (1, 0, 0)]):
        affine[:3, place] = geometry.position_mm(*step) - affine[:3, 3]
    return affine


def same_place(first: Volume, second: Volume) -> bool:
    return bool(np.allclose(affine_of(first), affine_of(second), atol=1e-4))


def nifti(
    path: Path,
    *,
    array: NDArray | None = None,
    affine: NDArray | None = None,
    unit: str = "mm",
    change: Callable[[nibabel.Nifti1Header], None] | None = None,
) -> Path:
    """A file as others write them; the array is (column, row, slice)."""
    content = values().transpose() if array is None else array
    image = nibabel.Nifti1Image(
        content, TO_LPS @ affine_of(upright()) if affine is None else affine
    )
    image.header.set_xyzt_units(unit)
    if change:
        change(image.header)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize(
    "name", ["a.nii", "a.nii.gz", "A.NII", "a.b.mha", "a.mhd", Path("x/a.mha")]
)
def test_volume_files_are_known_by_their_ending(name: str | Path) -> None:
    assert is_volume_file(name)
    assert volume_ending(name) == Path(name).name.lower().removeprefix("a.b").removeprefix("a")


@pytest.mark.parametrize("name", ["a", "a.gz", "nii", "a.img", "a.dcm", "a.nii.zip"])
def test_other_endings_are_no_volume_files(name: str) -> None:
    assert not is_volume_file(name)


# orientation


@pytest.mark.parametrize("ending", [".nii", ".mha"])
@pytest.mark.parametrize(("order", "signs"), AXES)
def test_a_volume_in_any_order_of_axes_comes_back_where_it_was(
    tmp_path: Path, ending: str, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    written = volume(np.eye(3)[list(order)] * np.array(signs)[:, None])
    read = read_volume_file(write_volume_file(written, tmp_path / f"a{ending}"))
    assert np.array_equal(read.array, written.array)
    assert read.geometry == written.geometry


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.tuples(*[st.floats(-3, 3)] * 3), mirrored=st.booleans())
def test_an_oblique_volume_comes_back_where_it_was(
    tmp_path: Path, ending: str, turns: tuple[float, float, float], mirrored: bool
) -> None:
    directions = Rotation.from_rotvec(turns).as_matrix() * (-1 if mirrored else 1)
    written = volume(directions)
    read = read_volume_file(write_volume_file(written, tmp_path / f"a{ending}"))
    assert np.array_equal(read.array, written.array)
    assert same_place(read, written)


@pytest.mark.parametrize("turns", [(0.0, 0.0, 0.0), (0.3, -0.2, 0.5), (2.0, 1.0, -1.0)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_nibabel_sees_each_voxel_where_we_do(
    tmp_path: Path, turns: tuple[float, float, float], mirrored: bool
) -> None:
    """Its coordinates are RAS, ours LPS."""
    written = volume(Rotation.from_rotvec(turns).as_matrix() * (-1 if mirrored else 1))
    image = nibabel.load(write_volume_file(written, tmp_path / "a.nii.gz"))
    assert np.allclose(image.affine, TO_LPS @ affine_of(written), atol=1e-4)
    assert np.array_equal(image.get_fdata().transpose(), written.array)
    assert image.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (1, 1), (2, 4)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_we_see_each_voxel_where_nibabel_does(
    tmp_path: Path, codes: tuple[int, int], mirrored: bool
) -> None:
    """Whichever of the two transforms is set."""
    rotation = Rotation.from_rotvec([0.4, -1.0, 0.2]).as_matrix() * (-1 if mirrored else 1)
    affine = np.eye(4)
    affine[:3, :3] = rotation * STEPS_MM[::-1]
    affine[:3, 3] = PLACE_MM

    def change(header: nibabel.Nifti1Header) -> None:
        header.set_qform(affine, code=codes[0])
        header.set_sform(affine if codes[1] else None, code=codes[1])

    path = nifti(tmp_path / "a.nii", affine=affine)
    image = nibabel.load(path)
    image.set_qform(affine, code=codes[0])
    image.set_sform(affine if codes[1] else None, code=codes[1])
    nibabel.save(image, tmp_path / "b.nii")
    read = read_volume_file(tmp_path / "b.nii", unit="HU")
    assert np.allclose(TO_LPS @ affine_of(read), nibabel.load(tmp_path / "b.nii").affine, atol=1e-3)
    assert np.array_equal(read.array.transpose(), values().transpose())


@pytest.mark.parametrize("ending", ENDINGS)
def test_simple_itk_sees_each_voxel_where_we_do(tmp_path: Path, ending: str) -> None:
    written = volume(Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix())
    image = SimpleITK.ReadImage(str(write_volume_file(written, tmp_path / f"a{ending}")))
    for index in np.ndindex(SHAPE):
        slice_, row, column = (int(one) for one in index)
        position = image.TransformIndexToPhysicalPoint((column, row, slice_))
        assert np.allclose(position, written.geometry.position_mm(slice_, row, column), atol=1e-3)
        assert image[column, row, slice_] == written.array[index]


# values and units


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (0.0, SimpleITK.sitkInt16),
        (0.25, SimpleITK.sitkFloat32),
        (40000.0, SimpleITK.sitkFloat32),
    ],
)
def test_whole_numbers_are_stored_as_such(
    tmp_path: Path, ending: str, change: float, kind: int
) -> None:
    written = replace(upright(), array=values() + np.float32(change), unit="")
    path = write_volume_file(written, tmp_path / f"a{ending}")
    assert SimpleITK.ReadImage(str(path)).GetPixelID() == kind
    read = read_volume_file(path)
    assert np.array_equal(read.array, written.array)
    assert read.array.dtype == np.float32


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("unit", ["HU", "", "µm²/s"])
def test_the_unit_comes_back(tmp_path: Path, ending: str, unit: str) -> None:
    path = write_volume_file(replace(upright(), unit=unit), tmp_path / f"a{ending}")
    read = read_volume_file(path)
    assert read.unit == unit == read_volume_file(path, unit=unit).unit
    assert isinstance(read.acquisition, CtAcquisition) == (unit == "HU")
    with pytest.raises(InputRefused, match=f"in '{unit}', not in 'mm'"):
        read_volume_file(path, unit="mm")


def test_a_unit_that_nobody_says_is_asked_for(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii")
    with pytest.raises(InputRefused, match='unit="HU" for CT'):
        read_volume_file(path)
    assert read_volume_file(path, unit="HU").unit == "HU"


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.linspace(0, 1, 60), "normalized"),
        (np.r_[0:59, 255], "picture of 8 bits"),
        (np.linspace(0, 4095, 60), "rescale slope"),
        (np.linspace(-1000, 1e6, 60), "reach from"),
    ],
)
def test_values_that_are_no_hu_are_refused_as_hu_alone(
    tmp_path: Path, array: NDArray, reason: str
) -> None:
    path = nifti(tmp_path / "a.nii", array=array.reshape(SHAPE).transpose().astype(np.float32))
    with pytest.raises(InputRefused, match=reason):
        read_volume_file(path, unit="HU")
    assert read_volume_file(path, unit="").array.max() == np.float32(array.max())


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_types_and_scale_of_either_byte_order_are_read(
    tmp_path: Path, kind: type, order: Literal["<", ">"]
) -> None:
    stored: NDArray = np.arange(60).reshape(5, 4, 3).astype(kind)
    image = nibabel.Nifti1Image(stored, TO_LPS @ affine_of(upright()), dtype=kind)
    image.header.set_xyzt_units("mm")
    swapped = image.header.as_byteswapped(order)
    swapped.set_slope_inter(2.0, -1024.0)
    swapped["vox_offset"] = 352
    content = stored.astype(np.dtype(kind).newbyteorder(order)).tobytes(order="F")
    path = tmp_path / "a.nii"
    path.write_bytes(swapped.binaryblock + b"\0" * 4 + content)
    read = read_volume_file(path, unit="HU")
    assert np.array_equal(read.array, 2.0 * stored.transpose() - 1024)


# what is refused


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("ending", [".nii.gz", ".mha"])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, ending: str, value: float) -> None:
    array = values()
    array[0, 0, 0] = value
    with pytest.raises(ValueError, match="not finite"):
        write_volume_file(replace(upright(), array=array), tmp_path / f"a{ending}")
    image = SimpleITK.GetImageFromArray(array)
    SimpleITK.WriteImage(image, str(tmp_path / f"b{ending}"))
    with pytest.raises(InputRefused, match="not finite"):
        read_volume_file(tmp_path / f"b{ending}", unit="")


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3, 2)])
def test_a_volume_has_three_dimensions(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = nifti(tmp_path / "a.nii", array=np.zeros(shape, np.float32))
    with pytest.raises(InputRefused, match=f"{len(shape)} dimensions, 3 are needed"):
        read_volume_file(path, unit="")


@pytest.mark.parametrize("ending", [".nii", ".mha"])
def test_colors_are_refused(tmp_path: Path, ending: str) -> None:
    image = SimpleITK.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True)
    path = tmp_path / f"a{ending}"
    SimpleITK.WriteImage(image, str(path))
    with pytest.raises(InputRefused, match=r"colors|5 dimensions"):
        read_volume_file(path, unit="")


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", array=np.zeros((5, 4, 3), np.complex64))
    with pytest.raises(InputRefused, match="complex"):
        read_volume_file(path, unit="")


@pytest.mark.parametrize("unit", ["unknown", "meter", "micron"])
def test_a_spacing_of_no_known_unit_is_refused_unless_it_is_given(
    tmp_path: Path, unit: str
) -> None:
    path = nifti(tmp_path / "a.nii", unit=unit)
    with pytest.raises(InputRefused, match='length_unit="mm"'):
        read_volume_file(path, unit="HU")
    read = read_volume_file(path, unit="HU", length_unit="mm")
    assert read.geometry.spacing_mm == STEPS_MM
    with pytest.raises(InputRefused, match="where it is given"):
        read_volume_file(path, unit="HU", length_unit="cm")


def patched(path: Path, offset: int, form: str, *numbers: float) -> Path:
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, offset, *numbers)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf])
def test_a_spacing_that_is_none_is_refused(tmp_path: Path, step: float) -> None:
    path = patched(nifti(tmp_path / "a.nii"), 80, "<f", step)
    with pytest.raises(InputRefused, match="spacing must be positive"):
        read_volume_file(path, unit="HU")


def test_two_spacings_that_differ_are_refused(tmp_path: Path) -> None:
    path = patched(nifti(tmp_path / "a.nii"), 80, "<f", 0.6)
    with pytest.raises(InputRefused, match="gives a spacing of"):
        read_volume_file(path, unit="HU")


def test_two_transforms_that_differ_are_refused(tmp_path: Path) -> None:
    path = patched(nifti(tmp_path / "a.nii"), 252, "<h", 1)
    patched(path, 268, "<3f", 5.0, 0.0, 0.0)
    with pytest.raises(InputRefused, match="lead to different places"):
        read_volume_file(path, unit="HU")


@pytest.mark.parametrize("number", [np.nan, np.inf, 3.0])
def test_a_rotation_that_is_none_is_refused(tmp_path: Path, number: float) -> None:
    path = patched(nifti(tmp_path / "a.nii"), 252, "<2h", 1, 0)
    with pytest.raises(InputRefused, match="no rotation"):
        read_volume_file(patched(path, 256, "<f", number), unit="HU")


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_position_that_is_not_finite_is_refused(tmp_path: Path, number: float) -> None:
    path = patched(nifti(tmp_path / "a.nii"), 292, "<f", number)
    with pytest.raises(InputRefused, match="not finite"):
        read_volume_file(path, unit="HU")


def test_a_volume_that_lies_nowhere_is_refused(tmp_path: Path) -> None:
    path = patched(nifti(tmp_path / "a.nii"), 252, "<2h", 0, 0)
    with pytest.raises(InputRefused, match="which side is left"):
        read_volume_file(path, unit="HU")


def test_a_sheared_volume_is_refused(tmp_path: Path) -> None:
    affine = TO_LPS @ affine_of(upright())
    affine[1, 2] += 0.5
    affine[:3, 2] *= STEPS_MM[0] / np.linalg.norm(affine[:3, 2])
    with pytest.raises(InputRefused, match="not perpendicular"):
        read_volume_file(nifti(tmp_path / "a.nii", affine=affine), unit="HU")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.97])
def test_a_truncated_file_is_refused(tmp_path: Path, ending: str, kept: float) -> None:
    path = write_volume_file(upright(), tmp_path / f"a{ending}")
    short = path.with_suffix(".raw") if ending == ".mhd" else path
    content = short.read_bytes()
    short.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UnreadableInput):
        read_volume_file(path)


def test_a_damaged_checksum_is_noticed(tmp_path: Path) -> None:
    path = write_volume_file(upright(), tmp_path / "a.nii.gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnreadableInput, match="damaged"):
        read_volume_file(path)


@pytest.mark.parametrize(
    "content", [b"", b"not a volume", b"\0" * 400, gzip.compress(b"\0" * 400), b"a = b\n" * 99]
)
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_no_volume_is_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    (tmp_path / f"a{ending}").write_bytes(content)
    with pytest.raises(UnreadableInput):
        read_volume_file(tmp_path / f"a{ending}", unit="HU")


@pytest.mark.parametrize("sizes", [(32767, 32767, 32767), (1, 60, 4), (60, 1, 4), (6, 6, 0)])
def test_a_header_of_a_size_that_no_scan_has_is_refused(
    tmp_path: Path, sizes: tuple[int, int, int]
) -> None:
    path = patched(nifti(tmp_path / "a.nii"), 42, "<3h", *sizes)
    with pytest.raises(InputRefused, match="is not accepted"):
        read_volume_file(path, unit="HU")


def test_a_second_version_of_nifti_is_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti2Image(values(), np.eye(4))
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(InputRefused, match="NIfTI-2"):
        read_volume_file(tmp_path / "a.nii", unit="HU")


META = """ObjectType = Image
NDims = 3
BinaryData = True
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 0 0 0
ElementSpacing = 1 1 1
DimSize = 5 4 3
ElementType = MET_FLOAT
ElementDataFile = a.raw
"""


@pytest.mark.parametrize(
    ("line", "other", "message"),
    [
        ("ElementDataFile = a.raw", "ElementDataFile = ../a.raw", "by a path"),
        ("ElementDataFile = a.raw", "ElementDataFile = /tmp/a.raw", "by a path"),
        ("ElementDataFile = a.raw", "ElementDataFile = LIST", "by a path or a list"),
        ("ElementDataFile = a.raw", "ElementDataFile = b.raw", "missing"),
        ("ElementSpacing = 1 1 1\n", "", "no spacing"),
        ("ElementSpacing = 1 1 1", "ElementSpacing = 1 0 1", "must be positive"),
        ("ElementSpacing = 1 1 1", "ElementSpacing = 1 nan 1", "must be positive"),
        ("ElementSpacing = 1 1 1", "ElementSpacing = a b c", "lacks numbers"),
        ("TransformMatrix = 1 0 0 0 1 0 0 0 1\n", "", "does not say where"),
        ("Matrix = 1 0 0 0 1 0 0 0 1", "Matrix = 1 0 0 0 1 0 0 0.2 0.98", "not perpendicular"),
        ("Matrix = 1 0 0 0 1 0 0 0 1", "Matrix = 0 0 0 0 1 0 0 0 1", "no length"),
        ("NDims = 3", "NDims = 4", "4 dimensions"),
        ("ElementType = MET_FLOAT", "ElementType = MET_FLOAT_ARRAY", "several numbers"),
        ("NDims = 3", "NDims = 3\nDistanceUnits = cm", "cm"),
    ],
)
def test_a_meta_image_that_cannot_be_trusted_is_refused(
    tmp_path: Path, line: str, other: str, message: str
) -> None:
    (tmp_path / "a.raw").write_bytes(values().tobytes())
    (tmp_path / "a.mhd").write_text(META)
    assert np.array_equal(read_volume_file(tmp_path / "a.mhd", unit="HU").array, values())
    (tmp_path / "a.mhd").write_text(META.replace(line, other))
    with pytest.raises(InputRefused, match=message):
        read_volume_file(tmp_path / "a.mhd", unit="HU")


def test_only_what_is_there_and_known_is_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="does not exist"):
        read_volume_file(tmp_path / "a.nii", unit="HU")
    with pytest.raises(InputRefused, match="does not end in"):
        read_volume_file(tmp_path / "a.img", unit="HU")


# writing whole or not at all


@pytest.mark.parametrize("ending", ENDINGS)
def test_only_the_finished_file_is_left(tmp_path: Path, ending: str) -> None:
    path = write_volume_file(upright(), tmp_path / f"a b{ending}")
    extra = [path.with_suffix(".raw")] if ending == ".mhd" else []
    assert sorted(tmp_path.iterdir()) == sorted([path, *extra])
    assert path.stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failure_leaves_what_was_there(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_volume_file(upright(), tmp_path / f"a{ending}")
    before = {one: one.read_bytes() for one in tmp_path.iterdir()}

    def fail(_: object, name: str, **options: object) -> None:
        Path(name).write_bytes(b"half")
        raise RuntimeError("no space left")

    monkeypatch.setattr(SimpleITK, "WriteImage", fail)
    with pytest.raises(OutputRefused, match="could not be written"):
        write_volume_file(volume(np.eye(3)), path)
    assert {one: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputRefused, match="ends in"):
        write_volume_file(upright(), tmp_path / "a.img")
    with pytest.raises(OutputRefused, match="does not exist"):
        write_volume_file(upright(), tmp_path / "nowhere" / "a.nii")


# limits


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".mhd"])
def test_what_a_file_cannot_hold_is_refused_before_room_is_made(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_volume_file(upright(), tmp_path / f"a{ending}")
    if ending.startswith(".nii"):
        content = path.read_bytes()
        plain = gzip.decompress(content) if ending == ".nii.gz" else content
        plain = plain[:42] + np.array([1000, 900, 800], "<i2").tobytes() + plain[48:]
        path.write_bytes(gzip.compress(plain) if ending == ".nii.gz" else plain)
    else:
        content = path.read_bytes()
        wanted = b"DimSize = 1000 900 800"
        path.write_bytes(re.sub(rb"DimSize = [\d ]+", wanted, content))
        monkeypatch.setattr("SimpleITK.ReadImage", lambda *_: pytest.fail("read"))
    monkeypatch.setattr(np, "empty", lambda *_: pytest.fail("made room"))
    with pytest.raises(UnreadableInput, match="truncated"):
        read_volume_file(path)


def test_a_bomb_is_inflated_no_further_than_its_values(tmp_path: Path) -> None:
    path = write_volume_file(upright(), tmp_path / "a.nii.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(2**26)))
    inflated = []
    whole = InflatedStream.inflate_to

    def watched(stream: InflatedStream, place: int) -> int:
        inflated.append(whole(stream, place))
        return inflated[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InflatedStream, "inflate_to", watched)
        assert same_place(read_volume_file(path), upright())
    assert max(inflated) < 2**22


@pytest.mark.parametrize("ending", ENDINGS)
def test_limits_can_be_set(tmp_path: Path, ending: str) -> None:
    path = write_volume_file(upright(), tmp_path / f"a{ending}")
    with pytest.raises(InputRefused, match="limit volume_voxels"):
        read_volume_file(path, limits=Limits(volume_voxels=SHAPE[0]))
    with pytest.raises(UnreadableInput, match="limit file_bytes"):
        read_volume_file(path, limits=Limits(file_bytes=100))


@pytest.mark.parametrize("more", [(1,), (1, 1), (1, 1, 1)])
def test_axes_of_one_value_behind_the_third_do_not_count(
    tmp_path: Path, more: tuple[int, ...]
) -> None:
    array = values().transpose()
    path = nifti(tmp_path / "a.nii.gz", array=array.reshape(*array.shape, *more))
    found = read_volume_file(path, unit="HU")
    np.testing.assert_array_equal(found.array, values())
    assert same_place(found, upright())
    several = nifti(tmp_path / "b.nii", array=np.stack([array, array], -1))
    with pytest.raises(InputRefused, match="4 dimensions"):
        read_volume_file(several, unit="HU")

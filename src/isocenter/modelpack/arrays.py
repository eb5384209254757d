"""Images in memory, of whatever kind, as tensors slice by slice; and results in that kind again.

What a model gets is the same for all: scans whose slices are (row, column) tensors with a mask of
what was measured. Tensors keep their graph, so that gradients reach the input.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isocenter.core.errors import InputRefused
from isocenter.core.volume import SliceSource, Vector, Volume, VolumeSlices

LEAST_PIXELS = 16
_SHAPES = (
    "(row, column), (slice, row, column), (image, 1, row, column) or (image, 1, slice, row, column)"
)
_SHAPE_ADVICE = f"accepted are {_SHAPES} with at least {LEAST_PIXELS} rows and columns"

_TYPES = (
    "float32 float64 float16 bfloat16 int16 int32 int64 int8 uint8 uint16 uint32 uint64"
).split()

Plane = Callable[[int], Tensor]

# No scanner has voxels smaller or larger than these.
PLAUSIBLE_SPACING_MM = (0.02, 100.0)


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One image or one volume of a batch.

    Attributes:
        num_slices: how many.
        spacing_mm: row and column spacing.
        thickness_mm: of a slice, or else the distance between slices; None where unknown.
        values: (row, column) tensor of a slice, in the unit asked for.
        valid: (row, column) bool tensor, False where nothing was measured.
        in_memory: whether reading a slice costs nothing, so that all can be checked beforehand.
    """

    num_slices: int
    spacing_mm: tuple[float, float]
    thickness_mm: float | None
    values: Plane
    valid: Plane
    in_memory: bool = True


@dataclass(frozen=True, kw_only=True)
class Images:
    """What was given, ready for a model.

    Attributes:
        scans: one an image of a batch; one alone where there is no batch.
        rebuild: turns one list of (row, column) tensors a scan into the kind of the input.
        type_name: of the numbers as they came, such as "int16".
        slice_direction: unit vector in LPS along which slices lie; None where the input has none.
        asks_for_gradients: whether results must keep the graph.
    """

    scans: tuple[Scan, ...]
    rebuild: Callable[[Sequence[Sequence[Tensor]]], Any]
    type_name: str
    slice_direction: Vector | None = None
    asks_for_gradients: bool = False


def images_of(given: Any, *, unit: str, spacing_mm: Any = None, valid: Any = None) -> Images:
    """Take in an array, tensor, SimpleITK image, volume or slice source.

    Args:
        given: numbers in ``unit``.
        unit: what a volume must be in.
        spacing_mm: (row, column) or (slice, row, column), or for a batch one an image; not needed
            where the input knows it.
        valid: same shape, False where nothing was measured.

    Raises:
        InputRefused: another kind, shape, type or unit, or no spacing.
    """
    if isinstance(given, Tensor):
        return _of_tensor(given, spacing_mm, valid)
    if isinstance(given, np.ndarray):
        return _of_array(given, spacing_mm, valid)
    simple_itk = sys.modules.get("SimpleITK")  # whoever has such an image has imported it
    if simple_itk is not None and isinstance(given, simple_itk.Image):
        return _of_simple_itk(given, spacing_mm, valid)
    if isinstance(given, Volume):
        return _of_source(given.slices(), unit, spacing_mm, valid, in_memory=True)
    if all(hasattr(given, name) for name in ("geometry", "unit", "values", "valid")):
        return _of_source(given, unit, spacing_mm, valid, in_memory=False)
    raise InputRefused(
        f"a {type(given).__name__} is no image here; give a NumPy array, a torch tensor, a "
        "SimpleITK image, a Volume or a slice source (for files: isocenter.read)"
    )


def _of_tensor(given: Tensor, spacing_mm: Any, valid: Any) -> Images:
    type_name = str(given.dtype).removeprefix("torch.")
    _check_type(type_name)
    batch = _batched_shape(tuple(given.shape))
    stacked = given.reshape(batch)
    masks = _masks(valid, tuple(given.shape), batch)
    kind = given.dtype if given.is_floating_point() else torch.float32

    def rebuild(results: Sequence[Sequence[Tensor]]) -> Tensor:
        slices = [one.to(given.device, kind) for scan in results for one in scan]
        return torch.stack(slices).reshape(given.shape)

    return Images(
        scans=_scans(stacked, masks, given.ndim, spacing_mm),
        rebuild=rebuild,
        type_name=type_name,
        asks_for_gradients=given.requires_grad and torch.is_grad_enabled(),
    )


def _of_array(given: NDArray, spacing_mm: Any, valid: Any) -> Images:
    if isinstance(given, np.ma.MaskedArray):
        raise InputRefused("a masked array is not accepted; give its values, and its mask in valid")
    _check_type(given.dtype.name)
    batch = _batched_shape(given.shape)
    native = given.astype(given.dtype.newbyteorder("="), copy=False)
    kind = native.dtype if native.dtype.kind == "f" else np.dtype(np.float32)
    stacked = native.reshape(batch)
    masks = _masks(valid, given.shape, batch)

    def rebuild(results: Sequence[Sequence[Tensor]]) -> NDArray:
        slices = [one.cpu().numpy().astype(kind, copy=False) for scan in results for one in scan]
        return np.stack(slices).reshape(given.shape)

    return Images(
        scans=_scans(stacked, masks, given.ndim, spacing_mm),
        rebuild=rebuild,
        type_name=given.dtype.name,
    )


def _of_simple_itk(given: Any, spacing_mm: Any, valid: Any) -> Images:
    import SimpleITK

    if given.GetNumberOfComponentsPerPixel() != 1:
        raise InputRefused("an image of several numbers a pixel (color, vectors) is not accepted")
    dimension = given.GetDimension()
    if dimension not in (2, 3):
        raise InputRefused(f"a SimpleITK image of 2 or 3 dimensions is needed, got {dimension}")
    direction = given.GetDirection()[2::3] if dimension == 3 else None
    if spacing_mm is None:
        spacing_mm = given.GetSpacing()[::-1]
    if valid is not None and isinstance(valid, SimpleITK.Image):
        valid = SimpleITK.GetArrayFromImage(valid).astype(bool)
    images = _of_array(SimpleITK.GetArrayViewFromImage(given), spacing_mm, valid)

    def rebuild(results: Sequence[Sequence[Tensor]]) -> Any:
        image = SimpleITK.GetImageFromArray(images.rebuild(results))
        image.CopyInformation(given)
        return image

    return replace(images, rebuild=rebuild, slice_direction=direction)


def _of_source(
    source: SliceSource, unit: str, spacing_mm: Any, valid: Any, *, in_memory: bool
) -> Images:
    if source.unit != unit:
        raise InputRefused(f"the volume is in {source.unit or 'no unit'!r}, {unit!r} is needed")
    if spacing_mm is not None:
        raise InputRefused("a volume knows its spacing; leave spacing_mm out")
    geometry = source.geometry
    _batched_shape(geometry.shape)
    given = _masks(valid, geometry.shape, (1, *geometry.shape))
    measured: dict[int, NDArray] = {}

    def mask(index: int) -> Tensor:
        if index not in measured:
            of_source = np.asarray(source.valid(index), bool)
            measured[index] = of_source if given is None else of_source & given[0, index].numpy()
        return torch.from_numpy(measured[index])

    def rebuild(results: Sequence[Sequence[Tensor]]) -> Volume:
        masks = np.stack([mask(index).numpy() for index in range(len(source))])
        return Volume(
            array=np.stack(
                [one.cpu().numpy().astype(np.float32, copy=False) for one in results[0]]
            ),
            geometry=geometry,
            unit=unit,
            valid=None if masks.all() else masks,
            acquisition=source.acquisition,
        )

    def values(index: int) -> Tensor:
        array = source.values(index)
        _check_type(array.dtype.name)
        return torch.from_numpy(np.array(array, array.dtype.newbyteorder("=")))

    thickness = source.acquisition.slice_thickness_mm
    scan = Scan(
        num_slices=len(source),
        spacing_mm=geometry.spacing_mm[1:],
        thickness_mm=geometry.spacing_mm[0] if thickness is None else thickness,
        values=values,
        valid=mask,
        in_memory=in_memory,
    )
    return Images(
        scans=(scan,),
        rebuild=rebuild,
        type_name=source.volume.array.dtype.name if isinstance(source, VolumeSlices) else "float32",
        slice_direction=geometry.slice_direction,
    )


def _scans(
    stacked: Tensor | NDArray, masks: Tensor | None, num_axes: int, spacing_mm: Any
) -> tuple[Scan, ...]:
    """One scan for each of (image, slice, row, column)."""
    spacings = _spacings(spacing_mm, len(stacked), batched=num_axes > 3)
    return tuple(
        Scan(
            num_slices=stacked.shape[1],
            spacing_mm=(spacing[-2], spacing[-1]),
            thickness_mm=spacing[0] if len(spacing) == 3 else None,
            values=_planes(stacked[number]),
            valid=_all_valid(stacked[number]) if masks is None else _planes(masks[number]),
        )
        for number, spacing in enumerate(spacings)
    )


def _planes(stack: Tensor | NDArray) -> Plane:
    if isinstance(stack, Tensor):
        return lambda index: stack[index]
    # A copy, since arrays may be read-only or run backwards.
    return lambda index: torch.from_numpy(np.array(stack[index]))


def _all_valid(stack: Tensor | NDArray) -> Plane:
    return lambda index: torch.ones(tuple(stack.shape[1:]), dtype=torch.bool)


def _masks(valid: Any, shape: tuple[int, ...], batch: tuple[int, ...]) -> Tensor | None:
    """The mask as (image, slice, row, column)."""
    if valid is None:
        return None
    mask = valid.detach().cpu() if isinstance(valid, Tensor) else None
    if mask is None and isinstance(valid, np.ndarray) and valid.dtype == bool:
        mask = torch.from_numpy(np.array(valid))
    if mask is None or mask.dtype != torch.bool:
        found = getattr(valid, "dtype", type(valid).__name__)
        raise InputRefused(f"valid must be a bool array or tensor, got {found}")
    if tuple(mask.shape) != shape:
        raise InputRefused(f"valid has shape {tuple(mask.shape)}, the image {shape}; they must fit")
    return mask.reshape(batch)


def _batched_shape(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(image, slice, row, column) of an accepted shape."""
    in_batch = len(shape) in (4, 5)
    if len(shape) not in (2, 3, 4, 5) or (in_batch and shape[1] != 1):
        raise InputRefused(f"an image of shape {shape} is not accepted; {_SHAPE_ADVICE}")
    if min(shape) < 1 or min(shape[-2:]) < LEAST_PIXELS:
        raise InputRefused(f"an image of shape {shape} is too small; {_SHAPE_ADVICE}")
    num_images = shape[0] if in_batch else 1
    num_slices = shape[-3] if len(shape) in (3, 5) else 1
    return num_images, num_slices, shape[-2], shape[-1]


def _check_type(name: str) -> None:
    if name == "bool":
        raise InputRefused("an image of bool is a mask; give the values")
    if name not in _TYPES:
        raise InputRefused(f"an image of {name} is not accepted; give float32 or int16")


def _spacings(spacing_mm: Any, num_images: int, *, batched: bool) -> list[tuple[float, ...]]:
    if spacing_mm is None:
        raise InputRefused(
            "spacing_mm is needed: (row, column) or (slice, row, column), in millimeters"
        )
    if not isinstance(spacing_mm, Sequence | np.ndarray | Tensor):
        raise InputRefused(f"spacing_mm must be a tuple of millimeters, got {spacing_mm!r}")
    each = list(spacing_mm)
    if each and np.ndim(each[0]) > 0:
        if not batched or len(each) != num_images:
            raise InputRefused(
                f"spacing_mm lists {len(each)} images, the input holds {num_images}"
                + ("" if batched else " and is no batch")
            )
        return [_spacing(one) for one in each]
    return [_spacing(each)] * num_images


def _spacing(spacing_mm: Any) -> tuple[float, ...]:
    try:
        steps = tuple(float(step) for step in spacing_mm)
    except (TypeError, ValueError):
        steps = ()
    if len(steps) not in (2, 3):
        raise InputRefused(
            f"spacing_mm must be (row, column) or (slice, row, column), got {spacing_mm!r}"
        )
    if not all(0 < step < np.inf for step in steps):
        raise InputRefused(f"spacing_mm must be positive and finite, got {steps}")
    low, high = PLAUSIBLE_SPACING_MM
    if not all(low <= step <= high for step in steps):
        raise InputRefused(
            f"spacing_mm must be in millimeters and from {low:g} to {high:g}, got {steps}; meters "
            "and centimeters must be converted"
        )
    return steps

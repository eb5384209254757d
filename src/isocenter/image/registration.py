"""Bring one image of a head onto the grid of another of the same head.

A motion is what :class:`Motion` holds: where, in LPS millimeters, each point of the fixed image
lies in the moving one. It is found by mutual information, which compares images of different
contrast, from coarse to fine, by gradient descent. Every step is deterministic: samples lie on a
regular grid, the search runs in one thread, and nothing is drawn at random.

Sources: mutual information of two histograms: Mattes et al., IEEE Trans. Med. Imaging 22:120,
2003; free-form deformation by B-splines: Rueckert et al., IEEE Trans. Med. Imaging 18:712, 1999.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Geometry, Volume
from isocenter.image.head_mask import head_mask

Interpolation = Literal["linear", "cubic", "nearest"]

_BINS = 32
_LEAST_SHARED_SHARE = 0.25
_MASK_MARGIN_MM = 10.0
_TURNS_DEG = (-12.0, 0.0, 12.0)
_STARTS_TRIED = 3
_OF_HEADERS = 0  # number of the start that trusts the positions in the headers
_CONVERGED = 1e-8
_SMALL_STEP = 1e-4
_NEAR_STEP = 0.2  # of the voxels
# What is finer is noise of the arithmetic, which would make two runs differ.
_DIGITS = 7


@dataclass(frozen=True, kw_only=True)
class RegistrationSettings:
    """How far and how finely a registration searches.

    Attributes:
        levels_mm: steps between the voxels that are compared, coarsest first.
        iterations: at most, on each level.
        samples: voxels compared on each level, at most.
        search_rotations: also begin from heads turned by 12 degrees about each axis.
        mesh_mm: distance between the control points of a deformation.
        deformation_iterations: of the deformable step, at most.
    """

    levels_mm: tuple[float, ...] = (8.0, 4.0, 2.0)
    iterations: int = 250
    samples: int = 60_000
    search_rotations: bool = True
    mesh_mm: float = 40.0
    deformation_iterations: int = 40


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Where each point of the fixed image lies in the moving one.

    Attributes:
        rotation: (3, 3), proper.
        translation_mm: (3,), added after the rotation about the center.
        center_mm: (3,), of the rotation.
        deformation: a further shift before the rigid part, as SimpleITK keeps it; None where the
            motion is rigid.
    """

    rotation: NDArray
    translation_mm: NDArray
    center_mm: NDArray
    deformation: Any = None

    def moved_mm(self, points_mm: NDArray) -> NDArray:
        """Points (n, 3) of the fixed image, in LPS millimeters, in the moving image."""
        points = np.asarray(points_mm, float)
        if self.deformation is not None:
            points = np.array([self.deformation.TransformPoint(tuple(one)) for one in points])
        return (points - self.center_mm) @ self.rotation.T + self.center_mm + self.translation_mm

    @property
    def angle_deg(self) -> float:
        """Of the rotation, about whatever axis."""
        cosine = (np.trace(self.rotation) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def rigid_motion(
    angles_deg: Sequence[float], translation_mm: Sequence[float], center_mm: Sequence[float]
) -> Motion:
    """A motion by angles about the patient's left, back and head axes, applied in this order."""
    rotation = np.eye(3)
    for axis, angle in enumerate(angles_deg):
        first, second = [one for one in range(3) if one != axis]
        sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = cosine
        sign = -1.0 if axis == 1 else 1.0
        turn[first, second], turn[second, first] = -sign * sine, sign * sine
        rotation = turn @ rotation
    return Motion(
        rotation=rotation,
        translation_mm=np.array(translation_mm, float),
        center_mm=np.array(center_mm, float),
    )


NO_MOTION = rigid_motion((0, 0, 0), (0, 0, 0), (0, 0, 0))


def inverse(motion: Motion) -> Motion:
    """The way back of a rigid motion.

    Raises:
        ValueError: the motion deforms.
    """
    if motion.deformation is not None:
        raise ValueError("only a rigid motion is turned round; register back instead")
    back = motion.rotation.T
    shift = motion.center_mm + motion.translation_mm
    return Motion(
        rotation=back,
        translation_mm=motion.center_mm - shift,
        center_mm=shift,
    )


def register(
    moving: Volume,
    fixed: Volume,
    *,
    deformable: bool = False,
    start: Motion | None = None,
    settings: RegistrationSettings | None = None,
) -> Motion:
    """Find where each point of the fixed image lies in the moving one.

    Args:
        moving: of any contrast and grid.
        fixed: of the same head; where its head is, the images are compared.
        deformable: follow with a free-form deformation, for distorted or soft anatomy.
        start: where to begin; without it, from the positions in the headers, from heads laid on
            each other, and from turned heads.
        settings: the defaults suit heads.

    Raises:
        UnsuitableScan: one shows no head, or the two nowhere overlap.
    """
    settings = settings or RegistrationSettings()
    heads = head_mask(fixed), head_mask(moving)
    center = _center_mm(fixed.geometry, heads[0])
    motion = start or _search(moving, fixed, heads, center, settings)
    for level_mm in settings.levels_mm[1:] if start is None else settings.levels_mm:
        images = _Images.at_level(moving, fixed, heads[0], level_mm)
        motion = _descended(images, _rigid_transform(motion), settings, is_near=True)[0]
    if deformable:
        motion = _deformed(moving, fixed, heads[0], motion, settings)
    return motion


def _search(
    moving: Volume,
    fixed: Volume,
    heads: tuple[NDArray, NDArray],
    center_mm: NDArray,
    settings: RegistrationSettings,
) -> Motion:
    """The best of several beginnings, followed on the coarsest level and compared on the next.

    The positions in the headers are followed whatever their value: they are right most often.
    """
    images = _Images.at_level(moving, fixed, heads[0], settings.levels_mm[0])
    starts = _starts(center_mm, _center_mm(moving.geometry, heads[1]), settings)
    scored = sorted((_value(images, one, settings), number) for number, one in enumerate(starts))
    followed = dict.fromkeys([_OF_HEADERS, *(number for _, number in scored[:_STARTS_TRIED])])
    found = [_descended(images, starts[number], settings) for number in followed]
    found = [one for one in found if np.isfinite(one[1])]
    if not found:
        raise UnsuitableScan(
            "the two images nowhere overlap, so they cannot be registered; give images of one head",
            reason="registration",
        )
    finer = _Images.at_level(moving, fixed, heads[0], settings.levels_mm[:2][-1])
    return min(
        (one for one, _ in found), key=lambda one: _value(finer, _rigid_transform(one), settings)
    )


def _starts(
    center_mm: NDArray, moving_center_mm: NDArray, settings: RegistrationSettings
) -> list[Any]:
    """Positions as the headers have them, and heads laid on each other, each also turned."""
    turns: list[tuple[float, ...]] = [(0.0, 0.0, 0.0)]
    if settings.search_rotations:
        turns += [one for one in itertools.product(_TURNS_DEG, repeat=3) if any(one)]
    shifts = [[0.0] * 3, (moving_center_mm - center_mm).tolist()]
    return [
        _rigid_transform(rigid_motion(turn, shift, center_mm.tolist()))
        for shift in shifts
        for turn in turns
    ]


@dataclass(frozen=True, kw_only=True)
class _Images:
    """What is compared on one level, as SimpleITK has it."""

    moving: Any
    fixed: Any
    fixed_mask: Any
    moving_mask: Any

    @classmethod
    def at_level(cls, moving: Volume, fixed: Volume, head: NDArray, level_mm: float) -> _Images:

        image = _shrunk(simple_itk_float(fixed.array, fixed.geometry), level_mm)
        shrunk_head = _shrunk(simple_itk_float(head, fixed.geometry), level_mm, smooth=False)
        return cls(
            moving=_shrunk(simple_itk_float(moving.array, moving.geometry), level_mm),
            fixed=image,
            fixed_mask=_with_margin(shrunk_head),
            moving_mask=_measured(moving),
        )


def _measured(moving: Volume) -> Any:
    """Where the moving image has values; None where it has them everywhere."""
    import SimpleITK

    if moving.valid is None:
        return None
    mask = simple_itk_float(moving.valid, moving.geometry)
    return SimpleITK.Cast(mask > 0.5, SimpleITK.sitkUInt8)


def _with_margin(head: Any) -> Any:
    """With some air around, as a head's outline holds much of its position."""
    import SimpleITK

    inside = SimpleITK.GetArrayViewFromImage(head) > 0.5
    distance = ndimage.distance_transform_edt(~inside, sampling=head.GetSpacing()[::-1])
    mask = SimpleITK.GetImageFromArray((distance <= _MASK_MARGIN_MM).astype(np.uint8))
    mask.CopyInformation(head)
    return mask


def _shrunk(image: Any, level_mm: float, *, smooth: bool = True) -> Any:
    """On a grid of about ``level_mm`` along each axis that is finer, smoothed before."""
    import SimpleITK

    sizes, steps = image.GetSize(), image.GetSpacing()
    factors = [
        min(size, max(1, int(level_mm / step + 0.3)))
        for size, step in zip(sizes, steps, strict=True)
    ]
    if smooth:
        for axis, factor in enumerate(factors):
            if factor > 1 and sizes[axis] > 3:
                image = SimpleITK.RecursiveGaussian(
                    image, 0.4 * factor * steps[axis], direction=axis
                )
    return SimpleITK.Shrink(image, factors) if max(factors) > 1 else image


def _method(images: _Images, settings: RegistrationSettings) -> Any:
    import SimpleITK

    method = SimpleITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(_BINS)
    share = min(1.0, settings.samples / max(1, images.fixed.GetNumberOfPixels()))
    method.SetMetricSamplingStrategy(
        SimpleITK.ImageRegistrationMethod.NONE
        if share == 1.0
        else SimpleITK.ImageRegistrationMethod.REGULAR
    )
    method.SetMetricSamplingPercentage(share, 1)
    method.SetMetricFixedMask(images.fixed_mask)
    if images.moving_mask is not None:
        method.SetMetricMovingMask(images.moving_mask)
    method.SetInterpolator(SimpleITK.sitkLinear)
    return method


def _value(images: _Images, transform: Any, settings: RegistrationSettings) -> float:
    """Negated mutual information; infinite where too little overlaps."""
    method = _method(images, settings)
    method.SetInitialTransform(transform, inPlace=False)
    try:
        return float(method.MetricEvaluate(images.fixed, images.moving))
    except RuntimeError:
        return float("inf")


def _descended(
    images: _Images, transform: Any, settings: RegistrationSettings, *, is_near: bool = False
) -> tuple[Motion, float]:
    """The rigid motion after a descent, and its negated mutual information.

    Near the goal the first steps are small, lest they leave its valley. A descent that ends higher
    than it began is given up.
    """
    before = _value(images, transform, settings)
    method = _method(images, settings)
    method.SetInitialTransform(transform, inPlace=False)
    step_mm = float(np.mean(images.fixed.GetSpacing()))
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=_NEAR_STEP * step_mm if is_near else step_mm,
        minStep=_SMALL_STEP * step_mm,
        numberOfIterations=settings.iterations,
        gradientMagnitudeTolerance=_CONVERGED,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    try:
        found = method.Execute(images.fixed, images.moving)
    except RuntimeError:
        return _motion_of(transform), float("inf")
    motion = _motion_of(found)
    # The optimizer's own last value is of another set of samples, and not to be compared.
    after = _value(images, _rigid_transform(motion), settings)
    return (motion, after) if after < before else (_motion_of(transform), before)


def _deformed(
    moving: Volume,
    fixed: Volume,
    head: NDArray,
    motion: Motion,
    settings: RegistrationSettings,
) -> Motion:
    """A B-spline deformation before the rigid motion, which stays as it is."""
    import SimpleITK

    images = _Images.at_level(moving, fixed, head, settings.levels_mm[-1])
    extent_mm = [
        size * step
        for size, step in zip(images.fixed.GetSize(), images.fixed.GetSpacing(), strict=True)
    ]
    mesh = [max(1, round(length / settings.mesh_mm)) for length in extent_mm]
    spline = SimpleITK.BSplineTransformInitializer(images.fixed, mesh, order=3)
    method = _method(images, settings)
    method.SetMovingInitialTransform(_rigid_transform(motion))
    method.SetInitialTransform(spline, inPlace=True)
    method.SetOptimizerAsLBFGSB(
        gradientConvergenceTolerance=1e-5, numberOfIterations=settings.deformation_iterations
    )
    method.Execute(images.fixed, images.moving)
    return Motion(
        rotation=motion.rotation,
        translation_mm=motion.translation_mm,
        center_mm=motion.center_mm,
        deformation=spline,
    )


def folded_share(motion: Motion, geometry: Geometry) -> float:
    """Share of a grid on which a deformation turns space inside out; 0 for a rigid motion."""
    import SimpleITK

    if motion.deformation is None:
        return 0.0
    field = SimpleITK.TransformToDisplacementField(
        motion.deformation,
        SimpleITK.sitkVectorFloat64,
        geometry.shape[::-1],
        geometry.origin_mm,
        geometry.spacing_mm[::-1],
        _direction(geometry),
    )
    jacobian = SimpleITK.GetArrayViewFromImage(
        SimpleITK.DisplacementFieldJacobianDeterminant(field)
    )
    return float(np.mean(jacobian <= 0))


def resample(
    moving: Volume,
    grid: Geometry,
    motion: Motion = NO_MOTION,
    *,
    interpolation: Interpolation = "cubic",
) -> Volume:
    """The moving image on another grid, and where it has values for it.

    Args:
        moving: to be looked up.
        grid: of the result.
        motion: where each point of the grid lies in the moving image.
        interpolation: "cubic" (B-spline) for images; "linear" for images where no value may lie
            outside those of its neighbors; "nearest" for labels and masks.

    Returns:
        float32 values, 0 where the moving image has none; ``valid`` tells where it has. Cubic
        values are held to the range of the moving image, as splines overshoot at edges.
    """
    import SimpleITK

    image = simple_itk_float(moving.array, moving.geometry)
    kinds = {
        "cubic": SimpleITK.sitkBSpline,
        "linear": SimpleITK.sitkLinear,
        "nearest": SimpleITK.sitkNearestNeighbor,
    }
    if interpolation not in kinds:
        raise ValueError(f"interpolation is one of {', '.join(kinds)}, got {interpolation!r}")
    array = _looked_up(image, grid, motion, kinds[interpolation])
    if interpolation == "cubic":
        array = np.clip(array, moving.array.min(), moving.array.max())
    known = np.ones(moving.array.shape, np.float32) if moving.valid is None else moving.valid
    covered = _looked_up(
        simple_itk_float(known.astype(np.float32), moving.geometry),
        grid,
        motion,
        SimpleITK.sitkNearestNeighbor if interpolation == "nearest" else SimpleITK.sitkLinear,
    )
    valid = covered > 0.999
    return Volume(
        array=np.where(valid, array, 0).astype(np.float32),
        geometry=grid,
        unit=moving.unit,
        valid=None if valid.all() else valid,
        acquisition=moving.acquisition,
    )


def _looked_up(image: Any, grid: Geometry, motion: Motion, kind: int) -> NDArray:
    import SimpleITK

    resampler = SimpleITK.ResampleImageFilter()
    resampler.SetSize(grid.shape[::-1])
    resampler.SetOutputSpacing(grid.spacing_mm[::-1])
    resampler.SetOutputOrigin(grid.origin_mm)
    resampler.SetOutputDirection(_direction(grid))
    resampler.SetTransform(_whole_transform(motion))
    resampler.SetInterpolator(kind)
    resampler.SetDefaultPixelValue(0.0)
    resampler.SetOutputPixelType(SimpleITK.sitkFloat32)
    array: NDArray = SimpleITK.GetArrayFromImage(resampler.Execute(image))
    return array


def simple_itk_float(array: NDArray, geometry: Geometry) -> Any:
    """An array on a grid as a ``SimpleITK.Image`` of float32."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.asarray(array, np.float32))
    image.SetSpacing(geometry.spacing_mm[::-1])
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(_direction(geometry))
    return image


def _direction(geometry: Geometry) -> list[float]:
    axes = (geometry.column_direction, geometry.row_direction, geometry.slice_direction)
    direction: list[float] = np.array(axes).T.ravel().tolist()
    return direction


def _rigid_transform(motion: Motion) -> Any:
    import SimpleITK

    transform = SimpleITK.Euler3DTransform()
    transform.SetCenter(motion.center_mm.tolist())
    transform.SetMatrix(motion.rotation.ravel().tolist(), 1e-6)
    transform.SetTranslation(motion.translation_mm.tolist())
    return transform


def _whole_transform(motion: Motion) -> Any:
    import SimpleITK

    rigid = _rigid_transform(motion)
    if motion.deformation is None:
        return rigid
    return SimpleITK.CompositeTransform([rigid, motion.deformation])


def _motion_of(transform: Any) -> Motion:
    import SimpleITK

    if (
        isinstance(transform, SimpleITK.CompositeTransform)
        or transform.GetName() != "Euler3DTransform"
    ):
        transform = SimpleITK.Euler3DTransform(
            SimpleITK.CompositeTransform(transform).GetBackTransform()
        )
    rounded = SimpleITK.Euler3DTransform(transform)
    rounded.SetParameters([round(one, _DIGITS) for one in transform.GetParameters()])
    return Motion(
        rotation=np.array(rounded.GetMatrix()).reshape(3, 3),
        translation_mm=np.array(rounded.GetTranslation()),
        center_mm=np.array(rounded.GetCenter()),
    )


def _center_mm(geometry: Geometry, mask: NDArray) -> NDArray:
    """Middle of a mask in LPS millimeters."""
    middle = [float(np.mean(places)) for places in np.nonzero(mask)]
    return geometry.position_mm(*middle)


def points_mm(geometry: Geometry, mask: NDArray, *, count: int = 2000) -> NDArray:
    """(n, 3) LPS positions of voxels spread evenly over a mask, no more than ``count``."""
    places = np.argwhere(mask)
    places = places[:: max(1, len(places) // count)]
    directions = np.array(
        [geometry.slice_direction, geometry.row_direction, geometry.column_direction]
    )
    steps = places * np.array(geometry.spacing_mm)
    return np.array(geometry.origin_mm) + steps @ directions

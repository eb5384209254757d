"""The rules that CT adds: no localizer, Hounsfield units, one kernel."""

from __future__ import annotations

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.errors import UnsuitableScan
from isocenter.dicom.reading.ct_header import CT_HEADER
from isocenter.dicom.reading.geometry import num_unlike
from isocenter.dicom.reading.rules import Frames, SeriesKind, listed

MIN_SLOPE, MAX_SLOPE = 1e-9, 1e4
MAX_INTERCEPT = 1e6
SAME_TILT_DEG = 0.1


def _check_values(frames: Frames) -> None:
    _check_localizer(frames)
    _check_rescale(frames)


def _check_localizer(frames: Frames) -> None:
    count = sum("LOCALIZER" in frame.image_type for frame in frames)
    if count == len(frames):
        raise UnsuitableScan(
            "this is a localizer (scout view), not a tomographic scan; give an axial series",
            reason="localizer",
        )
    if count:
        raise UnsuitableScan(
            f"{count} of the {len(frames)} images are localizers (scout views); give the others "
            "without them",
            reason="mixed_localizers",
        )


def _check_rescale(frames: Frames) -> None:
    for frame in frames:
        if frame.slope is None or frame.intercept is None:
            raise UnsuitableScan(
                "the images have no Rescale Slope and Intercept, so their values are not known "
                "to be Hounsfield units; export the original CT images",
                reason="rescale",
            )
        if frame.rescale_type not in ("", "HU"):
            raise UnsuitableScan(
                f"the values are in {frame.rescale_type}, not in Hounsfield units (HU)",
                reason="rescale_type",
            )
        if not MIN_SLOPE <= frame.slope <= MAX_SLOPE or abs(frame.intercept) > MAX_INTERCEPT:
            raise UnsuitableScan(
                f"a Rescale Slope of {frame.slope:g} with an intercept of {frame.intercept:g} is "
                f"not a CT scale; a slope above 0 ({MIN_SLOPE:g}) and up to {MAX_SLOPE:g} is "
                "accepted",
                reason="rescale",
            )


def _check_making(frames: Frames) -> None:
    facts = [frame.acquisition for frame in frames]
    kernels = {fact.kernel for fact in facts if isinstance(fact, CtAcquisition)}
    if len(kernels) > 1:
        raise UnsuitableScan(
            f"the series mixes the reconstruction kernels {listed(kernels)}; give images of one "
            "reconstruction",
            reason="mixed_kernels",
        )
    tilts = [fact.gantry_tilt_deg or 0.0 for fact in facts if isinstance(fact, CtAcquisition)]
    if tilts and max(tilts) - min(tilts) > SAME_TILT_DEG:
        count = num_unlike(tilts, SAME_TILT_DEG)
        raise UnsuitableScan(
            f"the Gantry/Detector Tilt of {count} of {len(tilts)} images differs from the others'; "
            "give images of one scan",
            reason="mixed_tilts",
        )


CT_SERIES = SeriesKind(
    header=CT_HEADER,
    name="a CT",
    accepted="CT Image Storage and Enhanced CT Image Storage",
    values_needed="Hounsfield units are needed",
    check_values=_check_values,
    check_making=_check_making,
)

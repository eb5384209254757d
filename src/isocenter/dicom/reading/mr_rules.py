"""The rules that MR adds: a scale that can be undone; its values have no unit of their own."""

from __future__ import annotations

from isocenter.core.errors import UnsuitableScan
from isocenter.dicom.reading.mr_header import MR_HEADER
from isocenter.dicom.reading.rules import Frames, SeriesKind

MIN_SLOPE, LARGEST = 1e-30, 1e30


def _check_values(frames: Frames) -> None:
    for frame in frames:
        slope = 1.0 if frame.slope is None else frame.slope
        if not MIN_SLOPE <= slope <= LARGEST or abs(frame.intercept or 0.0) > LARGEST:
            raise UnsuitableScan(
                f"a Rescale Slope of {slope:g} with an intercept of {frame.intercept or 0:g} gives "
                f"no values; a slope above 0 ({MIN_SLOPE:g}) and up to {LARGEST:g}, or none, is "
                "accepted",
                reason="rescale",
            )


def _check_making(frames: Frames) -> None:
    """Nothing yet: echoes and weightings that share a place are refused for that."""


MR_SERIES = SeriesKind(
    header=MR_HEADER,
    name="an MR",
    accepted="images of class MR Image Storage",
    values_needed="a plain scale is needed",
    check_values=_check_values,
    check_making=_check_making,
)

"""The rules that MR adds: a scale that can be undone; its values have no unit of their own."""

from __future__ import annotations

from isocenter.core.errors import UnsuitableScan
from isocenter.dicom.reading.mr_header import MR_HEADER
from isocenter.dicom.reading.rules import Frames, SeriesKind


def _check_values(frames: Frames) -> None:
    for frame in frames:
        if frame.slope is not None and not frame.slope > 0:
            raise UnsuitableScan(
                f"a Rescale Slope of {frame.slope:g} gives no values; one above 0, or none, is "
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

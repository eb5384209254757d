"""A CT series: Hounsfield units, and a circle outside of which nothing was measured."""

from __future__ import annotations

from numpy.typing import NDArray

from isocenter.core.acquisition import CtAcquisition
from isocenter.dicom.reading.ct_padding import measured_pixels
from isocenter.dicom.reading.series import ImageSeries


class CtSeries(ImageSeries):
    """A CT scan on disk, in HU."""

    unit = "HU"

    @property
    def acquisition(self) -> CtAcquisition:
        acquisition = super().acquisition
        assert isinstance(acquisition, CtAcquisition)
        return acquisition

    def valid(self, index: int) -> NDArray:
        """(row, column) bool, False where the scanner wrote no measurement."""
        return measured_pixels(
            self.stored(index),
            slope=self.slope(index),
            intercept=self.intercept(index),
            padding=self.pixel_format(index).padding,
        )

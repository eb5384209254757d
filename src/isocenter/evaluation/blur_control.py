"""The control beside every score that smoothing can raise: the same test, blurred a little more.

Where the blurred test scores better, the score rewards smoothing here and says nothing for the
test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.evaluation.measure import Measurement, Pair

BLUR_CONTROL_MM = 0.7
_LEAST_PIXELS = 0.7


def blurred(image: NDArray, spacing_mm: Sequence[float]) -> NDArray:
    """After a Gaussian blur of 0.7 mm within the slices, or of 0.7 pixels where that is more.

    Args:
        image: (row, column) or (slice, row, column), in any unit.
        spacing_mm: row and column spacing.
    """
    sigma = [max(BLUR_CONTROL_MM / step, _LEAST_PIXELS) for step in spacing_mm]
    between = [0.0] * (image.ndim - 2)
    return ndimage.gaussian_filter(image.astype(np.float32), [*between, *sigma])


@dataclass(frozen=True)
class OnBlurredTest:
    """A measurement that sees the test after the blur of :func:`blurred`.

    Attributes:
        measurement: what measures.
    """

    measurement: Measurement[Any]

    def add(self, pair: Pair, /) -> None:
        """Pass a pair on with its test blurred."""
        self.measurement.add(replace(pair, test=blurred(pair.test, pair.spacing_mm)))

    def result(self) -> Any:
        """What was found."""
        return self.measurement.result()

"""Body and tissue masks by Hounsfield units alone.

The names say which tissue a range usually holds, not that an organ was segmented: unenhanced liver
and blood lie in the range called "muscle", and enhanced organs reach the range called "blood".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Lower and upper limit in HU, upper limit excluded.
TISSUES: dict[str, tuple[float, float]] = {
    "lung": (-980.0, -500.0),
    "fat": (-140.0, -50.0),
    "muscle": (10.0, 80.0),
    "liver": (80.0, 130.0),
    "blood": (130.0, 250.0),
    "bone": (250.0, 3100.0),
}
BODY_THRESHOLD_HU = -500.0
SMOOTHING_MM = 1.5


def body_mask(image_hu: NDArray, *, valid: NDArray | None = None) -> NDArray:
    """The patient in one slice, lungs and bowel gas included.

    Args:
        image_hu: (row, column).
        valid: same shape, False outside the scanner's circle.

    Returns:
        Boolean mask of the largest connected region above -500 HU with its holes filled; all
        False where there is none. Opening removes the couch and thin cables.
    """
    dense = ndimage.binary_opening(image_hu > BODY_THRESHOLD_HU, iterations=2)
    if valid is not None:
        dense &= valid
    labels, count = ndimage.label(dense)
    if count == 0:
        return np.zeros(image_hu.shape, bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return ndimage.binary_fill_holes(labels == sizes.argmax())


def tissue_masks(
    image_hu: NDArray, *, spacing_mm: tuple[float, float], body: NDArray | None = None
) -> dict[str, NDArray]:
    """Where one slice lies within the range of each tissue of :data:`TISSUES`.

    Args:
        image_hu: (row, column). Give the reference, so that noise of the image under test does
            not decide which pixels are judged.
        spacing_mm: row and column spacing.
        body: mask of the patient; measured by :func:`body_mask` where absent.

    Returns:
        One mask a tissue. Pixels are sorted after smoothing by 1.5 mm, and those at the border of
        a region (one pixel) are left out, since they hold mixed tissue.
    """
    inside = body_mask(image_hu) if body is None else body
    smooth = ndimage.gaussian_filter(image_hu, [SMOOTHING_MM / step for step in spacing_mm])
    return {
        name: ndimage.binary_erosion((smooth >= low) & (smooth < high) & inside)
        for name, (low, high) in TISSUES.items()
    }

"""The ranges of HU under which CT is scored, and who is in the picture."""

from __future__ import annotations

from numpy.typing import NDArray

from isocenter.evaluation.fidelity import Protocol
from isocenter.image.ct_tissue import body_mask

HU_RANGE = Protocol(name="HU range", low=-1000.0, high=1000.0, unit="HU")
CHEST_WINDOW = Protocol(name="chest window 1500/-600", low=-1350.0, high=150.0, unit="HU")
ABDOMEN_WINDOW = Protocol(name="abdomen window 400/40", low=-160.0, high=240.0, unit="HU")
PROTOCOLS = (HU_RANGE, CHEST_WINDOW, ABDOMEN_WINDOW)


def find_body(image_hu: NDArray, valid: NDArray) -> NDArray:
    """The patient in one slice, as :class:`isocenter.evaluation.measure.Pair` wants it."""
    return body_mask(image_hu, valid=valid)

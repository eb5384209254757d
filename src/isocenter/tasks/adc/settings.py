"""What can be set of an ADC map and of the lesions that are marked in it."""

from __future__ import annotations

from dataclasses import dataclass

from isocenter.physics.infarct_core import INFARCT_CORE_UM2_PER_S
from isocenter.tasks.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class AdcSettings(Settings):
    """The rule by which lesions are marked; the fit has nothing to set.

    Attributes:
        lesion_adc: ADC in µm²/s below which tissue may be a lesion.
        lesion_brightness: by how many standard deviations of the tissue around it a lesion is
            brighter in the image of the highest b-value.
        smallest_lesion_ml: smaller ones are not marked.

    Raises:
        SettingRefused: a value is outside its range.
    """

    lesion_adc: float = setting(
        INFARCT_CORE_UM2_PER_S,
        help="ADC in µm²/s below which bright tissue is marked as a lesion.",
        above=0,
        at_most=1500,
    )
    lesion_brightness: float = setting(
        2.5,
        help="Standard deviations by which a lesion is brighter than the tissue around it, in the "
        "image of the highest b-value.",
        at_least=0,
        at_most=10,
    )
    smallest_lesion_ml: float = setting(
        0.2, help="Smaller lesions, in milliliters, are not marked.", at_least=0, at_most=100
    )

"""What an ADC run writes."""

from __future__ import annotations

from isocenter.core.outputs import (
    SQUARE_MICROMETERS_PER_SECOND,
    Code,
    MapOutput,
    MaskOutput,
    MeasurementOutput,
)

_FIT = Code("ADCFIT", "99ISOCENTER", "Apparent diffusion coefficient by exponential fit")
_LESION = Code("52988006", "SCT", "Lesion")

ADC = MapOutput(
    name="adc",
    label="ADC map",
    modality="MR",
    unit=SQUARE_MICROMETERS_PER_SECOND,
    derivation=_FIT,
    content_label="ADC",
    meaning=(
        "Apparent diffusion coefficient in um2/s (1e-6 mm2/s), fitted to acquired images; 0 where "
        "there is no signal."
    ),
    quantity=Code("113041", "DCM", "Apparent Diffusion Coefficient"),
    window=(0.0, 2500.0),
    flag="DERIVED",
    image_flavor="DIFFUSION MAP",
    image_step=1.0,
    always_images=True,
)
UNCERTAINTY = MapOutput(
    name="uncertainty",
    label="Uncertainty map",
    modality="MR",
    unit=SQUARE_MICROMETERS_PER_SECOND,
    derivation=Code("ADCSD", "99ISOCENTER", "Standard deviation of an exponential fit by noise"),
    content_label="ADC_SD",
    meaning=(
        "Standard deviation in um2/s of the ADC by the noise of the images alone; motion, "
        "distortion and other models of diffusion are not in it. 0 where there is no signal."
    ),
    quantity=Code("386136009", "SCT", "Standard Deviation"),
    window=(0.0, 200.0),
    flag="DERIVED",
)
LESION = MaskOutput(
    name="lesion",
    label="Restricted diffusion",
    derivation=Code("DWITHR", "99ISOCENTER", "Thresholds of ADC and diffusion weighting"),
    category=Code("49755003", "SCT", "Morphologically Abnormal Structure"),
    kind=_LESION,
    flag="DERIVED MASK",
    family=Code("123105", "DCM", "Histogram Analysis"),
)
MEASUREMENTS = MeasurementOutput(
    name="measurements",
    label="Measurements",
    derivation=LESION.derivation,
    mask=LESION,
    of=ADC,
    procedure=Code("24590-2", "LN", "MR Brain"),
    finding=_LESION,
)

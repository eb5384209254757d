"""What a physicist asks of a CT image: HU, noise texture, sharpness, continuity between slices."""

from isocenter.evaluation.ct.continuity import Continuity, inter_slice_continuity
from isocenter.evaluation.ct.edges import (
    EDGE_KINDS,
    EdgeKind,
    EdgeSpread,
    Sharpness,
    TransferFunction,
    edge_sharpness,
    edge_spreads,
    task_transfer_function,
)
from isocenter.evaluation.ct.hu import SliceBias, TissueBias, hu_bias, slice_hu_bias
from isocenter.evaluation.ct.noise_power import (
    NoisePowerSpectrum,
    Region,
    homogeneous_regions,
    noise_power_spectrum,
)

__all__ = [
    "EDGE_KINDS",
    "Continuity",
    "EdgeKind",
    "EdgeSpread",
    "NoisePowerSpectrum",
    "Region",
    "Sharpness",
    "SliceBias",
    "TissueBias",
    "TransferFunction",
    "edge_sharpness",
    "edge_spreads",
    "homogeneous_regions",
    "hu_bias",
    "inter_slice_continuity",
    "noise_power_spectrum",
    "slice_hu_bias",
    "task_transfer_function",
]

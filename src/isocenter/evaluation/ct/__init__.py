"""What a physicist asks of a CT image: HU, noise texture, sharpness."""

from isocenter.evaluation.ct.edges import (
    EDGE_KINDS,
    EdgeKind,
    Sharpness,
    SharpnessMeter,
    TransferFunction,
    edge_sharpness,
)
from isocenter.evaluation.ct.faint_detail import FaintDetail, FaintDetailMeter, faint_detail
from isocenter.evaluation.ct.hu import (
    HuBias,
    RegionChange,
    RegionChanges,
    TissueBias,
    hu_bias,
)
from isocenter.evaluation.ct.noise_power import (
    NoiseComparison,
    NoiseMeter,
    NoisePowerSpectrum,
    Region,
    homogeneous_regions,
    noise_power_spectrum,
)
from isocenter.evaluation.ct.uniform_noise import UniformNoise, UniformNoiseMeter
from isocenter.evaluation.ct.windows import ABDOMEN_WINDOW, CHEST_WINDOW, HU_RANGE, PROTOCOLS

__all__ = [
    "ABDOMEN_WINDOW",
    "CHEST_WINDOW",
    "EDGE_KINDS",
    "HU_RANGE",
    "PROTOCOLS",
    "EdgeKind",
    "FaintDetail",
    "FaintDetailMeter",
    "HuBias",
    "NoiseComparison",
    "NoiseMeter",
    "NoisePowerSpectrum",
    "Region",
    "RegionChange",
    "RegionChanges",
    "Sharpness",
    "SharpnessMeter",
    "TissueBias",
    "TransferFunction",
    "UniformNoise",
    "UniformNoiseMeter",
    "edge_sharpness",
    "faint_detail",
    "homogeneous_regions",
    "hu_bias",
    "noise_power_spectrum",
]

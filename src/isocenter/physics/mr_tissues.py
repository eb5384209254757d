"""What tissues of the head are to MR: relaxation times, proton density, diffusion.

Typical values of healthy adults; real tissue varies between people and within one, see
:data:`PEOPLE`. Ranges that the literature gives, at 1.5 T and at 3 T:

| tissue | T1 (ms) | T2 (ms) | T2* (ms) | ADC (µm²/s) |
| --- | --- | --- | --- | --- |
| white matter | 560-780, 790-1080 | 64-80, 56-79 | 60-72, 48-58 | 620-820 |
| cortex | 920-1220, 1280-1820 | 78-106, 71-110 | 76-90, 58-72 | 750-950 |
| CSF | 3800-4500 at both | 1600-2400, less | long | 2800-3200 |

Sources. T1 and T2 of white and gray matter, muscle, blood and optic nerve: Stanisz et al., Magn.
Reson. Med. 54:507, 2005, with T1 between theirs and those of Wansapura et al., J. Magn. Reson.
Imaging 9:531, 1999 and Rooney et al., Magn. Reson. Med. 57:308, 2007, from which the deep nuclei
and CSF come too. Fat and marrow: de Bazelaire et al., Radiology 230:652, 2004. Proton densities:
Collins et al., IEEE Trans. Med. Imaging 17:463, 1998 (BrainWeb) and Tofts, Quantitative MRI of the
Brain, 2003. T2*: Peters et al., Magn. Reson. Imaging 25:748, 2007 for cortex, white matter, caudate
and putamen; others in proportion to T2. ADC: Helenius et al., AJNR 23:194, 2002 and Sener, Comput.
Med. Imaging Graph. 25:299, 2001 for the brain; free water at 37 C for CSF. Iron shortens T2 of the
pallidum. Cortical bone gives next to no signal at echo times above 5 ms. What lies outside the
brain is known less well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

Pair = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """One tissue at 1.5 T and 3 T.

    Attributes:
        t1_ms, t2_ms, t2_star_ms: at 1.5 T and 3 T.
        proton_density: over that of water.
        adc_um2_s: apparent diffusion coefficient, mean over directions.
    """

    t1_ms: Pair
    t2_ms: Pair
    t2_star_ms: Pair
    proton_density: float
    adc_um2_s: float


class TissueValues(NamedTuple):
    """One tissue at one field; times in ms, ADC in µm²/s."""

    t1_ms: float
    t2_ms: float
    t2_star_ms: float
    proton_density: float
    adc_um2_s: float


# Relative spread between healthy people: standard deviation of T1, T2, T2*, density and ADC.
# T1, T2: Stanisz et al. and Rooney et al., as above; ADC: Helenius et al.
PEOPLE = TissueValues(0.05, 0.07, 0.10, 0.03, 0.05)


def _tissue(t1: Pair, t2: Pair, t2_star: Pair, density: float, adc: float) -> Relaxation:
    return Relaxation(t1_ms=t1, t2_ms=t2, t2_star_ms=t2_star, proton_density=density, adc_um2_s=adc)


TISSUES: Mapping[str, Relaxation] = MappingProxyType(
    {
        "white matter": _tissue((650.0, 860.0), (72.0, 68.0), (66.0, 53.0), 0.70, 720.0),
        "cortex": _tissue((1130.0, 1450.0), (95.0, 92.0), (84.0, 66.0), 0.82, 850.0),
        "thalamus": _tissue((930.0, 1210.0), (82.0, 78.0), (65.0, 50.0), 0.77, 760.0),
        "caudate": _tissue((1080.0, 1380.0), (88.0, 82.0), (59.0, 41.0), 0.80, 740.0),
        "putamen": _tissue((1010.0, 1300.0), (80.0, 75.0), (55.0, 32.0), 0.79, 720.0),
        "pallidum": _tissue((820.0, 1060.0), (66.0, 58.0), (40.0, 24.0), 0.73, 740.0),
        "hippocampus": _tissue((1160.0, 1480.0), (100.0, 96.0), (75.0, 55.0), 0.82, 870.0),
        "cerebellar white matter": _tissue((680.0, 900.0), (75.0, 70.0), (64.0, 50.0), 0.71, 700.0),
        "cerebellar cortex": _tissue((1100.0, 1400.0), (94.0, 90.0), (78.0, 60.0), 0.82, 760.0),
        "brainstem": _tissue((740.0, 980.0), (78.0, 73.0), (62.0, 48.0), 0.73, 740.0),
        "optic nerve": _tissue((815.0, 1083.0), (77.0, 78.0), (55.0, 42.0), 0.72, 1000.0),
        "csf": _tissue((4200.0, 4300.0), (1900.0, 1700.0), (800.0, 500.0), 1.00, 3000.0),
        "vitreous": _tissue((3900.0, 4100.0), (1100.0, 900.0), (500.0, 300.0), 0.99, 2800.0),
        "blood": _tissue((1441.0, 1932.0), (230.0, 150.0), (180.0, 60.0), 0.85, 2000.0),
        "muscle": _tissue((1008.0, 1412.0), (44.0, 40.0), (34.0, 28.0), 0.78, 1400.0),
        "fat": _tissue((300.0, 370.0), (80.0, 75.0), (45.0, 30.0), 0.92, 60.0),
        "skin": _tissue((850.0, 1100.0), (45.0, 40.0), (25.0, 18.0), 0.72, 900.0),
        "mucosa": _tissue((1150.0, 1500.0), (95.0, 85.0), (45.0, 28.0), 0.88, 1500.0),
        "marrow": _tissue((420.0, 480.0), (60.0, 55.0), (18.0, 12.0), 0.60, 300.0),
        "cortical bone": _tissue((250.0, 280.0), (1.0, 0.8), (0.5, 0.4), 0.20, 300.0),
        "dura": _tissue((900.0, 1200.0), (35.0, 30.0), (20.0, 14.0), 0.50, 800.0),
    }
)


def tissue_values(tissue: str, *, field_tesla: float) -> TissueValues:
    """What a tissue of :data:`TISSUES` is at a field.

    Between 1.5 T and 3 T times follow a power of the field, as Bottomley et al., Med. Phys. 11:425,
    1984 found for T1; outside they are not known here.

    Raises:
        ValueError: the tissue is not listed or the field is not from 1.5 to 3 T.
    """
    if tissue not in TISSUES:
        raise ValueError(f"tissue is one of {', '.join(TISSUES)}, got {tissue!r}")
    if not 1.5 <= field_tesla <= 3.0:
        raise ValueError(f"field_tesla is from 1.5 to 3, got {field_tesla:g}")
    one = TISSUES[tissue]
    share = math.log(field_tesla / 1.5) / math.log(2)
    t1_ms, t2_ms, t2_star_ms = (
        low ** (1 - share) * high**share for low, high in (one.t1_ms, one.t2_ms, one.t2_star_ms)
    )
    return TissueValues(t1_ms, t2_ms, t2_star_ms, one.proton_density, one.adc_um2_s)


def relaxation(tissue: str, *, field_tesla: float) -> tuple[float, float, float]:
    """T1 and T2 in ms and the proton density, as :func:`tissue_values` has them."""
    values = tissue_values(tissue, field_tesla=field_tesla)
    return values.t1_ms, values.t2_ms, values.proton_density

"""Signal of common MR sequences from relaxation times and proton density.

Steady-state equations of ideal sequences: perfect pulses, no flow, no diffusion, no magnetization
transfer. Relaxation times are typical values of healthy adults; real tissue varies between people
and within one (see :func:`relaxation`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocenter.core.checks import check_least, check_positive

# Longitudinal relaxivity of gadobutrol in blood plasma at 1.5 T and 37 C.
# Rohrer et al., Invest. Radiol. 40:715, 2005.
GADOLINIUM_PER_MM_S = 5.2


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """One tissue at 1.5 T and 3 T.

    Attributes:
        t1_ms: at 1.5 T and 3 T.
        t2_ms: at 1.5 T and 3 T.
        proton_density: over that of water.
    """

    t1_ms: tuple[float, float]
    t2_ms: tuple[float, float]
    proton_density: float


def _tissue(t1: tuple[float, float], t2: tuple[float, float], density: float) -> Relaxation:
    return Relaxation(t1_ms=t1, t2_ms=t2, proton_density=density)


# White and gray matter, muscle, blood and optic nerve: Stanisz et al., Magn. Reson. Med. 54:507,
# 2005, with T1 between theirs and those of Wansapura et al., J. Magn. Reson. Imaging 9:531, 1999
# and Rooney et al., Magn. Reson. Med. 57:308, 2007, from which the deep nuclei and CSF come too.
# Fat and marrow: de Bazelaire et al., Radiology 230:652, 2004. Proton densities: Collins et al.,
# IEEE Trans. Med. Imaging 17:463, 1998 (BrainWeb) and Tofts, Quantitative MRI of the Brain, 2003.
# Iron shortens T2 of the pallidum. Cortical bone gives next to no signal at echo times above 5 ms.
TISSUES: Mapping[str, Relaxation] = MappingProxyType(
    {
        "white matter": _tissue((650.0, 860.0), (72.0, 68.0), 0.70),
        "cortex": _tissue((1130.0, 1450.0), (95.0, 92.0), 0.82),
        "thalamus": _tissue((930.0, 1210.0), (82.0, 78.0), 0.77),
        "caudate": _tissue((1080.0, 1380.0), (88.0, 82.0), 0.80),
        "putamen": _tissue((1010.0, 1300.0), (80.0, 75.0), 0.79),
        "pallidum": _tissue((820.0, 1060.0), (66.0, 58.0), 0.73),
        "hippocampus": _tissue((1160.0, 1480.0), (100.0, 96.0), 0.82),
        "cerebellar white matter": _tissue((680.0, 900.0), (75.0, 70.0), 0.71),
        "cerebellar cortex": _tissue((1100.0, 1400.0), (94.0, 90.0), 0.82),
        "brainstem": _tissue((740.0, 980.0), (78.0, 73.0), 0.73),
        "optic nerve": _tissue((815.0, 1083.0), (77.0, 78.0), 0.72),
        "csf": _tissue((4200.0, 4300.0), (1900.0, 1700.0), 1.00),
        "vitreous": _tissue((3900.0, 4100.0), (1100.0, 900.0), 0.99),
        "blood": _tissue((1441.0, 1932.0), (230.0, 150.0), 0.85),
        "muscle": _tissue((1008.0, 1412.0), (44.0, 40.0), 0.78),
        "fat": _tissue((300.0, 370.0), (80.0, 75.0), 0.92),
        "skin": _tissue((850.0, 1100.0), (45.0, 40.0), 0.72),
        "mucosa": _tissue((1150.0, 1500.0), (95.0, 85.0), 0.88),
        "marrow": _tissue((420.0, 480.0), (60.0, 55.0), 0.60),
        "cortical bone": _tissue((250.0, 280.0), (1.0, 0.8), 0.20),
        "dura": _tissue((900.0, 1200.0), (35.0, 30.0), 0.50),
    }
)


def relaxation(tissue: str, *, field_tesla: float) -> tuple[float, float, float]:
    """T1 and T2 in ms and the proton density of a tissue of :data:`TISSUES`.

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
    t1_ms, t2_ms = (low ** (1 - share) * high**share for low, high in (one.t1_ms, one.t2_ms))
    return t1_ms, t2_ms, one.proton_density


def spin_echo(
    proton_density: ArrayLike, t1_ms: ArrayLike, t2_ms: ArrayLike, *, tr_ms: float, te_ms: float
) -> NDArray:
    """Signal of a spin echo, or of a turbo spin echo at its effective echo time.

    Args:
        proton_density, t1_ms, t2_ms: broadcast against each other.
        tr_ms: repetition time, much longer than the echo time.
        te_ms: echo time, below tr_ms.

    Returns:
        Signal in the unit of proton_density.

    Raises:
        ValueError: a time is not positive, or the echo comes after the next pulse.
    """
    _check_times(t1_ms, t2_ms, tr_ms, te_ms)
    recovered = 1 - np.exp(-tr_ms / np.asarray(t1_ms))
    return np.asarray(proton_density) * recovered * np.exp(-te_ms / np.asarray(t2_ms))


def inversion_recovery(
    proton_density: ArrayLike,
    t1_ms: ArrayLike,
    t2_ms: ArrayLike,
    *,
    tr_ms: float,
    te_ms: float,
    ti_ms: float,
) -> NDArray:
    """Magnitude of a spin echo after an inversion.

    Zero at ``ti_ms = t1_ms * ln(2 / (1 + exp(-tr_ms / t1_ms)))``: see :func:`null_ti_ms`.

    Args:
        proton_density, t1_ms, t2_ms: broadcast against each other.
        tr_ms, te_ms: as of :func:`spin_echo`.
        ti_ms: from the inversion to the excitation, below tr_ms.

    Raises:
        ValueError: a time is not positive, or TI or TE is not below TR.
    """
    _check_times(t1_ms, t2_ms, tr_ms, te_ms)
    check_positive("ti_ms", ti_ms)
    if not ti_ms < tr_ms:
        raise ValueError(f"ti_ms must be below tr_ms, got {ti_ms:g} and {tr_ms:g}")
    t1 = np.asarray(t1_ms)
    recovered = 1 - 2 * np.exp(-ti_ms / t1) + np.exp(-tr_ms / t1)
    signal: NDArray = np.abs(
        np.asarray(proton_density) * recovered * np.exp(-te_ms / np.asarray(t2_ms))
    )
    return signal


def null_ti_ms(t1_ms: float, *, tr_ms: float) -> float:
    """Inversion time at which a tissue gives no signal; ln 2 times T1 where TR is long."""
    check_positive("t1_ms", t1_ms)
    check_positive("tr_ms", tr_ms)
    return t1_ms * math.log(2 / (1 + math.exp(-tr_ms / t1_ms)))


def spoiled_gradient_echo(
    proton_density: ArrayLike,
    t1_ms: ArrayLike,
    t2_star_ms: ArrayLike,
    *,
    tr_ms: float,
    te_ms: float,
    flip_deg: float,
) -> NDArray:
    """Steady-state signal of a spoiled gradient echo.

    Args:
        proton_density, t1_ms, t2_star_ms: broadcast against each other.
        tr_ms: repetition time.
        te_ms: echo time, below tr_ms.
        flip_deg: flip angle, above 0 and up to 90.

    Raises:
        ValueError: a time is not positive, TE is not below TR, or there is no such angle.

    Source: Ernst & Anderson, Rev. Sci. Instrum. 37:93, 1966.
    """
    _check_times(t1_ms, t2_star_ms, tr_ms, te_ms)
    if not 0 < flip_deg <= 90:
        raise ValueError(f"flip_deg is above 0 and up to 90, got {flip_deg:g}")
    recovery = np.exp(-tr_ms / np.asarray(t1_ms))
    flip = math.radians(flip_deg)
    steady = math.sin(flip) * (1 - recovery) / (1 - recovery * math.cos(flip))
    return np.asarray(proton_density) * steady * np.exp(-te_ms / np.asarray(t2_star_ms))


def ernst_angle_deg(t1_ms: float, *, tr_ms: float) -> float:
    """Flip angle at which a spoiled gradient echo is strongest."""
    check_positive("t1_ms", t1_ms)
    check_positive("tr_ms", tr_ms)
    return math.degrees(math.acos(math.exp(-tr_ms / t1_ms)))


def enhanced_t1_ms(t1_ms: ArrayLike, concentration_mm: ArrayLike) -> NDArray:
    """T1 with a gadolinium agent, whose relaxivity here is 5.2 per mmol/L and second.

    Args:
        t1_ms: without it.
        concentration_mm: mmol per liter, at least 0, broadcast against t1_ms.
    """
    check_least("concentration_mm", float(np.min(concentration_mm)), 0)
    rate_per_ms = 1 / np.asarray(t1_ms) + GADOLINIUM_PER_MM_S / 1000 * np.asarray(concentration_mm)
    return 1 / rate_per_ms


def rician(signal: NDArray, sigma: float, rng: np.random.Generator) -> NDArray:
    """Magnitude of a signal with Gaussian noise in both channels.

    Where there is no signal the mean is ``sigma * sqrt(pi / 2)``.

    Args:
        signal: any shape, at least 0.
        sigma: standard deviation in each channel, in the unit of signal.
        rng: draws the noise.

    Source: Gudbjartsson & Patz, Magn. Reson. Med. 34:910, 1995.
    """
    check_least("sigma", sigma, 0)
    real, imaginary = rng.standard_normal((2, *signal.shape), dtype=np.float32) * np.float32(sigma)
    return np.hypot(signal + real, imaginary)


def _check_times(t1_ms: ArrayLike, t2_ms: ArrayLike, tr_ms: float, te_ms: float) -> None:
    for name, times in (("t1_ms", t1_ms), ("t2_ms", t2_ms)):
        if not np.all(np.asarray(times) > 0):  # also refuses NaN
            raise ValueError(
                f"{name} must be positive, got a minimum of {np.min(times)}; mask background first"
            )
    check_positive("tr_ms", tr_ms)
    check_least("te_ms", te_ms, 0)
    if not te_ms < tr_ms:
        raise ValueError(f"te_ms must be below tr_ms, got {te_ms:g} and {tr_ms:g}")

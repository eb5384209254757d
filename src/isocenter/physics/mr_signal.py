"""Signal of common MR sequences from relaxation times, proton density and diffusion.

Steady-state equations of ideal sequences: perfect pulses, no flow, no stimulated echoes, no
magnetization transfer. What tissues are made of stands in :mod:`isocenter.physics.mr_tissues`, what
a scanner adds to a signal in :mod:`isocenter.physics.mr_imaging`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocenter.core.checks import check_least, check_positive

# Longitudinal relaxivity of gadobutrol in blood plasma at 1.5 T and 37 C.
# Rohrer et al., Invest. Radiol. 40:715, 2005.
GADOLINIUM_PER_MM_S = 5.2


def spin_echo(
    proton_density: ArrayLike, t1_ms: ArrayLike, t2_ms: ArrayLike, *, tr_ms: float, te_ms: float
) -> NDArray:
    """Signal of a spin echo.

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


def fast_spin_echo(
    proton_density: ArrayLike,
    t1_ms: ArrayLike,
    t2_ms: ArrayLike,
    *,
    tr_ms: float,
    te_ms: float,
    train_ms: float,
) -> NDArray:
    """Signal of a train of spin echoes (turbo, fast spin echo) at its effective echo time.

    The refocusing pulses keep the magnetization along the field at nothing, so that recovery begins
    at the end of the train. A train of no length is :func:`spin_echo`.

    Args:
        proton_density, t1_ms, t2_ms: broadcast against each other.
        tr_ms: repetition time.
        te_ms: effective echo time: that of the echo at the middle of k-space.
        train_ms: from the excitation to the last echo, below tr_ms.

    Raises:
        ValueError: a time is not positive, or the train does not fit.

    Source: Hennig et al., Magn. Reson. Med. 3:823, 1986.
    """
    _check_train(train_ms, tr_ms)
    return spin_echo(proton_density, t1_ms, t2_ms, tr_ms=tr_ms - train_ms, te_ms=te_ms)


def inversion_recovery(
    proton_density: ArrayLike,
    t1_ms: ArrayLike,
    t2_ms: ArrayLike,
    *,
    tr_ms: float,
    te_ms: float,
    ti_ms: float,
    train_ms: float = 0.0,
) -> NDArray:
    """Magnitude of a spin echo, or of a train of them, after an inversion.

    Zero at ``ti_ms = t1_ms * ln(2 / (1 + exp(-tr_ms / t1_ms)))``: see :func:`null_ti_ms`. With the
    inversion time of CSF it is FLAIR: Hajnal et al., J. Comput. Assist. Tomogr. 16:841, 1992.

    Args:
        proton_density, t1_ms, t2_ms: broadcast against each other.
        tr_ms, te_ms: as of :func:`spin_echo`.
        ti_ms: from the inversion to the excitation, below tr_ms.
        train_ms: length of a train of echoes, as of :func:`fast_spin_echo`.

    Raises:
        ValueError: a time is not positive, or TI or TE is not below TR.
    """
    _check_times(t1_ms, t2_ms, tr_ms, te_ms)
    check_positive("ti_ms", ti_ms)
    if not ti_ms < tr_ms:
        raise ValueError(f"ti_ms must be below tr_ms, got {ti_ms:g} and {tr_ms:g}")
    t1 = np.asarray(t1_ms)
    _check_train(train_ms, tr_ms - ti_ms)
    recovered = 1 - 2 * np.exp(-ti_ms / t1) + np.exp(-(tr_ms - train_ms) / t1)
    signal: NDArray = np.abs(
        np.asarray(proton_density) * recovered * np.exp(-te_ms / np.asarray(t2_ms))
    )
    return signal


def null_ti_ms(t1_ms: float, *, tr_ms: float, train_ms: float = 0.0) -> float:
    """Inversion time at which a tissue gives no signal; ln 2 times T1 where TR is long."""
    check_positive("t1_ms", t1_ms)
    check_positive("tr_ms", tr_ms)
    _check_train(train_ms, tr_ms)
    return t1_ms * math.log(2 / (1 + math.exp(-(tr_ms - train_ms) / t1_ms)))


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
    _check_flip(flip_deg)
    recovery = np.exp(-tr_ms / np.asarray(t1_ms))
    flip = math.radians(flip_deg)
    steady = math.sin(flip) * (1 - recovery) / (1 - recovery * math.cos(flip))
    return np.asarray(proton_density) * steady * np.exp(-te_ms / np.asarray(t2_star_ms))


def prepared_gradient_echo(
    proton_density: ArrayLike,
    t1_ms: ArrayLike,
    t2_star_ms: ArrayLike,
    *,
    tr_ms: float,
    te_ms: float,
    ti_ms: float,
    flip_deg: float,
    num_pulses: int,
    pulse_spacing_ms: float,
) -> NDArray:
    """Magnitude of MPRAGE: a train of small flips after an inversion, at its middle pulse.

    The steady state over repetitions of inversion, delay, train and delay, in closed form.

    Args:
        proton_density, t1_ms, t2_star_ms: broadcast against each other.
        tr_ms: from inversion to inversion.
        te_ms: echo time of each pulse.
        ti_ms: from the inversion to the middle of the train.
        flip_deg: of each pulse, above 0 and up to 90.
        num_pulses: of the train.
        pulse_spacing_ms: between them.

    Raises:
        ValueError: a time is not positive, there is no such angle, or the train does not fit
            between inversions.

    Source: Mugler & Brookeman, Magn. Reson. Med. 15:152, 1990; Deichmann et al., NeuroImage 12:112,
    2000.
    """
    _check_times(t1_ms, t2_star_ms, tr_ms, te_ms)
    _check_flip(flip_deg)
    train_ms = num_pulses * pulse_spacing_ms
    before_ms = ti_ms - train_ms / 2
    after_ms = tr_ms - before_ms - train_ms
    if not (num_pulses >= 1 and before_ms >= 0 and after_ms >= 0):
        raise ValueError(
            f"a train of {train_ms:g} ms around ti_ms {ti_ms:g} does not fit tr_ms {tr_ms:g}"
        )
    t1 = np.asarray(t1_ms)
    flip = math.radians(flip_deg)
    kept = math.cos(flip) * np.exp(-pulse_spacing_ms / t1)  # of a deviation from steady, a pulse
    steady = (1 - np.exp(-pulse_spacing_ms / t1)) / (1 - kept)
    decay_before, decay_after = np.exp(-before_ms / t1), np.exp(-after_ms / t1)
    through = kept**num_pulses
    # Magnetization at the end of a repetition, which is the same at the end of the next.
    end = 1 - decay_after + decay_after * (steady * (1 - through) + through * (1 - decay_before))
    end = end / (1 + through * decay_before * decay_after)
    start = 1 - (1 + end) * decay_before
    middle = steady + (start - steady) * kept ** (num_pulses // 2)
    signal: NDArray = np.abs(np.asarray(proton_density) * middle) * math.sin(flip)
    return signal * np.exp(-te_ms / np.asarray(t2_star_ms))


def diffusion_weighted(signal: ArrayLike, adc_um2_s: ArrayLike, *, b_s_per_mm2: float) -> NDArray:
    """A signal after the gradients of diffusion weighting; the mean over directions.

    Args:
        signal: without them, at the same echo time.
        adc_um2_s: apparent diffusion coefficient, at least 0, broadcast against it.
        b_s_per_mm2: weighting, at least 0.

    Source: Stejskal & Tanner, J. Chem. Phys. 42:288, 1965; Le Bihan et al., Radiology 161:401,
    1986.
    """
    check_least("b_s_per_mm2", b_s_per_mm2, 0)
    check_least("adc_um2_s", float(np.min(adc_um2_s)), 0)
    weighted: NDArray = np.asarray(signal) * np.exp(-b_s_per_mm2 * 1e-6 * np.asarray(adc_um2_s))
    return weighted


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


def _check_flip(flip_deg: float) -> None:
    if not 0 < flip_deg <= 90:
        raise ValueError(f"flip_deg is above 0 and up to 90, got {flip_deg:g}")


def _check_train(train_ms: float, room_ms: float) -> None:
    check_least("train_ms", train_ms, 0)
    if not train_ms < room_ms:
        raise ValueError(f"a train of {train_ms:g} ms does not fit into {room_ms:g} ms")

"""What echo planar imaging does to a picture: places moved by the field, edges blurred by decay.

All lines of a slice are read after one pulse, so the bandwidth along the phase-encoding axis is a
few hertz to tens of hertz a pixel: a small error of the magnetic field, as beside air, moves signal
by pixels, and the signal fades while it is read. Ghosts of odd and even lines are left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocenter.core.checks import check_least, check_positive


def displaced(
    image: NDArray, off_resonance_hz: NDArray, *, bandwidth_hz_per_pixel: float, axis: int
) -> NDArray:
    """An image whose signal lies where the field puts it along the phase-encoding axis.

    Each pixel moves by its off-resonance over the bandwidth and is shared by the two pixels that it
    falls between, so signal piles up and thins out, and its sum stays. What leaves at one end comes
    in at the other, as it does on scanners.

    Args:
        image: any shape.
        off_resonance_hz: same shape; above 0 moves towards higher indices.
        bandwidth_hz_per_pixel: along the axis: 1 / (echo spacing * number of lines), with parallel
            imaging times its factor.
        axis: of phase encoding.

    Raises:
        ValueError: the shapes differ, a value is not finite, or the bandwidth is not positive.

    Source: Jezzard & Balaban, Magn. Reson. Med. 34:65, 1995.
    """
    check_positive("bandwidth_hz_per_pixel", bandwidth_hz_per_pixel)
    if image.shape != off_resonance_hz.shape or not np.all(np.isfinite(off_resonance_hz)):
        raise ValueError(
            f"off_resonance_hz is finite and of the image's shape {image.shape}, got "
            f"{off_resonance_hz.shape}"
        )
    lines = np.moveaxis(np.asarray(image, np.float64), axis, -1)
    shift = np.moveaxis(off_resonance_hz, axis, -1) / bandwidth_hz_per_pixel
    count = lines.shape[-1]
    flat, places = lines.reshape(-1, count), (np.arange(count) + shift).reshape(-1, count)
    lower = np.floor(places)
    share = places - lower
    start = np.arange(len(flat))[:, None] * count
    result = np.zeros(flat.size)
    for step, weight in ((0, 1 - share), (1, share)):
        index = start + (lower.astype(int) + step) % count
        result += np.bincount(index.ravel(), (flat * weight).ravel(), minlength=flat.size)
    moved: NDArray = np.moveaxis(result.reshape(lines.shape), -1, axis)
    return moved


def blurred_by_decay(image: NDArray, *, t2_star_ms: float, readout_ms: float, axis: int) -> NDArray:
    """An image blurred along the phase-encoding axis by the decay of signal while it is read.

    The lines are read from one end of k-space to the other; that in the middle, at the echo time,
    has the weight 1, so an even image stays as it is. One T2* is taken for the whole image.

    Args:
        image: any shape, at least 0.
        t2_star_ms: of the tissue.
        readout_ms: from the first line to the last, divided by the factor of parallel imaging.
        axis: of phase encoding.

    Returns:
        Magnitude of the same shape.

    Raises:
        ValueError: T2* is not positive or the readout negative.

    Source: Farzaneh, Riederer & Pelc, Magn. Reson. Med. 14:123, 1990.
    """
    check_positive("t2_star_ms", t2_star_ms)
    check_least("readout_ms", readout_ms, 0)
    count = image.shape[axis]
    time_ms = np.fft.fftfreq(count) * readout_ms  # from minus to plus half the readout
    shape = [1] * image.ndim
    shape[axis] = count
    weight = np.exp(-time_ms / t2_star_ms).reshape(shape)
    spectrum = np.fft.fft(np.asarray(image, np.float64), axis=axis) * weight
    magnitude: NDArray = np.abs(np.fft.ifft(spectrum, axis=axis))
    return magnitude

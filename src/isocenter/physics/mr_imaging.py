"""What a scanner makes of a signal: coils, noise, thick slices, motion, distortion and blurring.

Images are (..., row, column) unless said otherwise; phase encoding runs along the rows, as is usual
in transverse images of the head acquired by echo-planar imaging.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from isocenter.core.checks import check_least, check_positive

# Volume susceptibility of soft tissue less that of air, in parts per million.
# Schenck, Med. Phys. 23:815, 1996.
TISSUE_LESS_AIR_PPM = -9.4
PROTON_MHZ_PER_TESLA = 42.577


def coil_gain(field: NDArray, *, strength: float) -> NDArray:
    """Smooth factor on the signal that receive coils leave, of geometric mean 1.

    Args:
        field: any shape, smooth, of mean 0 and deviation 1.
        strength: standard deviation of its logarithm; 0.03 to 0.2 in corrected clinical images.
    """
    check_least("strength", strength, 0)
    gain: NDArray = np.exp(strength * field)
    return gain


def thick_slices(thin: NDArray, num_layers: int) -> NDArray:
    """Slices as thick as several thin ones: the mean over each, so that no signal is lost.

    Args:
        thin: (slice, ...); a rest that makes no whole slice at the end is left out.
        num_layers: thin slices in each thick one.
    """
    check_least("num_layers", num_layers, 1)
    count = len(thin) // num_layers
    grouped = thin[: count * num_layers].reshape(count, num_layers, *thin.shape[1:])
    mean: NDArray = grouped.mean(1, dtype=np.float32)
    return mean


def moved_during_scan(image: NDArray, shifts_mm: NDArray, *, spacing_mm: float) -> NDArray:
    """Magnitude of an image whose object moved between lines of k-space.

    Lines are acquired in their order, in as many even runs as there are shifts. One shift for all
    lines only moves the image; different ones smear it and make ghosts along the rows.

    Args:
        image: (row, column), at least 0.
        shifts_mm: (run, 2), along rows and columns.
        spacing_mm: of square pixels.

    Source: Wood & Henkelman, Med. Phys. 12:143, 1985.
    """
    check_positive("spacing_mm", spacing_mm)
    rows, columns = image.shape
    run = np.arange(rows) * len(shifts_mm) // rows  # of each line, in the order of acquisition
    down, across = (np.asarray(shifts_mm) / spacing_mm)[run].T
    order = np.fft.fftshift(np.arange(rows))  # from the lowest frequency to the highest
    phase = np.empty((rows, columns), np.complex64)
    phase[order] = np.exp(
        -2j
        * np.pi
        * (
            np.fft.fftfreq(rows)[order][:, None] * down[:, None]
            + np.fft.fftfreq(columns)[None] * across[:, None]
        )
    )
    moved: NDArray = np.abs(np.fft.ifft2(np.fft.fft2(image) * phase)).astype(image.dtype)
    return moved


def susceptibility_field_ppm(is_air: NDArray, *, spacing_mm: float) -> NDArray[np.float32]:
    """How far air in and around a head bends the field, main field along the slices.

    The convolution with the field of a dipole, by Fourier transform; the object repeats beyond the
    edges, so leave some air around it.

    Args:
        is_air: (slice, row, column) bool; the rest is soft tissue.
        spacing_mm: of cubic voxels; only ratios of frequencies count, so it must be the same along
            all axes.

    Returns:
        Field in parts per million of the main field.

    Source: Marques & Bowtell, Concepts Magn. Reson. B 25:65, 2005.
    """
    check_positive("spacing_mm", spacing_mm)
    z, y = (np.fft.fftfreq(n) for n in is_air.shape[:2])
    x = np.fft.rfftfreq(is_air.shape[2])
    squared = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None] ** 2
    squared[0, 0, 0] = 1.0
    kernel = 1 / 3 - z[:, None, None] ** 2 / squared
    kernel[0, 0, 0] = 0.0
    source = np.where(is_air, 0.0, TISSUE_LESS_AIR_PPM)
    field = np.fft.irfftn(np.fft.rfftn(source) * kernel, is_air.shape, axes=(0, 1, 2))
    return field.astype(np.float32)


def shimmed(field: NDArray, where: NDArray) -> NDArray[np.float32]:
    """A field less the constant and the slopes that fit it best in a region.

    Args:
        field: (slice, row, column).
        where: same shape, bool; not empty.
    """
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in field.shape), indexing="ij", sparse=True)
    inside = [np.ones(np.count_nonzero(where))]
    inside += [np.broadcast_to(axis, field.shape)[where] for axis in axes]
    fit, *_ = np.linalg.lstsq(np.stack(inside, 1), field[where], rcond=None)
    plane = fit[0] + sum(part * axis for part, axis in zip(fit[1:], axes, strict=True))
    return (field - plane).astype(np.float32)


def echo_planar_shift(field_ppm: NDArray, *, field_tesla: float, readout_ms: float) -> NDArray:
    """Rows by which echo-planar imaging misplaces what lies in a bent field.

    Args:
        field_ppm: off the main field.
        field_tesla: main field.
        readout_ms: over all lines of k-space, divided by the factor of parallel imaging: the
            inverse of the bandwidth of a pixel along the phase encoding.

    Source: Jezzard & Balaban, Magn. Reson. Med. 34:65, 1995.
    """
    check_positive("readout_ms", readout_ms)
    return field_ppm * (PROTON_MHZ_PER_TESLA * field_tesla * readout_ms * 1e-3)


def distorted(image: NDArray, shift_rows: NDArray) -> NDArray:
    """An image whose pixels are moved along the rows, with all their signal.

    Where neighbors come closer the image is brighter; where places meet, signal piles up. What is
    moved out of the image is lost. :func:`undistorted` takes it back where nothing met.

    Args:
        image: (row, column).
        shift_rows: (row, column), in rows, positive towards higher ones.
    """
    rows = image.shape[0]
    edges = np.arange(rows + 1.0)
    total = _running_total(image)
    goes_to = _moved_edges(shift_rows)
    result = np.empty_like(image)
    for column in range(image.shape[1]):
        result[:, column] = np.diff(np.interp(edges, goes_to[:, column], total[:, column]))
    return result


def undistorted(image: NDArray, shift_rows: NDArray) -> NDArray:
    """What :func:`distorted` made an image of, as far as nothing met or left."""
    edges = np.arange(image.shape[0] + 1.0)
    total = _running_total(image)
    goes_to = _moved_edges(shift_rows)
    result = np.empty_like(image)
    for column in range(image.shape[1]):
        result[:, column] = np.diff(np.interp(goes_to[:, column], edges, total[:, column]))
    return result


def _running_total(image: NDArray) -> NDArray:
    """(row + 1, column) signal above each edge between rows."""
    return np.concatenate([np.zeros((1, image.shape[1])), np.cumsum(image, 0, dtype=np.float64)])


def _moved_edges(shift_rows: NDArray) -> NDArray:
    """(row + 1, column) where the edges between rows go; none overtakes another."""
    padded = np.pad(shift_rows.astype(np.float64), ((1, 1), (0, 0)), mode="edge")
    between = (padded[1:] + padded[:-1]) / 2
    moved: NDArray = np.maximum.accumulate(np.arange(len(between))[:, None] + between, axis=0)
    return moved + np.arange(len(between))[:, None] * 1e-9


def echo_planar_blur(
    image: NDArray, *, matrix: int, decay: float = 0.0, apodized: float = 0.25
) -> NDArray:
    """Magnitude of an image of which only the middle of k-space was acquired.

    Args:
        image: (row, column), at least 0.
        matrix: lines that were acquired, of both directions; no more than there are.
        decay: length of the readout over T2*; the signal fades along the lines of k-space, from the
            lowest frequency to the highest, which blurs along the rows. The middle keeps its value.
        apodized: share of the acquired frequencies at each end that fade out, against ringing.
    """
    check_least("matrix", matrix, 1)
    weights = []
    for number, size in enumerate(image.shape):
        frequency = np.fft.fftfreq(size) * size
        place = np.abs(frequency) / (min(matrix, size) / 2)
        fade = np.clip((1 - place) / max(apodized, 1e-6), 0, 1)
        window = np.where(place <= 1, 0.5 - 0.5 * np.cos(math.pi * fade), 0.0)
        if number == 0:
            window = window * np.exp(-decay * frequency / matrix)
        weights.append(window)
    blurred = np.fft.ifft2(np.fft.fft2(image) * weights[0][:, None] * weights[1][None])
    return np.abs(blurred).astype(image.dtype)

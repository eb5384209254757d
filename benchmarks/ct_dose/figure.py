"""Real and simulated noise side by side, with their spectra."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from benchmarks.ct_dose.result import Result


def draw(results: list[Result], path: Path) -> None:
    """One column a slice: real noise, simulated noise, radial spectrum, power by direction."""
    figure, axes = pyplot.subplots(
        4, len(results), figsize=(3.4 * len(results), 13), squeeze=False, layout="constrained"
    )
    for column, result in zip(axes.T, results, strict=True):
        _draw_noise(column[:2], result)
        _draw_spectra(column[2:], result)
    axes[0, 0].set_ylabel("real: quarter - full dose")
    axes[1, 0].set_ylabel("simulated")
    axes[2, 0].set_ylabel("noise power, HU² mm²")
    axes[3, 0].set_ylabel("power by direction, relative")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _draw_noise(axes: np.ndarray, result: Result) -> None:
    limit = 3 * result.pair.noise_hu[result.mask].std()
    for axis, noise in zip(axes, (result.pair.noise_hu, result.simulated_hu[0]), strict=True):
        axis.imshow(noise, cmap="gray", vmin=-limit, vmax=limit)
        axis.set(xticks=[], yticks=[])
    axes[0].set_title(f"{result.pair.name}, {result.pair.exposure_mas:.0f} mAs")


def _draw_spectra(axes: np.ndarray, result: Result) -> None:
    for spectrum, style, name in (
        (result.real, "-", "real"),
        (result.simulated, "--", "simulated"),
    ):
        axes[0].plot(*spectrum.radial(), style, label=name)
        axes[1].plot(*spectrum.by_direction(), style, label=name)
    axes[0].set(xlabel="cycles per mm", ylim=(0, None))
    axes[1].set(xlabel="direction, degrees (90: up and down)", ylim=(0, None))
    axes[0].legend()

"""The README's picture, of the phantom: ``python -m benchmarks.ct_enhance.phantom_picture``.

Pictures of patients stay outside the repository.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from isocenter.modelpack.ct_enhance.model import CtEnhancer
from isocenter.physics.ct_phantom import low_dose_phantom

PLACE = Path(__file__).parents[2] / "docs" / "images" / "ct_enhance.png"
SOFT_TISSUE_HU = (-160.0, 240.0)
CLOSE = (slice(180, 330), slice(90, 240))


def main() -> None:
    """Enhance the middle slice of a phantom at a quarter of the dose and draw it."""
    low, full = low_dose_phantom(num_slices=3)
    spacing = low.geometry.spacing_mm[1:]
    model = CtEnhancer.from_pretrained()
    estimate = model.estimate(low.array, spacing_mm=spacing)
    sample = model.sample(low.array, estimate, spacing_mm=spacing, steps=4, seed=0)
    PLACE.parent.mkdir(exist_ok=True)
    draw(
        {
            "a quarter of the dose": low.array[1],
            "strength 0: the mean": estimate.mean_hu,
            "strength 1: a sample": sample,
            "full dose": full.array[1],
        },
        (estimate.upper_hu - estimate.lower_hu) / 2,
    )


def draw(images: dict[str, NDArray], half_width_hu: NDArray) -> None:
    """Images in the soft-tissue window and the uncertainty, whole and enlarged."""
    figure = Figure(figsize=(3 * (len(images) + 1), 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(images) + 1, height_ratios=(0.75, 1))
    low, high = SOFT_TISSUE_HU
    for column, (name, image) in enumerate(images.items()):
        axes[0, column].imshow(image[100:440], cmap="gray", vmin=low, vmax=high)
        axes[1, column].imshow(image[CLOSE], cmap="gray", vmin=low, vmax=high)
        axes[0, column].set_title(name, fontsize=11)
    for row, part in enumerate((half_width_hu[100:440], half_width_hu[CLOSE])):
        shown = axes[row, -1].imshow(part, cmap="viridis", vmin=0, vmax=60)
    axes[0, -1].set_title("± 90 % interval", fontsize=11)
    figure.colorbar(shown, ax=axes[:, -1], label="HU", shrink=0.7)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.savefig(PLACE, dpi=75)


if __name__ == "__main__":
    main()

"""The table that README and card show, and the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmarks.ct_enhance.ours import KNOWN, KNOWN_SAMPLE, LEAST

HU = "HU range"
TISSUES = ("fat", "muscle", "liver", "blood", "lung")
NOT_DRAWN = ("Gaussian blur", "NL-means", "TV", "strength 0.5", KNOWN, KNOWN_SAMPLE, LEAST)
WINDOW = (-160.0, 240.0)
HEAD = (
    "| method | PSNR dB | SSIM | RMSE HU | abdomen SSIM | NPS mean frequency, ratio | Fréchet "
    "| largest HU bias | s a slice |\n|---|---|---|---|---|---|---|---|---|\n"
)


def markdown(figures: dict[str, Any]) -> str:
    """One table a dose, the coverage of the intervals below."""
    parts = []
    for dose, methods in figures["doses"].items():
        first = next(iter(methods.values()))
        parts.append(
            f"**{dose}** ({first['patients']} patients, {first['slices']} slices; mean over "
            "patients, inside the body)\n\n"
            + HEAD
            + "".join(_row(name, row) for name, row in methods.items())
            + _coverage(methods)
        )
    return "\n".join(parts)


def _row(name: str, row: dict[str, Any]) -> str:
    hu, abdomen = row[HU], row["abdomen window 400/40"]
    bias = {
        tissue: row["hu_bias"][tissue]["mean"] for tissue in TISSUES if tissue in row["hu_bias"]
    }
    worst = max(bias, key=lambda tissue: abs(bias[tissue]), default=None)
    cells = [
        name,
        f"{hu['psnr_db']:.2f}",
        f"{hu['ssim']:.4f}",
        f"{hu['rmse_hu']:.1f}",
        f"{abdomen['ssim']:.4f}",
        f"{row['nps_mean_frequency_ratio']:.2f}",
        f"{row['frechet']['distance']:.2f}",
        "" if worst is None else f"{bias[worst]:+.1f} ({worst})",
        f"{row['seconds']:.2f}" if row["seconds"] else "",
    ]
    return "| " + " | ".join(cells) + " |\n"


def _coverage(methods: dict[str, Any]) -> str:
    lines = [
        f"{name} {100 * one['fraction']:.1f} %"
        for row in methods.values()
        for name, one in row.get("coverage", {}).items()
    ]
    return "\n90 % intervals cover: " + ", ".join(lines) + ".\n" if lines else ""


def draw(examples: dict[str, dict[str, NDArray]], path: Path) -> None:
    """One row a dose: the body in the soft-tissue window, and its middle enlarged below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [name for name in next(iter(examples.values())) if name not in NOT_DRAWN]
    figure = Figure(figsize=(3.2 * len(shown), 6.6 * len(examples)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2 * len(examples), len(shown), squeeze=False)
    for number, (dose, images) in enumerate(examples.items()):
        for column, name in enumerate(shown):
            image = images[name]
            whole, close = axes[2 * number, column], axes[2 * number + 1, column]
            low, high = WINDOW
            whole.imshow(image, cmap="gray", vmin=low, vmax=high)
            rows, columns = image.shape
            middle = image[rows * 3 // 8 : rows * 5 // 8, columns // 4 : columns // 2]
            close.imshow(middle, cmap="gray", vmin=low, vmax=high)
            whole.set_title(name if number else f"{name}", fontsize=11)
            for axis in (whole, close):
                axis.set_xticks([])
                axis.set_yticks([])
        axes[2 * number, 0].set_ylabel(dose, fontsize=12)
    figure.savefig(path, dpi=80)

"""Run the whole comparison: ``python -m benchmarks.ct_enhance --data FOLDER --output FOLDER``.

The patients are those of the recipe's test split, whom no weight and no calibration has seen, and
the pairs that were measured at two doses. Writes ``figures.json``, ``table.md`` and
``picture.png``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.ct_enhance.baselines import BASELINES, Filtered, seconds_of
from benchmarks.ct_enhance.cases import SEED, Slice, console, filter_all, gather
from benchmarks.ct_enhance.judge import Truth, Verdict, judge, pooled
from benchmarks.ct_enhance.ours import MEAN, STEPS, our_images
from benchmarks.ct_enhance.plain import WEIGHTS as PLAIN_WEIGHTS
from benchmarks.ct_enhance.plain import PlainRegressor, plain_if_there
from benchmarks.ct_enhance.report import draw, markdown
from isocenter.modelpack.ct_enhance.model import CtEnhancer

FULL, LOW = "full dose", "low dose"
Example = dict[str, NDArray]


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ct/")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", type=Path, help="model folder; the shipped one by default")
    parser.add_argument(
        "--plain",
        type=Path,
        default=PLAIN_WEIGHTS,
        metavar="FILE",
        help="weights of the plain regressor; left out where they are not there",
    )
    parser.add_argument("--judged", type=int, default=1, help="slices of each scan")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="for the baselines")
    parser.add_argument("--threads", type=int, default=2, help="for our networks")
    arguments = parser.parse_args()
    plain = plain_if_there(arguments.plain)
    cache = arguments.output / "cache"
    cases = gather(arguments.data, cache, num_judged=arguments.judged, workers=arguments.workers)
    slices = [(case, index, window) for case in cases for index, window in case.windows(1)]
    filtered = filter_all(slices, cache, workers=arguments.workers)
    torch.set_num_threads(arguments.threads)
    figures, examples = compare(
        slices,
        filtered,
        CtEnhancer.from_pretrained(arguments.model),
        plain,
    )
    figures["threads"] = arguments.threads
    (arguments.output / "figures.json").write_text(json.dumps(figures, indent=1))
    (arguments.output / "table.md").write_text(markdown(figures))
    draw(examples, arguments.output / "picture.png")
    console.print(markdown(figures))


def dose_name(case_slice: Slice) -> str:
    """Heading under which a slice is pooled."""
    case = case_slice[0]
    return "measured quarter dose" if case.real else f"{case.dose_fraction:g} of the dose"


def compare(
    slices: Sequence[Slice],
    filtered: Sequence[dict[str, Filtered]],
    model: CtEnhancer,
    plain: PlainRegressor | None,
) -> tuple[dict[str, Any], dict[str, Example]]:
    """Judge every method on every slice and pool by dose; keep one example a dose.

    Filters are timed on that example, as their images may come from an earlier run.
    """
    speeds: dict[str, dict[str, float]] = {}
    verdicts: dict[str, dict[str, list[Verdict]]] = defaultdict(lambda: defaultdict(list))
    examples: dict[str, Example] = {}
    for one, results in zip(track(slices, "our networks", console=console), filtered, strict=True):
        case, index, window = one
        truth = Truth.of(case.full_hu[index], patient=case.patient, spacing_mm=case.in_plane_mm)
        ours = our_images(
            model,
            plain,
            window,
            spacing_mm=case.in_plane_mm,
            guessed_fraction=case.guessed_fraction(model),
            dose_fraction=case.dose_fraction,
            seed=SEED,
        )
        images = {
            FULL: truth.image_hu,
            LOW: case.low_hu[index],
            **{name: result.image_hu for name, result in results.items()},
            **ours.images,
        }
        dose = dose_name(one)
        if dose not in speeds:
            speeds[dose] = {
                baseline.name: seconds_of(
                    baseline,
                    case.low_hu[index],
                    truth.image_hu,
                    truth.inside,
                    choice=results[baseline.name].parameter,
                )
                for baseline in BASELINES
            }
            examples[dose] = images
        seconds = speeds[dose] | ours.seconds
        for name, image in images.items():
            interval = (ours.lower_hu, ours.upper_hu) if name == MEAN else None
            verdicts[dose][name].append(
                judge(truth, image, seconds=seconds.get(name, 0.0), interval=interval)
            )
    figures = {
        "model": model.name,
        "version": model.version,
        "weights_sha256": model.weights_sha256,
        "steps": STEPS,
        "seed": SEED,
        "torch": torch.__version__,
        "dose_fractions": {dose_name(one): one[0].dose_fraction for one in slices},
        "doses": {
            dose: {name: pooled(found, methods[FULL]) for name, found in methods.items()}
            for dose, methods in verdicts.items()
        },
    }
    return figures, examples


if __name__ == "__main__":
    main()

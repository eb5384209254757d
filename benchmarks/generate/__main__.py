"""Measure a generator: ``python -m benchmarks.generate --data FOLDER --model FOLDER``.

Each part writes one JSON file into the output folder. What was drawn and fitted is kept there, so
a run that stopped goes on, and a part can be run alone. ``benchmarks.generate.publish`` puts the
tables where people read them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.generate.other_autoencoder import read_autoencoder
from benchmarks.generate.parts import PARTS
from benchmarks.generate.study import SEED, Effort, Study
from isocenter.datasets.image_sets.families import FAMILIES, read_families
from isocenter.modelpack.generator.model import ImageGenerator

CACHE = "cache"


def main() -> None:
    """Parse the command line and run."""
    arguments = _parser().parse_args()
    torch.set_num_threads(arguments.threads)
    study = _study(arguments)
    for name in arguments.only:
        began = time.perf_counter()
        say(f"== {name}")
        content = study.write(name, PARTS[name].measure(study))
        say(PARTS[name].markdown(content["figures"]))
        say(f"== {name} took {time.perf_counter() - began:.0f} s")


def say(line: str, /) -> None:
    """On the terminal, at once."""
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    usual = Effort()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds mri, cxr, ct")
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--output", type=Path, default=Path("runs/bench_generate"))
    parser.add_argument(
        "--cache", type=Path, help="where arrays of real images are kept; in the output by default"
    )
    parser.add_argument("--only", type=_names(PARTS), default=list(PARTS), metavar="PART,...")
    parser.add_argument("--families", type=_names(FAMILIES), metavar="NAME,...")
    parser.add_argument(
        "--number", type=int, default=usual.number, help="images drawn of each family"
    )
    parser.add_argument(
        "--variants", type=int, default=usual.variants, help="images of each other setting"
    )
    parser.add_argument("--seeds", type=int, default=usual.seeds, help="fits of classifiers")
    parser.add_argument(
        "--fit", type=float, default=1.0, help="steps of judges, over those of the default"
    )
    parser.add_argument(
        "--autoencoder",
        action="append",
        default=[],
        metavar="NAME=PLACE",
        help="another autoencoder: a model folder, or autoencoder.pt of a training run",
    )
    parser.add_argument("--device", default="cpu", help="of the generator; judges are on the CPU")
    parser.add_argument("--batch", type=int, default=4, help="images drawn together")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=SEED)
    return parser


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    listed = list(known)

    def names(text: str) -> list[str]:
        found = text.split(",")
        if unknown := [name for name in found if name not in listed]:
            raise argparse.ArgumentTypeError(
                f"no {', '.join(unknown)}; there are {', '.join(listed)}"
            )
        return found

    return names


def _study(arguments: argparse.Namespace) -> Study:
    model = ImageGenerator.from_pretrained(arguments.model, device=arguments.device)
    families = [name for name in arguments.families or FAMILIES if name in model.families]
    cache = arguments.cache or arguments.output / CACHE
    others = dict(one.partition("=")[::2] for one in arguments.autoencoder)
    return Study(
        model=model,
        sets=read_families(arguments.data, families, cache=cache, say=say),
        output=arguments.output,
        folder=arguments.model,
        autoencoders={
            name: read_autoencoder(Path(place)).to(model.device) for name, place in others.items()
        },
        effort=_effort(arguments),
        seed=arguments.seed,
        batch_size=arguments.batch,
        say=say,
    )


def _effort(arguments: argparse.Namespace) -> Effort:
    usual = Effort()
    steps = {
        name: max(1, round(arguments.fit * getattr(usual, name)))
        for name in ("feature_steps", "classifier_steps", "box_steps")
    }
    return replace(
        usual,
        number=arguments.number,
        variants=min(arguments.variants, arguments.number),
        seeds=arguments.seeds,
        **steps,
    )


if __name__ == "__main__":
    main()

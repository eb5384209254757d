"""How long an image takes on this machine, by number of steps, and how much memory."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.generate.drawn import seed_of
from benchmarks.generate.study import Study
from benchmarks.generate.tables import number, table
from benchmarks.generate.wishes import like_test_images
from benchmarks.processes import cost_of
from isocenter.modelpack.generator.family import Family

STEPS = (4, 8, 20, 50)
_REPEATS = 3
_ONE_IMAGE = (
    "import sys;"
    "from isocenter.modelpack.generator.model import ImageGenerator;"
    "from isocenter.modelpack.generator.wish import Wish;"
    "model = ImageGenerator.from_pretrained(sys.argv[1], family=sys.argv[2]);"
    "next(iter(model.generate([Wish()], [1])))"
)


def measure(study: Study) -> dict[str, Any]:
    """Seconds an image of each family, one after the other, and peak memory of a whole process."""
    return {
        "device": _device(study),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "guidance": study.model.defaults.guidance,
        "families": {one.name: _of_family(study, one) for one in study.families},
    }


def markdown(figures: Mapping[str, Any]) -> str:
    """A line a family."""
    rows = [
        (
            name,
            f"{one['rows']} x {one['columns']}",
            number(one["decode_seconds"], "{:.2f}"),
            *(number(seconds, "{:.2f}") for seconds in one["seconds"].values()),
            number(one["peak_memory_gb"], "{:.2f}"),
        )
        for name, one in figures["families"].items()
    ]
    heads = (f"{steps} steps" for steps in next(iter(figures["families"].values()))["seconds"])
    return (
        f"Seconds an image, one after the other, guidance {figures['guidance']:g}, on "
        f"{figures['device']}, {figures['threads']} threads; peak memory of a process that loads "
        "the model and draws one image:\n\n"
        + table(("family", "size", "decoding alone", *heads, "peak memory, GB"), rows)
    )


def _device(study: Study) -> str:
    if study.model.device.type == "cuda":
        return torch.cuda.get_device_name(study.model.device)
    return f"a processor ({platform.machine()})"


def _of_family(study: Study, family: Family) -> dict[str, Any]:
    generator = study.model.of(family.name)
    wish = like_test_images(study, family.name, 1)
    seeds = [seed_of(study, 0)]
    seconds = {}
    for steps in STEPS:
        study.say(f"speed of {family.name}, {steps} steps")
        seconds[str(steps)] = _median_seconds(
            lambda steps=steps: list(generator.generate(wish, seeds, steps=steps))  # type: ignore[misc]
        )
    return {
        "rows": family.rows,
        "columns": family.columns,
        "seconds": seconds,
        "decode_seconds": _median_seconds(lambda: generator.sample_prior(seeds[0])),
        "peak_memory_gb": None
        if study.folder is None
        else peak_memory_gb(study.folder, family.name),
    }


def peak_memory_gb(folder: Path, family: str) -> float:
    """Of a process of its own that loads the model and draws one image."""
    command = ["-c", _ONE_IMAGE, str(folder), family]
    return cost_of(command, threads=torch.get_num_threads()).peak_memory_gb


def _median_seconds(act: Callable[[], object]) -> float:
    """Of three runs; the one before, which may still set things up, does not count."""
    act()
    found = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        act()
        found.append(time.perf_counter() - began)
    return sorted(found)[len(found) // 2]

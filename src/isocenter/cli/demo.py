"""``isocenter demo``: a phantom scan, enhanced and compared with the known truth."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from isocenter.cli.answer import Answer, answer_of_run
from isocenter.cli.options import DeviceOption, ModelOption, OutputOption
from isocenter.cli.output import print_result, print_table, progress_bar, say, tell
from isocenter.core.errors import OutputRefused
from isocenter.core.files import writing_to

if TYPE_CHECKING:
    from isocenter.evaluation.compare import Comparison
    from isocenter.tasks.run import RunResult


def demo(
    output: OutputOption = Path("isocenter-demo"),
    slices: Annotated[int, typer.Option("--slices", min=3, help="Length of the phantom scan.")] = 5,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same phantom and pixels.")] = 0,
    model: ModelOption = None,
    device: DeviceOption = "cpu",
) -> Answer:
    """Make a low-dose phantom scan, enhance it and compare it with the known truth."""
    _refuse_taken(output)
    from isocenter.dicom.writing.phantom_scan import write_phantom_scan
    from isocenter.evaluation.compare import evaluate as compare
    from isocenter.modelpack.folder import load_folder
    from isocenter.physics.ct_phantom import low_dose_phantom
    from isocenter.tasks.ct_enhance.enhance import enhance as enhance_scan
    from isocenter.tasks.ct_enhance.task import TASK

    enhancer = load_folder(model, kind="CtEnhancer", device=device)
    tell("Making a phantom scan at full and at low dose")
    low_dose, full_dose = low_dose_phantom(seed=seed, num_slices=slices)
    scan = output / "low-dose"
    with writing_to(output):
        scan.mkdir(parents=True)
        write_phantom_scan(low_dose, scan)
    with progress_bar("Enhancing") as progress:
        result = enhance_scan(
            scan, output / "result", seed=seed, model=enhancer, device=device, progress=progress
        )
    tell("Comparing with the full dose, which only a simulation knows")
    before = compare(full_dose, low_dose)
    after = compare(full_dose, result.series_folder)
    scan = scan.absolute()
    show = partial(_print, scan, before, after, result)
    answer = answer_of_run(result, TASK.outputs, show)
    compared = {"low_dose": before.as_dict(), "enhanced": after.as_dict()}
    return replace(
        answer, result={**answer.result, "low_dose_scan": scan, "against_full_dose": compared}
    )


def _print(scan: Path, before: Comparison, after: Comparison, result: RunResult) -> None:
    from isocenter.tasks.ct_enhance.task import TASK

    _print_before_and_after(before, after)
    say("Low-dose scan", scan)
    print_result(result, TASK.outputs)


def _refuse_taken(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputRefused(
            f"{folder} exists already; name a new folder with --output", reason="output_taken"
        )


def _print_before_and_after(before: Comparison, after: Comparison) -> None:
    from isocenter.evaluation.tables import detail_in_words

    table = Table("Against the full dose", "Low dose", "Enhanced", "Full dose")
    for earlier, later in zip(before.fidelity, after.fidelity, strict=True):
        name = earlier.protocol.name
        table.add_row(f"PSNR, {name}", f"{earlier.psnr_db:.1f} dB", f"{later.psnr_db:.1f} dB")
        table.add_row(f"SSIM, {name}", f"{earlier.ssim:.3f}", f"{later.ssim:.3f}")
    kept = [detail_in_words(each) or "too little to tell" for each in (before, after)]
    table.add_row("Faint detail kept", *kept)
    if before.noise and after.noise:
        spectra = (before.noise.test, after.noise.test, after.noise.reference)
        noise = [spectrum.noise_hu for spectrum in spectra]
        table.add_row("Noise, mean of even regions", *(f"{level:.1f} HU" for level in noise))
    print_table(table)

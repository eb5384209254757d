"""A generator that a ControlNet steers, by a mask or by another image."""

from __future__ import annotations

from pathlib import Path

from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.core.files import named_path
from isocenter.tasks.generate.generator import Generator
from isocenter.tasks.generate.masks import read_mask
from isocenter.tasks.generate.references import read_reference

Given = str | Path | NDArray | None


def steered(
    generator: Generator, control: str | Path, mask: Given, reference: Given
) -> tuple[Generator, Given, Given]:
    """The generator steered by the mask or the reference, and what is left to be wished.

    Args:
        generator: with its family chosen.
        control: folder of a ControlNet that was fitted beside it.
        mask, reference: files or arrays; the one that the control is told is used up.

    Raises:
        ModelRefused: the control belongs to another generator, or the generator takes none.
        InputRefused: there is no image for it, or one that does not fit.
    """
    from isocenter.modelpack.control.model import IMAGE, ImageControl
    from isocenter.modelpack.generator.model import ImageGenerator

    if not isinstance(generator, ImageGenerator):
        raise ModelRefused(
            f"{generator.name} takes no control; name a generator as `isocenter train generators` "
            "makes it"
        )
    loaded = ImageControl.from_pretrained(named_path(control))
    is_told_image = loaded.told == IMAGE
    given = reference if is_told_image else mask
    if given is None:
        raise InputRefused(
            f"{loaded.name} is steered by {'another image' if is_told_image else 'a mask'}; give "
            f"it by {'reference' if is_told_image else 'mask'}"
        )
    loaded.check_base(generator)
    if is_told_image:
        image = read_reference(given, generator.family)
        return generator.with_control(loaded, image), mask, None
    return generator.with_control(loaded, read_mask(given)), None, reference

"""Another image as a condition."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.modelpack.generator.tiny import CHESTS, HEADS, tiny_generator

from isocenter.core.errors import InputRefused
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.model import ImageGenerator
from isocenter.modelpack.generator.wish import Wish

REFERRED = replace(HEADS, reference="T1 of the same slice")
IMAGE = np.tile(np.linspace(0, 255, 32, dtype=np.float32), (32, 1))


def referred_generator() -> ImageGenerator:
    generator = tiny_generator()
    generator.families["heads"] = REFERRED
    return generator.of("heads")


def test_another_image_changes_what_is_drawn() -> None:
    generator = referred_generator()
    drawn = [
        next(generator.generate([Wish(reference=image)], [1], steps=2)).values
        for image in (None, IMAGE, IMAGE.T, IMAGE)
    ]
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[1], drawn[2])
    assert np.array_equal(drawn[1], drawn[3])
    told = generator.conditions([Wish(reference=IMAGE), Wish()])
    assert told.guided.tolist() == [True, False]


def test_a_wish_names_its_reference_by_its_digest() -> None:
    wish = Wish(reference=IMAGE)
    said = json.loads(json.dumps(wish.described()))
    assert set(said) == {"reference_sha256"}
    assert Wish.from_json(said, reference=IMAGE.copy()) == wish
    assert wish != Wish(reference=IMAGE.T)
    for other in (None, IMAGE.T):
        with pytest.raises(InputRefused, match="not the one that the wish names"):
            Wish.from_json(said, reference=other)
    assert wish.reference is not None
    assert not wish.reference.flags.writeable


def test_a_reference_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputRefused, match="heads takes no reference image"):
        HEADS.check(Wish(reference=IMAGE))
    for image, said in ((IMAGE[:16], "takes 32 x 32"), (IMAGE + 9, "takes 0 to 255")):
        with pytest.raises(InputRefused, match=said):
            REFERRED.check(Wish(reference=image))
    for wrong in (np.zeros((2, 3, 4)), np.full((4, 4), np.nan)):
        with pytest.raises(InputRefused, match="reference"):
            Wish(reference=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not by both"):
        replace(CHESTS, reference="another")


def test_families_of_before_know_no_reference() -> None:
    said = HEADS.described()
    assert "reference" not in said
    assert Family.from_json(said) == HEADS
    assert Family.from_json(json.loads(json.dumps(REFERRED.described()))) == REFERRED

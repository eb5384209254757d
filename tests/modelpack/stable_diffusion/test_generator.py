"""Drawing, editing and mixing with tiny models of each kind, judged by diffusers itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, ModelRefused, SettingRefused
from isocenter.modelpack.generator.wish import Wish
from isocenter.modelpack.stable_diffusion.generator import StableDiffusionGenerator
from isocenter.modelpack.stable_diffusion.gray import GrayScale
from isocenter.modelpack.stable_diffusion.sampling import encode

Tiny = Callable[[str], Path]
KINDS = ("sd1", "sd2", "xl")
LUNG = Wish(text="a lung")
STEPS = 4


@pytest.fixture(scope="module")
def generators(tiny: Tiny) -> dict[str, StableDiffusionGenerator]:
    return {kind: StableDiffusionGenerator.load(tiny(kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def sd2(generators: dict[str, StableDiffusionGenerator]) -> StableDiffusionGenerator:
    return generators["sd2"]


def scan(rows: int = 32, columns: int = 32, seed: int = 0) -> NDArray:
    levels = np.random.default_rng(seed).integers(0, 256, (rows, columns))
    return levels.astype(np.float32)


def drawn_by_diffusers(model: StableDiffusionGenerator, **given: Any) -> NDArray:
    """Values of what the pipeline of diffusers makes of the same parts."""
    import diffusers

    parts = model.parts
    names = ("text_encoder", "tokenizer") + (("text_encoder_2", "tokenizer_2") * parts.is_xl)
    order = (parts.text_encoders[0], parts.tokenizers[0], *parts.text_encoders[1:])
    given_parts = dict(zip(names, (*order, *parts.tokenizers[1:]), strict=True))
    kind = "StableDiffusionXL" if parts.is_xl else "StableDiffusion"
    kind += "Img2ImgPipeline" if "image" in given else "Pipeline"
    plain = {} if parts.is_xl else {"safety_checker": None, "requires_safety_checker": False}
    pipeline = getattr(diffusers, kind)(
        unet=parts.unet,
        vae=parts.vae,
        scheduler=type(parts.scheduler).from_config(parts.scheduler.config),
        feature_extractor=None,
        **({"add_watermarker": False} if parts.is_xl else plain),
        **given_parts,
    )
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline(
        LUNG.text, num_inference_steps=STEPS, guidance_scale=5.0, output_type="pt", **given
    ).images
    return model.gray.to_values(2 * picture[0] - 1)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_it_draws_what_the_pipeline_of_diffusers_draws(
    kind: str, generators: dict[str, StableDiffusionGenerator]
) -> None:
    generator = generators[kind]
    (image,) = generator.generate([LUNG], [7], steps=STEPS, guidance=5.0)
    noise = torch.Generator().manual_seed(7)
    expected = drawn_by_diffusers(generator, generator=noise)
    assert np.allclose(image.values, expected, atol=0.02)


def test_the_velocity_of_the_second_is_not_taken_for_noise(sd2: StableDiffusionGenerator) -> None:
    assert sd2.parts.scheduler.config.prediction_type == "v_prediction"


@pytest.mark.parametrize("kind", ["sd1", "xl"])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_it_goes_on_from_an_image_as_diffusers_does(
    kind: str, generators: dict[str, StableDiffusionGenerator]
) -> None:
    generator = generators[kind]
    latent = encode(generator.parts, generator.gray.to_network(scan()))
    image = generator.edit(scan(), LUNG, 3, strength=0.5, steps=STEPS, guidance=5.0)
    noise = torch.Generator().manual_seed(3)
    expected = drawn_by_diffusers(generator, image=latent, strength=0.5, generator=noise)
    assert np.allclose(image.values, expected, atol=0.02)


def test_an_image_is_the_same_in_any_company(sd2: StableDiffusionGenerator) -> None:
    wishes = [Wish(text="cat"), LUNG, Wish()]
    in_turn = list(sd2.generate(wishes, [1, 2, 3], steps=2))
    (alone,) = sd2.generate([LUNG], [2], steps=2)
    assert np.array_equal(in_turn[1].values, alone.values)
    assert not np.allclose(in_turn[0].values, alone.values)
    assert (in_turn[1].wish, in_turn[1].seed) == (LUNG, 2)


@pytest.mark.parametrize("kind", ["sd2", "xl"])
def test_images_drawn_together_differ_by_rounding_alone(
    kind: str, generators: dict[str, StableDiffusionGenerator]
) -> None:
    wishes, seeds = [Wish(text="cat"), LUNG, Wish()], [1, 2, 3]
    in_turn = generators[kind].generate(wishes, seeds, steps=2)
    together = generators[kind].generate(wishes, seeds, steps=2, batch_size=2)
    for one, other in zip(in_turn, together, strict=True):
        assert np.allclose(one.values, other.values, atol=0.05)


def test_other_words_and_other_seeds_draw_another_image(sd2: StableDiffusionGenerator) -> None:
    images = sd2.generate([LUNG, Wish(text="cat"), LUNG], [1, 1, 2], steps=2)
    first, other_words, other_seed = (image.values for image in images)
    assert not np.allclose(first, other_words)
    assert not np.allclose(first, other_seed)


@pytest.mark.parametrize("sampler", ["ddim", "dpm", "euler"])
def test_every_sampler_draws(sampler: str, sd2: StableDiffusionGenerator) -> None:
    (image,) = sd2.generate([LUNG], [1], steps=3, sampler=sampler)
    assert image.values.shape == (32, 32)
    assert image.values.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_outside_the_mask_nothing_changes(
    kind: str, generators: dict[str, StableDiffusionGenerator]
) -> None:
    values = scan(30, 37) + 1e-3  # no multiple of anything, and no whole levels
    mask = np.zeros(values.shape, bool)
    mask[5:9, 20:30] = True
    image = generators[kind].edit(values, LUNG, 3, strength=0.75, mask=mask, steps=STEPS)
    assert image.values.shape == values.shape
    assert image.values[~mask].tobytes() == values[~mask].tobytes()
    assert not np.allclose(image.values[mask], values[mask])


def test_what_is_not_to_change_steers_what_is_drawn(sd2: StableDiffusionGenerator) -> None:
    mask = np.zeros((32, 32), bool)
    mask[12:20, 12:20] = True
    first, second = (
        sd2.edit(scan(seed=seed), LUNG, 3, strength=1.0, mask=mask, steps=2).values[mask]
        for seed in (0, 1)
    )
    assert not np.allclose(first, second)


def test_all_is_forgotten_at_full_strength(sd2: StableDiffusionGenerator) -> None:
    first, second = (
        sd2.edit(scan(seed=seed), LUNG, 3, strength=1.0, steps=2).values for seed in (0, 1)
    )
    (plain,) = sd2.generate([LUNG], [3], steps=2)
    assert np.array_equal(first, second)
    assert np.array_equal(first, plain.values)


def test_interpolation_ends_at_both_images(sd2: StableDiffusionGenerator) -> None:
    first, second = scan(40, 33, seed=1), scan(40, 33, seed=2)
    begin, middle, end = sd2.interpolate(first, second, [0, 0.5, 1])
    backward = list(sd2.interpolate(second, first, [0, 0.5, 1]))
    assert begin.shape == (40, 33)
    assert np.array_equal(begin, backward[2])
    assert np.array_equal(end, backward[0])
    assert np.allclose(middle, backward[1], atol=1e-3)
    assert not np.allclose(middle, begin)


def test_words_have_maps_that_sum_to_one(sd2: StableDiffusionGenerator) -> None:
    wish = Wish(text="the left lung left")
    (watched,) = sd2.generate([wish], [1], steps=2, attention=True)
    (plain,) = sd2.generate([wish], [1], steps=2)
    assert list(watched.words) == ["the", "left", "lung", "left (2)"]
    assert all(one.shape == (32, 32) for one in watched.words.values())
    assert all(one.sum() == pytest.approx(1, abs=1e-4) for one in watched.words.values())
    assert np.allclose(watched.values, plain.values, atol=0.05)
    assert plain.words == {}


def test_color_is_told_of(sd2: StableDiffusionGenerator) -> None:
    (image,) = sd2.generate([LUNG], [1], steps=2)
    assert "drew in color" in image.notes[0]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(text="x " * 90), "tokens"),
        (Wish(categories={"class": "glioma"}), "condition"),
        (Wish(box=(0.5, 0.5, 0.1, 0.1)), "box"),
        (Wish(mask=np.ones((4, 4), int)), "mask"),
    ],
)
def test_what_it_cannot_be_told_is_refused(
    wish: Wish, words: str, sd2: StableDiffusionGenerator
) -> None:
    with pytest.raises(InputRefused, match=words):
        sd2.generate([wish], [1])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 0}, "steps"),
        ({"guidance": -1.0}, "guidance"),
        ({"sampler": "flow"}, "sampler"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_settings_out_of_range_are_refused(
    settings: dict[str, Any], words: str, sd2: StableDiffusionGenerator
) -> None:
    with pytest.raises(InputRefused, match=words):
        sd2.generate([LUNG], [1], **settings)
    with pytest.raises(InputRefused, match="2 seeds"):
        sd2.generate([LUNG], [1, 2])


def test_images_that_cannot_be_edited_are_refused(sd2: StableDiffusionGenerator) -> None:
    values, mask = scan(), np.zeros((32, 32), bool)
    broken = np.where(np.eye(32) > 0, np.nan, values)
    cases: list[tuple[NDArray, dict[str, Any], str]] = [
        (values[None], {}, "row, column"),
        (values[:8], {}, "8 x 32"),
        (broken, {}, "not finite"),
        (values, {"strength": 0.0}, "strength"),
        (values, {"strength": 0.01}, "less than one step"),
        (values, {"mask": mask}, "no pixel"),
        (values, {"mask": mask.astype(int)}, "bool"),
        (values, {"mask": mask[:4]}, "shape"),
    ]
    for image, options, words in cases:
        given: dict[str, Any] = {"strength": 0.5, "steps": STEPS, **options}
        with pytest.raises(InputRefused, match=words):
            sd2.edit(image, LUNG, 1, **given)
    with pytest.raises(InputRefused, match="one size"):
        sd2.interpolate(values, values[:20], [0.5])
    with pytest.raises(InputRefused, match="fraction"):
        sd2.interpolate(values, values, [1.5])


def test_numbers_that_are_not_finite_are_refused(tiny: Tiny) -> None:
    generator = StableDiffusionGenerator.load(tiny("sd2"))
    with torch.no_grad():
        generator.parts.unet.conv_in.weight.mul_(float("inf"))
    with pytest.raises(ModelRefused, match="not finite"):
        list(generator.generate([LUNG], [1], steps=1))


def test_the_autoencoder_stays_in_single_precision(tiny: Tiny) -> None:
    generator = StableDiffusionGenerator.load(tiny("xl"), precision="bfloat16")
    assert generator.parts.vae.dtype == torch.float32
    assert generator.parts.unet.dtype == torch.bfloat16
    (image,) = generator.generate([LUNG], [1], steps=2)
    assert np.isfinite(image.values).all()
    assert image.values.std() > 0


def test_a_device_or_precision_that_is_not_there_is_refused(tiny: Tiny) -> None:
    with pytest.raises(SettingRefused, match="device"):
        StableDiffusionGenerator.load(tiny("sd2"), device="tpu")
    with pytest.raises(SettingRefused, match="precision"):
        StableDiffusionGenerator.load(tiny("sd2"), precision="int4")


def test_the_family_says_that_gray_levels_have_no_unit(sd2: StableDiffusionGenerator) -> None:
    family = sd2.family
    assert (family.rows, family.columns, family.unit) == (32, 32, "")
    assert (family.low, family.high, family.modality) == (0, 255, "OT")
    assert family.text
    assert family.pixel_mm is None


@pytest.mark.parametrize(
    ("gray", "values"),
    [
        (GrayScale(), np.arange(256.0)),
        (GrayScale(unit="HU", center=-600, width=1500), np.arange(-1350.0, 151)),
    ],
)
def test_values_come_back_from_three_equal_channels(gray: GrayScale, values: NDArray) -> None:
    (picture,) = gray.to_network(values[None])
    assert picture.shape == (3, 1, len(values))
    assert float(picture.min()) == -1
    assert float(picture.max()) == 1
    back = gray.to_values(picture)[0]
    assert np.allclose(back, values, atol=1e-3)
    assert np.array_equal(np.rint(back), values)


def test_beyond_the_window_lie_its_ends() -> None:
    gray = GrayScale(unit="HU", center=40, width=400)
    values = gray.to_values(gray.to_network(np.array([[-1024.0, 40.0, 3000.0]]))[0])
    assert values.tolist() == [[-160.0, 40.0, 240.0]]


def test_color_becomes_its_brightness() -> None:
    red = torch.tensor([1.0, -1.0, -1.0]).view(3, 1, 1)
    assert GrayScale().to_values(red)[0, 0] == pytest.approx(0.299 * 255, abs=1e-3)


def test_pictures_are_filled_up_with_black_before_they_are_resized() -> None:
    gray = GrayScale(unit="HU", center=40, width=400)
    wide = np.full((16, 32), 40.0, np.float32)
    made = gray.on_square(wide, 16)
    assert made.shape == (16, 16)
    assert np.allclose(made[:3], -160)
    assert np.allclose(made[6:10], 40)
    assert np.array_equal(gray.on_square(wide[:, :16], 16), wide[:, :16])

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.modelpack.generator.tiny import tiny_generator

from isocenter.core.errors import InputRefused, ModelRefused, SettingRefused
from isocenter.modelpack.folder import load_folder
from isocenter.modelpack.generator.model import ImageGenerator, LatentScale
from isocenter.modelpack.generator.wish import Wish
from isocenter.modelpack.text.bilingual import BilingualEncoder
from isocenter.networks.text_encoder import TextEncoder


@pytest.fixture(scope="module")
def generator() -> ImageGenerator:
    return tiny_generator()


def drawn(generator: ImageGenerator, wish: Wish, seed: int = 1, **options: object) -> NDArray:
    return next(iter(generator.generate([wish], [seed], **options))).values  # type: ignore[arg-type]


WISH = Wish(
    categories={"class": "round"}, numbers={"age": 30}, box=(0.4, 0.5, 0.3, 0.2), text="圆形"
)


def test_the_same_wish_and_seed_give_the_same_pixels(generator: ImageGenerator) -> None:
    first = list(generator.generate([WISH, Wish()], [5, 6]))
    assert first[0].values.shape == (32, 32)
    assert first[0].values.dtype == np.float32
    assert np.array_equal(first[0].values, drawn(generator, WISH, 5))
    assert np.array_equal(first[1].values, drawn(generator, Wish(), 6))
    assert not np.array_equal(first[0].values, drawn(generator, WISH, 6))
    together = list(generator.generate([WISH, Wish()], [5, 6], batch_size=2))
    np.testing.assert_allclose(together[0].values, first[0].values, atol=0.05)


@pytest.mark.parametrize(
    "other",
    [
        Wish(categories={"class": "long"}),
        Wish(categories={"plane": "axial"}),
        Wish(numbers={"age": 80}),
        Wish(box=(0.5, 0.5, 0.9, 0.9)),
        Wish(text="a round spot"),
    ],
)
def test_every_condition_changes_the_image(generator: ImageGenerator, other: Wish) -> None:
    assert not np.array_equal(drawn(generator, Wish()), drawn(generator, other))


def test_guidance_of_one_asks_only_what_is_told(generator: ImageGenerator) -> None:
    assert not np.array_equal(
        drawn(generator, WISH, guidance=1.0), drawn(generator, WISH, guidance=3.0)
    )
    # Nothing is told, so there is nothing to be driven towards.
    np.testing.assert_allclose(
        drawn(generator, Wish(), guidance=1.0), drawn(generator, Wish(), guidance=3.0), atol=0.01
    )


def test_a_mask_guides_a_family_that_takes_one(generator: ImageGenerator) -> None:
    chests = generator.of("chests")
    assert chests.family.name == "chests"
    assert generator.family.name == "heads"
    mask = np.zeros((32, 48), np.uint8)
    mask[8:24, 8:40] = 1
    image = drawn(chests, Wish(mask=mask))
    assert image.shape == (32, 48)
    assert image.min() >= -1024
    assert image.max() <= 1024
    assert not np.array_equal(image, drawn(chests, Wish()))
    with pytest.raises(SettingRefused, match="no such family"):
        generator.of("hearts")


def test_attention_says_where_each_word_acted(generator: ImageGenerator) -> None:
    wish = Wish(text="a round spot, a spot")
    (found,) = generator.generate([wish], [1], attention=True)
    assert np.array_equal(found.values, drawn(generator, wish))
    assert {"round", "spot"} <= set(found.words)
    for where in found.words.values():
        assert where.shape == (32, 32)
        assert where.min() >= 0
        assert where.sum() == pytest.approx(1, abs=1e-3)
    (silent,) = generator.generate([Wish()], [1], attention=True)
    assert silent.words == {}


def test_nothing_outside_of_the_mask_changes(generator: ImageGenerator) -> None:
    image = drawn(generator, Wish())
    free = np.zeros((32, 32), bool)
    free[10:20, 5:15] = True
    edited = generator.edit(image, WISH, 3, strength=0.8, mask=free)
    assert np.array_equal(edited.values[~free], image[~free])
    assert not np.array_equal(edited.values[free], image[free])


def test_more_strength_leaves_less(generator: ImageGenerator) -> None:
    image = drawn(generator, Wish())
    held = generator.reconstruct(image)
    away = [
        float(np.abs(generator.edit(image, Wish(), 3, strength=one, steps=10).values - held).mean())
        for one in (0.1, 1.0)
    ]
    assert away[0] < away[1]
    assert np.array_equal(
        generator.edit(image, Wish(), 3, strength=1.0).values, drawn(generator, Wish(), 3)
    )


def test_interpolation_ends_at_both_images(generator: ImageGenerator) -> None:
    one, two = drawn(generator, Wish(), 1), drawn(generator, Wish(), 2)
    between = list(generator.interpolate(one, two, [0, 0.5, 1]))
    np.testing.assert_allclose(between[0], generator.reconstruct(one), atol=0.05)
    np.testing.assert_allclose(between[2], generator.reconstruct(two), atol=0.05)


def test_the_prior_alone_draws_by_its_seed(generator: ImageGenerator) -> None:
    assert np.array_equal(generator.sample_prior(1), generator.sample_prior(1))
    assert not np.array_equal(generator.sample_prior(1), generator.sample_prior(2))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps must be whole"),
        ({"steps": 2.5}, "steps must be whole"),
        ({"guidance": -1.0}, "guidance is from"),
        ({"guidance": float("nan")}, "guidance is from"),
        ({"sampler": "ddpm"}, r"own \(the model's own\) or one of flow, heun, .*got 'ddpm'"),
    ],
)
def test_impossible_requests_are_refused(
    generator: ImageGenerator, options: dict, words: str
) -> None:
    with pytest.raises(SettingRefused, match=words):
        drawn(generator, Wish(), **options)


def test_unknown_words_are_refused_by_name_before_anything_is_drawn(
    generator: ImageGenerator,
) -> None:
    with pytest.raises(InputRefused, match="triangular"):
        generator.generate([Wish(), Wish(text="a triangular spot")], [1, 2])


@pytest.mark.parametrize(
    "image", [np.zeros((16, 16)), np.full((32, 32), np.nan), np.zeros((1, 32, 32))]
)
def test_images_that_do_not_fit_are_refused(generator: ImageGenerator, image: NDArray) -> None:
    with pytest.raises(InputRefused, match="image"):
        generator.edit(image, Wish(), 1, strength=0.5)


def test_a_mask_that_frees_nothing_is_refused(generator: ImageGenerator) -> None:
    image = np.zeros((32, 32), np.float32)
    with pytest.raises(InputRefused, match="empty"):
        generator.edit(image, Wish(), 1, strength=0.5, mask=np.zeros((32, 32), bool))
    with pytest.raises(SettingRefused, match="strength"):
        generator.edit(image, Wish(), 1, strength=0.0)


def test_a_folder_holds_the_generator(generator: ImageGenerator, tmp_path: Path) -> None:
    digest = generator.save_pretrained(tmp_path / "model")
    again = ImageGenerator.from_pretrained(tmp_path / "model", family="chests")
    assert again.weights_sha256 == digest
    assert again.families.keys() == generator.families.keys()
    assert again.family == generator.families["chests"]
    kept = load_folder(tmp_path / "model")
    third = load_folder(tmp_path / "model")
    assert np.array_equal(drawn(kept, WISH), drawn(third, WISH))
    # Weights are kept in half precision.
    np.testing.assert_allclose(drawn(kept, WISH), drawn(generator, WISH), atol=3)


def test_a_folder_of_other_families_is_refused(generator: ImageGenerator, tmp_path: Path) -> None:
    generator.save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "families.json"
    told = json.loads(path.read_text())
    told["families"][0]["categories"]["class"].append("square")
    path.write_text(json.dumps(told))
    with pytest.raises(ModelRefused, match="altered"):
        load_folder(tmp_path / "model")
    from isocenter.modelpack.folder import write_checksums

    (tmp_path / "model" / "SHA256SUMS").unlink()
    write_checksums(tmp_path / "model")
    with pytest.raises(ModelRefused, match="other categories"):
        load_folder(tmp_path / "model")


def test_scaling_latents_is_undone() -> None:
    import torch

    scale = LatentScale(mean=(1.0, -2.0), deviation=(0.5, 3.0))
    latent = torch.randn(2, 2, 3, 3)
    torch.testing.assert_close(scale.restored(scale.normalized(latent)), latent)
    with pytest.raises(ValueError, match="deviation"):
        LatentScale(mean=(0.0,), deviation=(0.0,))
    with pytest.raises(ValueError, match="one number a channel"):
        LatentScale(mean=(0.0, 1.0), deviation=(1.0,))


def test_a_copy_of_a_training_image_is_known() -> None:
    import torch

    generator = tiny_generator()
    image = drawn(generator, Wish())
    assert not generator.is_copy(image)
    assert generator.guard is not None
    scaled = (image / 127.5 - 1).astype(np.float32)
    vector = generator.guard.embedding(torch.from_numpy(scaled)[None, None])
    generator.guard.training_vectors("heads")[1] = vector[0].detach()
    assert generator.is_copy(image)
    assert not generator.is_copy(drawn(generator, Wish(), 7) * 0)
    generator.guard = None
    with pytest.raises(ModelRefused, match="no guard"):
        generator.is_copy(image)


def test_the_order_of_names_outlives_the_folder(tmp_path: Path) -> None:
    """What a row of a table stands for follows from the order in which names were given."""
    made = tiny_generator()
    families = [
        replace(one, categories=dict(sorted(one.categories.items(), reverse=True)))
        for one in made.families.values()
    ]
    readings = {"plane": ["", "axial"], "finding": ["", "spot", "ring"]}
    text = TextEncoder(**made.text.network.config | {"readings": readings})  # type: ignore[attr-defined]
    turned = ImageGenerator(
        families=families,
        autoencoder=made.autoencoder,
        denoiser=made.denoiser,
        process=made.process,
        text=BilingualEncoder(text),
        scale=made.scale,
        guard=made.guard,
        card=made.card,
    )
    turned.save_pretrained(tmp_path / "model")
    again = ImageGenerator.from_pretrained(tmp_path / "model")
    assert again.vocabulary == turned.vocabulary
    assert list(again.vocabulary.categories) != sorted(again.vocabulary.categories)
    words = "a round spot"
    assert again.text.said(words) == turned.text.said(words)  # type: ignore[attr-defined]
    assert list(again.text.network.config["readings"]) == list(readings)  # type: ignore[attr-defined]

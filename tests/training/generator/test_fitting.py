"""Autoencoder and denoiser learn, and what each piece of their data is."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.modelpack.generator.tiny import HEADS, tiny_denoiser, tiny_generator

from isocenter.datasets.image_sets.image_set import ImageLabels, ImageSet
from isocenter.diffusion.process import Process
from isocenter.modelpack.generator.model import LatentScale
from isocenter.modelpack.generator.told import vocabulary_of
from isocenter.networks.autoencoder import Autoencoder
from isocenter.networks.feature_network import FeatureNetwork
from isocenter.training.generator.autoencoder import (
    AutoencoderLosses,
    ImagePieces,
    autoencoder_learner,
    pyramid_error,
)
from isocenter.training.generator.denoiser import NoiseSettings, Weighing, denoiser_learner
from isocenter.training.generator.encode import (
    bank_of,
    channel_weights_of,
    joined,
    latent_set,
    latents_of,
    lesion_shares,
    scale_of,
    shares_of,
)
from isocenter.training.generator.latent_cases import DropSettings, LatentCases, LatentSet
from isocenter.training.loop import LoopSettings, Trainer


def discs(number: int = 12, *, low: float = 0.0) -> ImageSet:
    """Discs of two sizes; the large ones are called round."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    images, labels = [], []
    for k in range(number):
        radius = (4, 9)[k % 2]
        center = rng.integers(10, 22, 2)
        disc = (y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2
        images.append(np.where(disc, 200, 20).astype(np.int16))
        labels.append(
            ImageLabels(
                file=str(k),
                patient=str(k),
                part="train" if k < number - 4 else "validation",
                categories={"class": ("long", "round")[k % 2]},
                numbers={"age": float(k)},
                box=(center[1] / 32, center[0] / 32, radius / 16, radius / 16),
            )
        )
    return ImageSet(
        family="heads",
        stored=np.stack(images),
        low=low,
        high=255.0,
        labels=tuple(labels),
        guides=(np.stack(images) > 100).astype(np.uint8),
        guide_names=("disc",),
    )


def pieces(images: ImageSet, **options: Any) -> ImagePieces:
    losses = AutoencoderLosses(**{"guides": 0.0, "gamma": 1.0, **options})
    return ImagePieces(
        {"heads": images}, shares={"heads": 1}, crop=16, losses=losses, seed=1, length=50
    )


def test_a_piece_is_cut_from_an_image() -> None:
    images = discs()
    found = pieces(images)[3]["image"]
    assert found.shape == (1, 16, 16)
    whole = images.values()
    assert any(
        np.array_equal(one[top : top + 16, left : left + 16], found[0].numpy())
        for one in whole
        for top in range(17)
        for left in range(17)
    )
    assert torch.equal(found, pieces(images)[3]["image"])


def test_gamma_bends_gray_values_and_never_hu() -> None:
    gray, hu = discs(), discs(low=-100.0)
    bent, plain = pieces(gray, gamma=1.5)[3]["image"], pieces(gray)[3]["image"]
    assert not torch.equal(bent, plain)
    assert torch.equal(bent.argsort(dim=-1, stable=True), plain.argsort(dim=-1, stable=True))
    assert torch.equal(pieces(hu, gamma=1.5)[3]["image"], pieces(hu)[3]["image"])


def test_guides_are_shown_painted() -> None:
    found = torch.stack([pieces(discs(), guides=1.0)[k]["image"] for k in range(10)])
    assert set(found.unique().tolist()) == {-1.0, 1.0}


def test_pieces_hold_the_lesion_as_often_as_was_said() -> None:
    images = discs()
    small = images.chosen([k for k in range(len(images)) if k % 2 == 0])  # radius 4 fits in 16

    def share_whole(lesion_centered: float) -> float:
        drawn = ImagePieces(
            {"heads": small},
            shares={"heads": 1},
            crop=16,
            losses=AutoencoderLosses(guides=0, gamma=1),
            seed=1,
            length=60,
            lesion_centered=lesion_centered,
        )
        area = float((small.values() > 0).sum((1, 2)).min())
        return float(np.mean([float((drawn[k]["image"] > 0).sum()) >= area for k in range(60)]))

    assert share_whole(1.0) == 1
    assert share_whole(0.0) < 0.8


def test_an_image_smaller_than_a_piece_is_refused() -> None:
    with pytest.raises(ValueError, match="no piece of 64"):
        ImagePieces(
            {"heads": discs()},
            shares={"heads": 1},
            crop=64,
            losses=AutoencoderLosses(),
            seed=1,
            length=5,
        )


def test_the_pyramid_error_of_a_constant_is_known() -> None:
    image = torch.zeros(1, 1, 16, 16)
    # No level but the mean and the last one sees a constant.
    assert float(pyramid_error(image + 0.5, image)) == pytest.approx(1.0)
    assert float(pyramid_error(image, image)) == 0


def test_an_autoencoder_learns() -> None:
    torch.manual_seed(0)
    network = Autoencoder(channels=(16, 16), latent_channels=4, norm_groups=8)
    learner = autoencoder_learner(network, losses=AutoencoderLosses(halved=0.25))
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    drawn = pieces(discs())
    batch = {"image": torch.stack([drawn[k]["image"] for k in range(16)])}

    def merit() -> float:
        with torch.no_grad():
            return float(learner.merit(network, batch).mean())

    before = merit()
    for _ in range(25):
        loss, logs = learner.loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert set(logs) == {"error", "divergence"}
    assert merit() > before + 0.05
    assert learner.picture is not None
    with torch.no_grad():
        picture = learner.picture(network, batch)
    assert picture.dtype == np.uint8
    assert picture.shape == (48, 64)


def test_a_feature_network_and_an_adversary_are_heard(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Autoencoder(channels=(8, 8), latent_channels=2, norm_groups=8)
    losses = AutoencoderLosses(features=0.5, adversary=0.1, adversary_first_step=2)
    features = FeatureNetwork(widths=(16,), blocks=(1,)).requires_grad_(False)
    learner = autoencoder_learner(network, losses=losses, features=features)
    assert learner.adversary is not None
    before = [one.clone() for one in learner.adversary.network.parameters()]
    images = discs()

    def cases(start: int) -> ImagePieces:
        return ImagePieces(
            {"heads": images},
            shares={"heads": 1},
            crop=32,
            losses=losses,
            seed=1,
            length=8,
            start=start,
        )

    settings = LoopSettings(steps=4, batch_size=2, workers=0, log_every=1, mixed_precision="no")
    batch = {"image": torch.from_numpy(images.values(slice(0, 2)))[:, None]}
    Trainer([learner], settings=settings, folder=tmp_path).fit(cases, [batch])
    after = list(learner.adversary.network.parameters())
    assert any(not torch.equal(one, two) for one, two in zip(before, after, strict=True))
    with (tmp_path / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(row["autoencoder features"] for row in rows)
    assert [bool(row["autoencoder verdict"]) for row in rows] == [False, False, True, True]
    with pytest.raises(ValueError, match="feature network"):
        autoencoder_learner(network, losses=losses)


def test_merit_is_the_psnr() -> None:
    class Off(Autoencoder):
        def decode(self, latent: torch.Tensor) -> torch.Tensor:
            return torch.full((len(latent), 1, 16, 16), 0.2)

    network = Off(channels=(8, 8), latent_channels=2, norm_groups=8)
    learner = autoencoder_learner(network, losses=AutoencoderLosses())
    merit = learner.merit(network, {"image": torch.zeros(2, 1, 16, 16)})
    # An error of 0.2 in images that span 2 is one tenth: 20 dB.
    assert merit.tolist() == pytest.approx([20, 20], abs=1e-4)


@pytest.fixture(scope="module")
def encoded() -> tuple:
    generator = tiny_generator()
    images = discs()
    means, deviations = latents_of(generator.autoencoder, images.values, len(images))
    scale = scale_of([means])
    vocabulary = generator.vocabulary

    def said(family: object, labels: ImageLabels, rng: np.random.Generator) -> str:
        return "a round spot" if labels.categories["class"] == "round" else ""

    bank, places = bank_of(
        {"heads": images}, {"heads": HEADS}, generator.text, sentence_of=said, each=2, seed=1
    )
    made = latent_set(
        HEADS,
        images,
        generator.autoencoder,
        latents=(means, deviations),
        scale=scale,
        vocabulary=vocabulary,
        sentences=places["heads"],
        weights=np.ones(len(images)),
    )
    return images, made, bank, scale, means


def test_encoding_normalizes_each_channel(encoded: tuple) -> None:
    _, made, _, scale, means = encoded
    of_channel = made.mean.float().transpose(0, 1).flatten(1)
    torch.testing.assert_close(of_channel.mean(dim=1), torch.zeros(2), atol=0.01, rtol=0)
    torch.testing.assert_close(of_channel.std(dim=1), torch.ones(2), atol=0.01, rtol=0)
    torch.testing.assert_close(
        scale.restored(made.mean.float()), means.float(), atol=0.01, rtol=0.01
    )


def test_channels_count_by_how_far_they_move_an_image() -> None:
    autoencoder = tiny_generator().autoencoder
    scale = LatentScale(mean=(0.0, 0.0), deviation=(1.0, 1.0))
    assert channel_weights_of(autoencoder, scale, power=0) == pytest.approx((1, 1))
    coarse, fine = channel_weights_of(autoencoder, scale, power=1)
    assert coarse + fine == pytest.approx(2)
    assert coarse > fine
    louder = LatentScale(mean=(0.0, 0.0), deviation=(1.0, 4.0))
    assert channel_weights_of(autoencoder, louder, power=1)[1] > fine


def test_encoding_keeps_what_is_known(encoded: tuple) -> None:
    images, made, bank, _, _ = encoded
    vocabulary = vocabulary_of([HEADS])
    assert made.categories[1, 1] == vocabulary.category_codes("heads", {"class": "round"})[1]
    assert made.numbers[5, 0] == pytest.approx(2 * 5 / 100 - 1)
    assert made.boxes[2].tolist() == pytest.approx(images.labels[2].box)
    # Equal sentences are kept once, and an image of which nothing is said has none.
    assert len(bank.words) == 1
    assert made.sentences.tolist() == [[-1, -1], [0, 0]] * 6
    assert made.guide is None  # this family takes no guide


def test_joined_sets_hold_both(encoded: tuple) -> None:
    _, made, _, _, _ = encoded
    both = joined([made, made])
    assert len(both) == 2 * len(made)
    assert both.guided is not None
    assert not both.guided.any()


def test_a_denoiser_learns(encoded: tuple) -> None:
    _, made, bank, _, _ = encoded
    network = tiny_denoiser()
    learner = denoiser_learner(network, process=Process(), bank=bank, noise=NoiseSettings(), seed=0)
    drawn = LatentCases({"8x8": made}, drop=DropSettings(), seed=1, length=64)
    batch = {name: torch.stack([drawn[k][name] for k in range(32)]) for name in drawn[0]}
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)

    def merit() -> float:
        with torch.no_grad():
            return float(learner.merit(network, batch).mean())

    before = merit()
    assert before == merit()
    for _ in range(15):
        loss, logs = learner.loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert set(logs) == {"error 8x8"}
    assert merit() > before


def batch_of(made: LatentSet, number: int = 16) -> dict[str, torch.Tensor]:
    drawn = LatentCases({"8x8": made}, drop=DropSettings(), seed=1, length=number)
    return {name: torch.stack([drawn[k][name] for k in range(number)]) for name in drawn[0]}


def loss_of(batch: dict[str, torch.Tensor], bank: object, **options: object) -> float:
    options = {"process": Process(), "noise": NoiseSettings(), "seed": 0} | options
    learner = denoiser_learner(tiny_denoiser(), bank=bank, **options)  # type: ignore[arg-type]
    torch.manual_seed(3)
    with torch.no_grad():
        return float(learner.loss(learner.network, batch)[0])


def test_classes_are_drawn_as_alike_as_was_said() -> None:
    images = discs().chosen([0, 1, 2, 4])  # one round, three long
    assert shares_of(images, balance=0).tolist() == [0.25] * 4
    assert shares_of(images, balance=1).tolist() == pytest.approx([1 / 6, 1 / 2, 1 / 6, 1 / 6])
    half = shares_of(images, balance=0.5)
    assert half.sum() == pytest.approx(1)
    assert 0.25 < half[1] < 0.5


def test_lesions_are_boxes_and_labels_of_the_guide() -> None:
    images = discs()
    boxed = lesion_shares(images, (), (8, 8))
    both = lesion_shares(images, ("disc",), (8, 8))
    assert boxed.shape == (len(images), 1, 8, 8)
    # A disc lies in its box, but for the half of a pixel by which the box is shifted.
    assert float(both.sum()) == pytest.approx(float(boxed.sum()), rel=0.2)
    assert float((both - boxed).min()) >= 0
    assert images.labels[0].box is not None
    x, y, *_ = images.labels[0].box
    assert boxed[0, 0, int(y * 8), int(x * 8)] > 0.5


def test_weights_count_in_the_loss_and_not_in_what_judges(encoded: tuple) -> None:
    images, made, bank, _, _ = encoded
    lesion = lesion_shares(images, (), (8, 8))
    batch = batch_of(LatentSet(**{**vars(made), "lesion": lesion}))
    assert batch["8x8.lesion"].shape == (16, 1, 8, 8)
    plain = loss_of(batch_of(made), bank)
    assert loss_of(batch, bank, weighing=Weighing()) == plain
    assert loss_of(batch, bank, weighing=Weighing(lesion=5)) != plain
    # Where large errors weigh more, their mean is larger.
    assert loss_of(batch, bank, weighing=Weighing(focal_gamma=1)) > plain
    merits = [
        denoiser_learner(
            tiny_denoiser(),
            process=Process(),
            bank=bank,
            noise=NoiseSettings(),
            seed=0,
            weighing=weighing,
        )
        for weighing in (None, Weighing(lesion=5, focal_gamma=2))
    ]
    with torch.no_grad():
        first, second = (one.merit(one.network, batch) for one in merits)
    assert torch.equal(first, second)


def test_little_noise_weighs_less_with_a_limit(encoded: tuple) -> None:
    _, made, bank, _, _ = encoded
    batch = batch_of(made)
    keeps = Process(schedule="cosine", prediction_type="epsilon")
    plain = loss_of(batch, bank, process=keeps)
    limited = [
        loss_of(batch, bank, process=keeps, weighing=Weighing(snr_limit=limit))
        for limit in (1.0, 5.0, 1e9)
    ]
    assert limited[0] < limited[1] < limited[2]
    # Without an effective limit all that is left is the error as it was.
    assert limited[2] == pytest.approx(plain, rel=1e-4)
    assert loss_of(batch, bank) == loss_of(batch, bank, weighing=Weighing(snr_limit=None))


def test_a_reference_is_told_as_a_guide_is() -> None:
    generator = tiny_generator()
    images = discs()
    images = replace(images, references=images.stored[::-1].copy())
    latents = latents_of(generator.autoencoder, images.values, len(images))
    made = latent_set(
        replace(HEADS, reference="another disc"),
        images,
        generator.autoencoder,
        latents=latents,
        scale=scale_of([latents[0]]),
        vocabulary=generator.vocabulary,
        sentences=np.full((len(images), 1), -1),
        weights=np.ones(len(images)),
    )
    assert made.guide is not None
    assert torch.equal(made.guide, made.mean.flip(0))
    drop = DropSettings(everything=0, guide=0.5)
    drawn = LatentCases({"8x8": made}, drop=drop, seed=1, length=40)
    told = [bool(drawn[k]["8x8.guided"]) for k in range(40)]
    assert 8 < sum(told) < 32

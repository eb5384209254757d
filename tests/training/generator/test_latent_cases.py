import numpy as np
import pytest
import torch

from isocenter.training.generator.latent_cases import (
    DropSettings,
    LatentCases,
    LatentSet,
    SentenceBank,
    conditions_of,
    sizes_of,
)

NOTHING_DROPPED = DropSettings(
    everything=0, category=0, number=0, box=0, guide=0, text=0, category_beside_text=0
)


def latent_set(number: int = 3, *, guide: bool = True, sentences: int = 2) -> LatentSet:
    generator = torch.Generator().manual_seed(4)
    boxes = np.full((number, 4), np.nan)
    boxes[0] = (0.5, 0.5, 0.5, 0.5)
    return LatentSet(
        mean=torch.randn(number, 2, 4, 4, generator=generator).half(),
        deviation=torch.full((number, 2, 4, 4), 0.5).half(),
        categories=np.array([[1, 1 + k] for k in range(number)], np.int64),
        numbers=np.array([[0.1 * k] for k in range(number)], np.float32),
        boxes=boxes,
        sentences=np.arange(number * sentences).reshape(number, sentences),
        weights=np.ones(number),
        guide=torch.randn(number, 2, 4, 4, generator=generator).half() if guide else None,
    )


def bank(number: int = 6) -> SentenceBank:
    return SentenceBank(
        words=torch.randn(number, 3, 5).half(),
        spoken=torch.tensor([[True, True, False]] * number),
        meaning=torch.randn(number, 5).half(),
    )


def cases(drop: DropSettings = NOTHING_DROPPED, **options: int) -> LatentCases:
    return LatentCases(
        {"4x4": latent_set()},
        drop=drop,
        seed=1,
        **{"length": 200, **options},
    )


def test_an_item_depends_on_its_number_alone() -> None:
    whole, later = cases(DropSettings()), cases(DropSettings(), start=50)
    assert len(whole) == 200
    assert len(later) == 150
    for name, value in whole[57].items():
        assert torch.equal(value.nan_to_num(), later[7][name].nan_to_num())
    with pytest.raises(IndexError):
        later[150]


def test_latents_are_drawn_afresh_from_their_distribution() -> None:
    own = latent_set(1)
    drawn = LatentCases({"4x4": own}, drop=NOTHING_DROPPED, seed=1, length=400)
    latents = torch.stack([drawn[k]["4x4.latent"] for k in range(400)])
    torch.testing.assert_close(latents.mean(dim=0), own.mean[0].float(), atol=0.12, rtol=0)
    assert float(latents.std(dim=0).mean()) == pytest.approx(0.5, abs=0.02)


def test_nothing_dropped_tells_everything() -> None:
    own = latent_set()
    for k in range(20):
        case = cases()[k]
        place = int(case["4x4.categories"][1]) - 1
        assert case["4x4.categories"].tolist() == own.categories[place].tolist()
        assert float(case["4x4.numbers"][0]) == pytest.approx(own.numbers[place, 0])
        assert bool(case["4x4.boxed"]) == (place == 0)
        assert int(case["4x4.sentence"]) in own.sentences[place]
        assert own.guide is not None
        assert torch.equal(case["4x4.guide"], own.guide[place].float())


def test_everything_dropped_tells_the_family_alone() -> None:
    drop = DropSettings(everything=1)
    for k in range(10):
        case = cases(drop)[k]
        assert case["4x4.categories"].tolist() == [1, 0]
        assert case["4x4.numbers"].isnan().all()
        assert not case["4x4.boxed"]
        assert not case["4x4.guided"]
        assert int(case["4x4.sentence"]) == -1


def test_things_are_dropped_as_often_as_was_said() -> None:
    drop = DropSettings(everything=0, category=0.5, text=1, guide=0.25, number=0.75, box=0)
    found = [cases(drop, length=2000)[k] for k in range(600)]
    share = {
        "category": np.mean([int(case["4x4.categories"][1]) == 0 for case in found]),
        "guide": np.mean([not case["4x4.guided"] for case in found]),
        "number": np.mean([bool(case["4x4.numbers"].isnan()) for case in found]),
    }
    assert share == pytest.approx({"category": 0.5, "guide": 0.25, "number": 0.75}, abs=0.07)


def test_images_are_drawn_by_their_weights() -> None:
    own = latent_set()
    heavy = LatentSet(**{**vars(own), "weights": np.array([0.0, 1.0, 3.0])})
    drawn = LatentCases({"4x4": heavy}, drop=NOTHING_DROPPED, seed=1, length=400)
    places = [int(drawn[k]["4x4.categories"][1]) - 1 for k in range(400)]
    assert 0 not in places
    assert np.mean(np.array(places) == 2) == pytest.approx(0.75, abs=0.06)


def test_a_batch_of_two_sizes_tells_each_its_own() -> None:
    sets = {"4x4": latent_set(), "4x4b": latent_set(guide=False)}
    drawn = LatentCases(sets, drop=NOTHING_DROPPED, seed=1, length=8)
    batch = {name: torch.stack([drawn[k][name] for k in range(8)]) for name in drawn[0]}
    assert sizes_of(batch) == ["4x4", "4x4b"]
    told = conditions_of(batch, "4x4", bank())
    assert len(told) == 8
    assert told.spoken.sum(dim=1).tolist() == [2] * 8
    assert told.guided.all()
    assert not conditions_of(batch, "4x4b", bank()).guided.any()


def test_no_sentence_says_nothing() -> None:
    words, spoken, meaning = bank().of(torch.tensor([-1, 2]))
    assert words.shape == (2, 3, 5)
    assert spoken.tolist() == [[False] * 3, [True, True, False]]
    assert meaning.shape == (2, 5)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="share from 0 to 1"):
        DropSettings(text=1.5)
    own = vars(latent_set())
    with pytest.raises(ValueError, match="weights"):
        LatentSet(**{**own, "weights": np.zeros(3)})
    with pytest.raises(ValueError, match="as many"):
        LatentSet(**{**own, "boxes": np.zeros((2, 4))})

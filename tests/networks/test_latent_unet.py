from typing import Any

import pytest
import torch

from isocenter.networks.latent_unet import Conditions, LatentControlNet, LatentUNet

SIZES: dict[str, Any] = {
    "latent_channels": 2,
    "category_sizes": [2, 3],
    "num_numbers": 2,
    "text_width": 6,
    "token_width": 8,
    "channels": [8, 16],
    "attention": [False, True],
    "head_channels": 8,
    "norm_groups": 4,
}


def awake(network: LatentUNet) -> LatentUNet:
    """The same with small weights where a new network has zeros, which let nothing pass."""
    for weight in network.parameters():
        if not weight.any() and weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
    return network


def conditions(batch: int = 2, *, seed: int = 0) -> Conditions:
    generator = torch.Generator().manual_seed(seed)
    return Conditions(
        categories=torch.tensor([[1, 2]] * batch),
        numbers=torch.rand(batch, 2, generator=generator),
        words=torch.randn(batch, 3, 6, generator=generator),
        spoken=torch.tensor([[True, True, False]] * batch),
        meaning=torch.randn(batch, 6, generator=generator),
        box=torch.rand(batch, 1, 8, 8, generator=generator),
        boxed=torch.ones(batch, dtype=torch.bool),
        guide=torch.randn(batch, 2, 8, 8, generator=generator),
        guided=torch.ones(batch, dtype=torch.bool),
    )


@pytest.fixture(scope="module")
def network() -> LatentUNet:
    torch.manual_seed(0)
    return awake(LatentUNet(**SIZES)).eval()


@pytest.fixture(scope="module")
def state() -> torch.Tensor:
    return torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(3))


TIME = torch.tensor([0.3, 0.8])


@torch.no_grad()
def answer(network: LatentUNet, state: torch.Tensor, told: Conditions) -> torch.Tensor:
    found: torch.Tensor = network(state, TIME, told)
    return found


CHANGES: dict[str, dict[str, torch.Tensor]] = {
    "a category": {"categories": torch.tensor([[1, 3], [1, 3]])},
    "no category": {"categories": torch.tensor([[1, 0], [1, 0]])},
    "a number": {"numbers": torch.tensor([[0.1, 0.2], [0.3, 0.4]])},
    "a missing number": {"numbers": torch.tensor([[torch.nan, 0.2], [0.3, torch.nan]])},
    "words": {"words": torch.ones(2, 3, 6)},
    "fewer words": {"spoken": torch.tensor([[True, False, False]] * 2)},
    "the meaning": {"meaning": torch.ones(2, 6)},
    "the box": {"box": torch.zeros(2, 1, 8, 8)},
    "no box": {"boxed": torch.zeros(2, dtype=torch.bool)},
    "the guide": {"guide": torch.zeros(2, 2, 8, 8)},
    "no guide": {"guided": torch.zeros(2, dtype=torch.bool)},
}


@pytest.mark.parametrize("name", CHANGES)
def test_everything_told_changes_the_answer(
    network: LatentUNet, state: torch.Tensor, name: str
) -> None:
    told = conditions()
    other = Conditions(**{**told.named(), **CHANGES[name]})
    assert not torch.allclose(
        answer(network, state, told), answer(network, state, other), atol=1e-5
    )


UNSAID: dict[str, dict[str, torch.Tensor]] = {
    "words": {"words": torch.full((2, 3, 6), 9.0), "meaning": torch.ones(2, 6)},
    "box": {"box": torch.full((2, 1, 8, 8), 9.0)},
    "guide": {"guide": torch.full((2, 2, 8, 8), 9.0)},
}


@pytest.mark.parametrize("name", UNSAID)
def test_what_is_not_told_does_not_matter(
    network: LatentUNet, state: torch.Tensor, name: str
) -> None:
    silent = conditions().without(kept_categories=(0,))
    other = Conditions(**{**silent.named(), **UNSAID[name]})
    assert torch.equal(answer(network, state, silent), answer(network, state, other))


def test_without_keeps_only_the_categories_that_are_named() -> None:
    silent = conditions().without(kept_categories=(0,))
    assert silent.categories.tolist() == [[1, 0], [1, 0]]
    assert silent.numbers.isnan().all()
    assert not silent.spoken.any()
    assert not silent.boxed.any()
    assert not silent.guided.any()


def test_joined_conditions_are_those_of_each() -> None:
    one, two = conditions(1, seed=1), conditions(2, seed=2)
    whole = Conditions.joined([one, two])
    assert len(whole) == 3
    assert torch.equal(whole.changed(lambda tensor: tensor[1:]).box, two.box)


def test_attention_is_watched_and_adds_up_to_one(network: LatentUNet, state: torch.Tensor) -> None:
    plain = answer(network, state, conditions())
    with network.watching_attention() as found:
        watched = answer(network, state, conditions())
    assert torch.equal(plain, watched)
    assert found
    before = network.num_tokens_before_words()
    assert before == 4
    for one in found:
        assert one.shape[0] == 2
        assert one.shape[2] == before + 3
        torch.testing.assert_close(one.sum(dim=-1), torch.ones(one.shape[:2]))
    count = len(found)
    answer(network, state, conditions())
    assert len(found) == count


def test_a_new_controlnet_adds_nothing_and_steers_once_it_is_trained(
    network: LatentUNet, state: torch.Tensor
) -> None:
    plain = answer(network, state, conditions())
    beside = LatentControlNet.beside(network, control_channels=3).eval()
    image = torch.rand(2, 3, 8, 8)
    control = beside(state, TIME, conditions(), image)
    assert torch.equal(network(state, TIME, conditions(), control), plain)
    frozen = [parameter.clone() for parameter in network.parameters()]
    optimizer = torch.optim.SGD(beside.parameters(), lr=1.0)
    for _ in range(2):
        found = network(state, TIME, conditions(), beside(state, TIME, conditions(), image))
        optimizer.zero_grad()
        (found - 1).square().mean().backward()
        optimizer.step()
    assert all(
        torch.equal(before, after)
        for before, after in zip(frozen, network.parameters(), strict=True)
    )
    network.zero_grad()
    with torch.no_grad():
        steered = network(state, TIME, conditions(), beside(state, TIME, conditions(), image))
        other = network(state, TIME, conditions(), beside(state, TIME, conditions(), 1 - image))
    assert not torch.allclose(steered, plain)
    assert not torch.allclose(steered, other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": [8], "attention": [False]},
        {"channels": [8, 16], "attention": [True]},
        {"channels": [8, 18]},
        {"head_channels": 5},
        {"category_sizes": []},
        {"category_sizes": [0]},
        {"num_numbers": -1},
        {"latent_channels": 1.5},
        {"text_width": True},
        {"channels": [8] * 9, "attention": [True] * 9},
    ],
)
def test_sizes_that_make_no_network_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"got|must"):
        LatentUNet(**{**SIZES, **wrong})


def test_its_configuration_builds_it_again(network: LatentUNet) -> None:
    again = LatentUNet(**network.config)
    again.load_state_dict(network.state_dict())
    assert again.config == network.config

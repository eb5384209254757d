from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from isocenter.networks.text_encoder import TextEncoder

WORDS = ["[padding]", *(f"word{number}" for number in range(11))]
IDS = torch.tensor([[3, 4, 5, 0, 0], [7, 8, 9, 10, 11]])


def network(**config: Any) -> TextEncoder:
    torch.manual_seed(0)
    small = {"width": 8, "layers": 2, "heads": 2, "feed_forward": 16, "most_tokens": 5} | config
    return TextEncoder(words=WORDS, readings={"plane": ["", "axial"]}, **small).eval()


def read(encoder: TextEncoder, ids: Tensor) -> tuple[Tensor, Tensor]:
    tokens, pooled = encoder(ids, ids > 0)
    return tokens.detach(), pooled.detach()


def test_every_word_and_every_sentence_has_a_vector() -> None:
    tokens, pooled = read(network(), IDS)
    assert tokens.shape == (2, 5, 8)
    assert pooled.shape == (2, 8)
    assert not tokens[0, 3:].any()


def test_padding_changes_nothing() -> None:
    encoder = network()
    long, short = read(encoder, IDS[:1]), read(encoder, IDS[:1, :3])
    assert torch.allclose(long[0][:, :3], short[0], atol=1e-5)
    assert torch.allclose(long[1], short[1], atol=1e-5)


def test_sentences_of_a_batch_do_not_see_each_other() -> None:
    encoder = network()
    together, alone = read(encoder, IDS), read(encoder, IDS[1:])
    assert torch.allclose(together[0][1:], alone[0], atol=1e-5)


def test_the_order_of_words_matters() -> None:
    encoder = network()
    backwards = IDS[1:].flip(1)
    assert not torch.allclose(read(encoder, IDS[1:])[1], read(encoder, backwards)[1], atol=1e-4)


def test_readings_are_named() -> None:
    encoder = network()
    _, pooled = read(encoder, IDS)
    found = encoder.read(pooled)
    assert {name: scores.shape for name, scores in found.items()} == {"plane": (2, 2)}


def test_the_configuration_builds_the_same_network_again() -> None:
    encoder = network()
    again = TextEncoder(**encoder.config)
    again.load_state_dict(encoder.state_dict())
    assert again.config == encoder.config
    assert torch.equal(read(encoder, IDS)[1], read(again.eval(), IDS)[1])


def test_a_network_can_be_built_without_memory() -> None:
    with torch.device("meta"):
        assert TextEncoder(words=WORDS, width=8, heads=2).place.is_meta


@pytest.mark.parametrize(
    "config",
    [
        {"width": 0},
        {"width": 10**9},
        {"width": 9, "heads": 2},
        {"heads": 16},
        {"layers": True},
        {"feed_forward": 2.5},
        {"most_tokens": 10**6},
    ],
)
def test_sizes_that_cannot_be_meant_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        network(**config)


def test_a_vocabulary_and_readings_are_needed_that_can_be_meant() -> None:
    with pytest.raises(ValueError, match="number of words"):
        TextEncoder(words=[])
    with pytest.raises(ValueError, match="values of plane"):
        TextEncoder(words=WORDS, readings={"plane": ["axial"]})

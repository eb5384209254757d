from __future__ import annotations

from pathlib import Path

import pytest
import torch

from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.modelpack.text.bilingual import CONFIG, WEIGHTS, BilingualEncoder
from isocenter.modelpack.text.encoder import TextEncoder as AnyTextEncoder
from isocenter.modelpack.text.vocabulary import Vocabulary
from isocenter.networks.text_encoder import TextEncoder

WORDS = Vocabulary.of(["no", "glioma", "left", "right", "mm", "t1", "左侧", "胶质瘤", "未见"])


@pytest.fixture(scope="module")
def encoder() -> BilingualEncoder:
    torch.manual_seed(0)
    network = TextEncoder(
        words=WORDS.words,
        readings={"side": ["", "left", "right"], "no glioma": ["", "yes"]},
        width=8,
        layers=1,
        heads=2,
        feed_forward=8,
        most_tokens=8,
    )
    return BilingualEncoder(network)


def test_texts_become_vectors_with_their_words(encoder: BilingualEncoder) -> None:
    reader: AnyTextEncoder = encoder
    found = reader.encode(["left glioma, 30 mm", "左侧胶质瘤", ""])
    assert found.tokens.shape == (3, 8, reader.width)
    assert found.pooled.shape == (3, reader.width)
    assert found.mask.sum(dim=1).tolist() == [7, 3, 1]
    assert found.words[0] == (("left", (1,)), ("glioma", (2,)), ("30", (4, 5)), ("mm", (6,)))
    assert found.words[1] == (("左侧", (1,)), ("胶质瘤", (2,)))
    assert found.words[2] == ()


def test_a_text_is_the_same_in_any_batch(encoder: BilingualEncoder) -> None:
    texts = ["left glioma", "no right glioma 30 mm", "左侧"]
    together = encoder.encode(texts)
    for number, text in enumerate(texts):
        alone = encoder.encode([text])
        assert torch.equal(together.tokens[number], alone.tokens[0])
        assert torch.equal(together.pooled[number], alone.pooled[0])


def test_many_texts_at_once_are_read_alike(encoder: BilingualEncoder) -> None:
    texts = ["left glioma", "no right glioma 30 mm", "左侧"]
    one, other = encoder.encode(texts), encoder.encode_together(texts)
    assert torch.equal(one.mask, other.mask)
    assert one.words == other.words
    torch.testing.assert_close(one.tokens, other.tokens)
    torch.testing.assert_close(one.pooled, other.pooled)


def test_no_texts_give_no_vectors(encoder: BilingualEncoder) -> None:
    found = encoder.encode([])
    assert found.tokens.shape == (0, 8, 8)
    assert found.pooled.shape == (0, 8)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("left gliomas", "'gliomas' (known is glioma)"),
        ("左侧脑积水", "'脑积水'"),
        ("left astrocytoma and gliomas", "3 words"),
    ],
)
def test_unknown_words_are_refused_by_name(
    encoder: BilingualEncoder, text: str, named: str
) -> None:
    with pytest.raises(InputRefused, match=r"not learned") as refusal:
        encoder.check(text)
    assert named in str(refusal.value)


def test_a_long_text_is_refused(encoder: BilingualEncoder) -> None:
    encoder.check("left " * 7)
    with pytest.raises(InputRefused, match="at most 7"):
        encoder.check("left " * 8)
    with pytest.raises(InputRefused, match="say less"):
        encoder.encode(["left " * 8])


def test_what_was_understood_can_be_asked(encoder: BilingualEncoder) -> None:
    network = TextEncoder(**encoder.network.config)
    assert network.readings is not None
    with torch.no_grad():
        network.readings.weight.zero_()
        network.readings.bias.copy_(torch.tensor([0.0, 2.0, 1.0, 1.0, 0.0]))
    assert BilingualEncoder(network).said("glioma") == {"side": "left"}


def test_an_encoder_is_read_back(encoder: BilingualEncoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    first, second = (BilingualEncoder.from_folder(tmp_path) for _ in range(2))
    text = ["left glioma"]
    assert torch.equal(first.encode(text).pooled, second.encode(text).pooled)
    assert torch.allclose(first.encode(text).pooled, encoder.encode(text).pooled, atol=0.02)


def test_what_is_no_encoder_is_refused(encoder: BilingualEncoder, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="no text encoder"):
        BilingualEncoder.from_folder(tmp_path / "nowhere")
    encoder.save(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"no tensors")
    with pytest.raises(ModelRefused, match="no text encoder"):
        BilingualEncoder.from_folder(tmp_path)
    encoder.save(tmp_path)
    text = (tmp_path / CONFIG).read_text().replace('"width": 8', '"width": 4')
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(ModelRefused, match="no text encoder"):
        BilingualEncoder.from_folder(tmp_path)

"""On tiny models that are made here; nothing is fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.modelpack.text.encoder import TextEncoder
from isocenter.modelpack.text.hugging_face import HuggingFaceEncoder

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

SIZES: dict[str, Any] = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
}
ENGLISH = ["left", "gli", "##oma", "no", "t1", "-", "weighted", "[CLS]", "[SEP]"]
CHINESE = [*"左侧脑膜瘤未见", "t1", "[CLS]", "[SEP]"]


def save_tokenizer(tokenizer: Any, folder: Path, **special: str) -> None:
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=16, **special
    )
    fast.save_pretrained(folder)


def save_word_pieces(folder: Path, pieces: list[str]) -> int:
    vocabulary = {piece: number for number, piece in enumerate(["[PAD]", "[UNK]", *pieces])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    save_tokenizer(
        tokenizer,
        folder,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    return len(vocabulary)


def make_bert(folder: Path) -> None:
    count = save_word_pieces(folder, ENGLISH)
    config = transformers.BertConfig(vocab_size=count, max_position_embeddings=12, **SIZES)
    transformers.BertModel(config).save_pretrained(folder)


def make_chinese_roberta(folder: Path) -> None:
    """As Chinese RoBERTa is published: RoBERTa's training with the classes and words of BERT."""
    count = save_word_pieces(folder, CHINESE)
    config = transformers.BertConfig(vocab_size=count, max_position_embeddings=12, **SIZES)
    transformers.BertModel(config).save_pretrained(folder)


def make_roberta(folder: Path) -> None:
    count = save_word_pieces(folder, ENGLISH)
    config = transformers.RobertaConfig(
        vocab_size=count, max_position_embeddings=12, pad_token_id=0, **SIZES
    )
    transformers.RobertaModel(config).save_pretrained(folder)


def _save_byte_pairs(folder: Path) -> int:
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate([*letters, "<start>", "<end>"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<start> $A <end>",
        special_tokens=[(name, vocabulary[name]) for name in ("<start>", "<end>")],
    )
    save_tokenizer(
        tokenizer,
        folder,
        bos_token="<start>",
        eos_token="<end>",
        unk_token="<end>",
        pad_token="<end>",
    )
    return len(vocabulary)


def make_clip(folder: Path, *, whole: bool = False) -> None:
    count = _save_byte_pairs(folder)
    text: dict[str, Any] = {
        **SIZES,
        "vocab_size": count,
        "max_position_embeddings": 16,
        "projection_dim": 8,
        "bos_token_id": count - 2,
        "eos_token_id": count - 1,
        "pad_token_id": count - 1,
    }
    if not whole:
        transformers.CLIPTextModel(transformers.CLIPTextConfig(**text)).save_pretrained(folder)
        return
    vision = {**SIZES, "image_size": 8, "patch_size": 4, "projection_dim": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    transformers.CLIPModel(config).save_pretrained(folder)


def make_whole_clip(folder: Path) -> None:
    make_clip(folder, whole=True)


@pytest.fixture(autouse=True)
def same_weights() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def positions(encoder: HuggingFaceEncoder, text: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return encoder.encode([text]).words[0]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (make_bert, "left glioma"),
        (make_roberta, "left glioma"),
        (make_chinese_roberta, "左侧脑膜瘤"),
        (make_clip, "left one"),
        (make_whole_clip, "left one"),
    ],
)
def test_any_kind_of_encoder_gives_the_same_shapes(make: Any, text: str, tmp_path: Path) -> None:
    make(tmp_path)
    encoder: TextEncoder = HuggingFaceEncoder.load(tmp_path)
    found = encoder.encode([text, ""])
    assert encoder.width == 8
    assert encoder.name == tmp_path.name
    assert found.tokens.shape == (2, found.mask.shape[1], 8)
    assert found.pooled.shape == (2, 8)
    assert found.mask[0].sum() > found.mask[1].sum()
    assert not found.tokens[~found.mask].any()
    alone = encoder.encode([text])
    assert torch.equal(found.tokens[:1], alone.tokens)
    assert torch.equal(found.pooled[:1], alone.pooled)


def test_words_are_found_by_where_they_stand(tmp_path: Path) -> None:
    make_bert(tmp_path)
    encoder = HuggingFaceEncoder.load(tmp_path)
    assert positions(encoder, "No Glioma, T1-weighted") == (
        ("No", (1,)),
        ("Glioma", (2, 3)),
        ("T1", (5,)),
        ("weighted", (7,)),
    )


def test_chinese_is_read_character_by_character(tmp_path: Path) -> None:
    make_chinese_roberta(tmp_path)
    encoder = HuggingFaceEncoder.load(tmp_path)
    assert positions(encoder, "未见脑膜瘤")[0] == ("未", (1,))
    assert len(positions(encoder, "未见脑膜瘤")) == 5


def test_words_without_a_token_are_refused(tmp_path: Path) -> None:
    make_bert(tmp_path)
    encoder = HuggingFaceEncoder.load(tmp_path)
    encoder.check("left glioma")
    with pytest.raises(InputRefused, match="'meningioma'"):
        encoder.check("left meningioma")
    with pytest.raises(InputRefused, match="reads at most 12"):
        encoder.check("left " * 20)


def test_a_byte_level_tokenizer_knows_everything(tmp_path: Path) -> None:
    make_clip(tmp_path)
    HuggingFaceEncoder.load(tmp_path).check("瘤!")


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    make_bert(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelRefused, match=r"pytorch_model\.bin, a pickle"):
        HuggingFaceEncoder.load(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="no weights"):
        HuggingFaceEncoder.load(tmp_path)


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path) -> None:
    make_bert(tmp_path)
    (tmp_path / "modeling_own.py").write_text("raise SystemExit('this must never run')\n")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "modeling_own.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelRefused, match="cannot be had"):
        HuggingFaceEncoder.load(tmp_path)


def test_a_name_that_cannot_be_fetched_is_refused() -> None:
    with pytest.raises(ModelRefused, match=r"nobody/no-such-encoder cannot be had.*Hub"):
        HuggingFaceEncoder.load("nobody/no-such-encoder", may_download=False)


def test_a_tokenizer_that_cannot_place_words_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(ModelRefused, match=r"tokenizer\.json"):
        HuggingFaceEncoder(object(), Slow(), name="old")

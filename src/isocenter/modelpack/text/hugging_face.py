"""Any text encoder of Hugging Face as a condition: CLIP, BERT and what is built like them.

Weights are read from safetensors only, and no code that comes with a model is ever run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.modelpack.text.encoder import EncodedText

# Longest text, as long as Stable Diffusion reads; less where the model reads less.
MOST_TOKENS = 77
_CLIP = ("clip", "clip_text_model")
_ENCODER_OF_TWO = ("t5", "mt5")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class HuggingFaceEncoder:
    """Reads texts with a model of the transformers library.

    Args:
        model: its text part; gives ``last_hidden_state``.
        tokenizer: a fast one, which knows where in the text each token came from.
        name: for people and for the record of a run.
        device: where it computes.

    Raises:
        ModelRefused: the tokenizer does not say where tokens come from.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str, device: str = "cpu") -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelRefused(
                f"the tokenizer of {name} does not say which word a token belongs to; take a model "
                "that has a tokenizer.json"
            )
        self.model = model.to(device).eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.width = int(model.config.hidden_size)
        self.most_tokens = _most_tokens(model.config, tokenizer)
        self.device = device

    @classmethod
    def load(
        cls, name: str | Path, *, device: str = "cpu", may_download: bool = True
    ) -> HuggingFaceEncoder:
        """By the name of a model on the Hugging Face Hub, or from a folder.

        Args:
            name: such as "openai/clip-vit-base-patch32", or a folder with ``config.json``,
                ``model.safetensors`` and ``tokenizer.json``.
            device: "cpu" or "cuda".
            may_download: False takes what was fetched before only.

        Raises:
            ModelRefused: transformers is not installed, the model cannot be had, has no
                safetensors, needs code of its own, or is no text encoder.
        """
        folder = Path(name).expanduser()
        is_folder = folder.is_dir()
        shown = folder.name if is_folder else str(name)
        if is_folder:
            _refuse_pickles_alone(folder)
        place: dict[str, Any] = {
            "pretrained_model_name_or_path": str(folder if is_folder else name),
            "local_files_only": is_folder or not may_download,
            "trust_remote_code": False,
        }
        try:
            from transformers import AutoConfig, AutoTokenizer
        except ImportError as error:
            raise ModelRefused(
                "text encoders of Hugging Face need transformers; run `pip install transformers`, "
                "or take the encoder that comes with the model"
            ) from error
        try:
            config = AutoConfig.from_pretrained(**place)
            tokenizer = AutoTokenizer.from_pretrained(**place)
            model = _model_class(config).from_pretrained(
                **place, use_safetensors=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, TypeError) as error:
            raise ModelRefused(
                f"the text encoder {shown} cannot be had: {_first_line(error)}; accepted is the "
                "name of a model on the Hugging Face Hub that can be reached, or a folder with "
                "config.json, model.safetensors and tokenizer.json, of a kind that transformers "
                "knows without code from elsewhere"
            ) from error
        return cls(model, tokenizer, name=shown, device=device)

    def check(self, text: str) -> None:
        """Refuse what the tokenizer has no tokens for.

        Raises:
            InputRefused: characters or words without a token, or a text that is too long.
        """
        encoded = self._tokens(text)
        unknown = self.tokenizer.unk_token_id
        if unknown is None or unknown == self.tokenizer.eos_token_id:
            return  # a byte-level tokenizer, which has tokens for everything
        words = _words(encoded, text)
        lost = [
            word for word, places in words if any(encoded["ids"][at] == unknown for at in places)
        ]
        if lost:
            raise InputRefused(
                f"the text encoder {self.name} does not know {', '.join(map(repr, lost[:5]))}"
                f"{' and others' if len(lost) > 5 else ''}; say it in other words, or take an "
                "encoder for this language"
            )

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> EncodedText:
        """Read texts, each by itself, so that a text is the same in any batch.

        ``pooled`` is what a CLIP model pools itself, and the mean over all tokens else.

        Raises:
            InputRefused: a text is too long.
        """
        tokens = torch.zeros(len(texts), self.most_tokens, self.width)
        mask = torch.zeros(len(texts), self.most_tokens, dtype=torch.bool)
        pooled = torch.zeros(len(texts), self.width)
        words = []
        for number, text in enumerate(texts):
            encoded = self._tokens(text)
            length = len(encoded["ids"])
            if length:
                ids = torch.tensor([encoded["ids"]], device=self.device)
                tokens[number, :length], pooled[number] = self._read(ids)
            mask[number, :length] = True
            words.append(_words(encoded, text))
        to = self.device
        return EncodedText(
            tokens=tokens.to(to), mask=mask.to(to), pooled=pooled.to(to), words=tuple(words)
        )

    def _read(self, ids_BL: Tensor) -> tuple[Tensor, Tensor]:
        found = self.model(input_ids=ids_BL, attention_mask=torch.ones_like(ids_BL))
        tokens = found.last_hidden_state[0].float()
        if self.model.config.model_type in _CLIP:
            return tokens, found.pooler_output[0].float()
        return tokens, tokens.mean(dim=0)

    def _tokens(self, text: str) -> dict[str, Any]:
        encoded = self.tokenizer(text, return_offsets_mapping=True, truncation=False, verbose=False)
        ids = list(encoded["input_ids"])
        if len(ids) > self.most_tokens:
            raise InputRefused(
                f"the text has {len(ids)} tokens, the text encoder {self.name} reads at most "
                f"{self.most_tokens}; say less"
            )
        return {"ids": ids, "offsets": encoded["offset_mapping"], "words": encoded.word_ids()}


def _words(encoded: dict[str, Any], text: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Words of a text with the positions of their tokens; marks are no words."""
    places: dict[int, list[int]] = {}
    for place, word in enumerate(encoded["words"]):
        if word is not None:
            places.setdefault(word, []).append(place)
    found = []
    for at in places.values():
        begins, ends = zip(*(encoded["offsets"][place] for place in at), strict=True)
        word = text[min(begins) : max(ends)].strip()
        if any(letter.isalnum() for letter in word):
            found.append((word, tuple(at)))
    return tuple(found)


def _model_class(config: Any) -> Any:
    import transformers

    if config.model_type in _CLIP:
        return transformers.CLIPTextModel
    if config.model_type in _ENCODER_OF_TWO:
        return transformers.AutoModelForTextEncoding
    return transformers.AutoModel


def _most_tokens(config: Any, tokenizer: Any) -> int:
    """RoBERTa numbers positions after its padding's number, so two fewer are left."""
    positions = getattr(config, "max_position_embeddings", None) or MOST_TOKENS
    if "roberta" in config.model_type:
        positions -= config.pad_token_id + 1
    return int(min(MOST_TOKENS, positions, tokenizer.model_max_length))


def _refuse_pickles_alone(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ModelRefused(
            f"the folder of the text encoder holds its weights as {', '.join(pickles[:3])}, a "
            "pickle, which could run code when it is read; accepted is model.safetensors, which "
            "most models on the Hugging Face Hub have too"
        )
    raise ModelRefused(
        "the folder of the text encoder holds no weights; accepted is model.safetensors beside "
        "config.json and tokenizer.json"
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0] if len(lines[0]) <= 200 else lines[0][:197] + "..."

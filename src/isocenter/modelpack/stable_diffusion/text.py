"""What a sentence tells the network: tokens, and the embeddings of one or two text encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from isocenter.modelpack.stable_diffusion.parts import StableParts


@dataclass(frozen=True, kw_only=True)
class TextCondition:
    """Embedded sentences.

    Attributes:
        tokens: (sentence, token, feature).
        pooled: (sentence, feature) for XL, else None.
    """

    tokens: Tensor
    pooled: Tensor | None = None

    def after(self, other: TextCondition) -> TextCondition:
        """Another's sentences, then these."""
        pooled = None
        if self.pooled is not None and other.pooled is not None:
            pooled = torch.cat([other.pooled, self.pooled])
        return TextCondition(tokens=torch.cat([other.tokens, self.tokens]), pooled=pooled)

    def kept(self, keep: Tensor) -> TextCondition:
        """Zeros for the sentences where ``keep``, (sentence,) of 0 and 1, is 0."""
        pooled = None if self.pooled is None else self.pooled * keep[:, None].to(self.pooled)
        return TextCondition(
            tokens=self.tokens * keep[:, None, None].to(self.tokens), pooled=pooled
        )


def token_ids(parts: StableParts, texts: Sequence[str]) -> tuple[Tensor, ...]:
    """(sentence, token) whole numbers, one tensor a tokenizer; what is too long is cut."""
    return tuple(
        tokenizer(
            list(texts),
            padding="max_length",
            max_length=longest(parts),
            truncation=True,
            return_tensors="pt",
        ).input_ids
        for tokenizer in parts.tokenizers
    )


def num_tokens(parts: StableParts, text: str) -> int:
    """How many tokens a text has, without the two that mark its ends; by the longest count."""
    return max(len(tokenizer(text).input_ids) for tokenizer in parts.tokenizers) - 2


def longest(parts: StableParts) -> int:
    """Tokens that the text encoders take, the two ends included."""
    return min(int(encoder.config.max_position_embeddings) for encoder in parts.text_encoders)


def embed(parts: StableParts, ids: Sequence[Tensor]) -> TextCondition:
    """Embed sentences as the network was fitted to them.

    Stable Diffusion 1 and 2 take the last layer of their text encoder. XL takes the last but one of
    both, side by side, and the summary of the second.

    Args:
        parts: the model.
        ids: as :func:`token_ids` gives them.
    """
    if not parts.is_xl:
        return TextCondition(tokens=_run(parts.text_encoders[0], ids[0])[0])
    given = [
        _run(encoder, tokens, output_hidden_states=True)
        for encoder, tokens in zip(parts.text_encoders, ids, strict=True)
    ]
    tokens = torch.cat([one.hidden_states[-2] for one in given], dim=-1)
    return TextCondition(tokens=tokens, pooled=given[1][0])


def embed_texts(parts: StableParts, texts: Sequence[str]) -> TextCondition:
    """Embed sentences; "" is no text, which some XL models take as zeros."""
    condition = embed(parts, token_ids(parts, texts))
    if parts.zeros_for_no_text and not all(texts):
        return condition.kept(torch.tensor([float(bool(text)) for text in texts]))
    return condition


def size_ids(parts: StableParts, rows: int, columns: int) -> Tensor:
    """(1, 6): size before and after cropping, and where the crop began, as XL was fitted to."""
    return torch.tensor([[rows, columns, 0, 0, rows, columns]], dtype=torch.float32)


def conditions(condition: TextCondition, sizes: Tensor) -> dict[str, Any]:
    """The arguments of the denoiser beside the image and the time.

    Args:
        condition: of (sentence, ...).
        sizes: (1, 6) or (sentence, 6), as :func:`size_ids` gives them.
    """
    if condition.pooled is None:
        return {"encoder_hidden_states": condition.tokens}
    placed = sizes.to(condition.tokens).expand(len(condition.pooled), -1)
    added = {"text_embeds": condition.pooled, "time_ids": placed}
    return {"encoder_hidden_states": condition.tokens, "added_cond_kwargs": added}


def _run(encoder: Any, tokens: Tensor, **options: Any) -> Any:
    return encoder(tokens.to(encoder.device), **options)

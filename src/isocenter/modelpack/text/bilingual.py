"""Our own encoder: English and Chinese sentences about images, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.core.files import write_json
from isocenter.modelpack.text.encoder import EncodedText
from isocenter.modelpack.text.vocabulary import START, Vocabulary, Word
from isocenter.networks.text_encoder import TextEncoder

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
_MOST_HINTS = 5


class BilingualEncoder:
    """Reads sentences with :class:`isocenter.networks.text_encoder.TextEncoder`.

    Args:
        network: trained; its configuration holds the vocabulary.
        device: where it computes.
    """

    name = "isocenter bilingual"

    def __init__(self, network: TextEncoder, *, device: str = "cpu") -> None:
        self.network = network.to(device).eval()
        self.vocabulary = Vocabulary(network.config["words"])
        self.width = network.width
        self.device = device

    @classmethod
    def from_folder(cls, folder: str | Path, *, device: str = "cpu") -> BilingualEncoder:
        """From a folder that :meth:`save` wrote, such as the part of a model folder.

        Raises:
            ModelRefused: no such folder, or not what it should be.
        """
        folder = Path(folder)
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            named = {name: value for name, value in config.items() if not name.startswith("_")}
            network = TextEncoder(**named)
            state = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
            network.load_state_dict(state)
        except (
            OSError,
            ValueError,
            TypeError,
            AttributeError,
            RuntimeError,
            SafetensorError,
        ) as error:
            raise ModelRefused(f"the folder holds no text encoder: {error}") from error
        return cls(network, device=device)

    def save(self, folder: str | Path) -> None:
        """Write configuration and weights, these in half precision."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / CONFIG, {"_class_name": "TextEncoder", **self.network.config})
        state = self.network.state_dict()
        halves = {name: tensor.half().contiguous().cpu() for name, tensor in state.items()}
        save_file(halves, folder / WEIGHTS)

    def check(self, text: str) -> None:
        """Refuse what was never read in training.

        Raises:
            InputRefused: unknown words, named with known ones that are near, or a long text.
        """
        unknown = self.vocabulary.unknown_words(text)
        if unknown:
            raise InputRefused(
                f"the text holds {_words(len(unknown))} that the model has not learned: "
                f"{', '.join(self._hinted(word) for word in unknown[:_MOST_HINTS])}"
                f"{' and others' if len(unknown) > _MOST_HINTS else ''}; say it in the words that "
                "docs/text.md lists"
            )
        self._ids(self.vocabulary.split(text))

    def _hinted(self, word: str) -> str:
        near = self.vocabulary.near(word)
        shown = word if len(word) <= 40 else word[:37] + "..."
        return f"{shown!r} (known is {', '.join(near)})" if near else repr(shown)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> EncodedText:
        """Read texts, each by itself, so that a text is the same in any batch.

        Raises:
            InputRefused: a text is too long.
        """
        split = [self.vocabulary.split(text) for text in texts]
        ids, mask = self.tensors(split)
        read = [self.network(ids[k : k + 1], mask[k : k + 1]) for k in range(len(split))]
        width = (0, self.width)
        return EncodedText(
            tokens=torch.cat([tokens for tokens, _ in read])
            if read
            else torch.zeros(0, self.network.most_tokens, self.width),
            mask=mask,
            pooled=torch.cat([pooled for _, pooled in read]) if read else torch.zeros(width),
            words=tuple(_positions(words) for words in split),
        )

    @torch.no_grad()
    def encode_together(self, texts: Sequence[str]) -> EncodedText:
        """Read many texts at once, for training: much faster, and equal but for rounding.

        Raises:
            InputRefused: a text is too long.
        """
        split = [self.vocabulary.split(text) for text in texts]
        ids, mask = self.tensors(split)
        tokens, pooled = self.network(ids, mask)
        return EncodedText(
            tokens=tokens, mask=mask, pooled=pooled, words=tuple(map(_positions, split))
        )

    @torch.no_grad()
    def said(self, text: str) -> dict[str, str]:
        """What the encoder understands: attributes that the text names, each with its value.

        What is absent stands under "no NAME", with the value "yes". Other readings are named as
        in :data:`isocenter.datasets.sentences.meaning.VALUES`.
        """
        pooled = self.encode([text]).pooled
        values = self.network.config["readings"]
        best = {
            name: values[name][int(scores.argmax())]
            for name, scores in self.network.read(pooled).items()
        }
        return {name: value for name, value in best.items() if value}

    def tensors(self, split: Sequence[Sequence[Word]]) -> tuple[Tensor, Tensor]:
        """Numbers (B, L) and mask (B, L) of texts that were split, with the start before each.

        Raises:
            InputRefused: a text is too long.
        """
        ids = torch.zeros(len(split), self.network.most_tokens, dtype=torch.long)
        for row, words in zip(ids, split, strict=True):
            found = self._ids(words)
            row[: len(found)] = torch.tensor(found)
        return ids.to(self.device), (ids > 0).to(self.device)

    def _ids(self, words: Sequence[Word]) -> list[int]:
        start = self.vocabulary.words.index(START)
        ids = [start, *(number for word in words for number in word.ids)]
        most = self.network.most_tokens
        if len(ids) > most:
            raise InputRefused(
                f"the text has {len(ids) - 1} words, digits and marks, the model reads at most "
                f"{most - 1}; say less"
            )
        return ids


def _positions(words: Sequence[Word]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Words with the positions of their tokens; marks are no words."""
    found, place = [], 1
    for word in words:
        if not word.is_mark:
            found.append((word.text, tuple(range(place, place + len(word.ids)))))
        place += len(word.ids)
    return tuple(found)


def _words(count: int) -> str:
    return "a word" if count == 1 else f"{count} words"

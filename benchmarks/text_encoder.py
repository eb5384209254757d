"""How well a text encoder reads sentences that bring phrases together as training never did.

    python -m benchmarks.text_encoder --encoder FOLDER [--output FOLDER]

FOLDER is what ``isocenter.recipes.generate.text_encoder.train`` wrote, or ``text`` in a generator's
folder. It writes text_encoder.json and prints the table of docs/text.md.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.generate.tables import table
from isocenter.core.files import sha256_of, write_json
from isocenter.core.seeds import generator_for
from isocenter.datasets.sentences.grammar import say
from isocenter.datasets.sentences.meaning import Meaning, changed, drawn_meaning
from isocenter.modelpack.text.bilingual import WEIGHTS, BilingualEncoder
from isocenter.training.generator.text import READINGS, read_from

COUNT, SEED = 2500, 1
_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class TextFigures:
    """Shares of held-out sentences, 0 to 1.

    Attributes:
        sentences: how many were read, half of them in each language.
        all_right: of which every attribute was read as meant.
        all_right_english, all_right_chinese: in one language.
        agreement: pairs of an English and a Chinese sentence of one meaning of which all attributes
            were read alike, rightly or not.
        negation_right: sentences that deny something of which all that is denied, and what is
            found, was read as meant.
        nearest: sentences whose nearest in the other language, of all in the collection, has the
            same meaning.
        worst: the attribute read worst.
        worst_right: how often that was right.
    """

    sentences: int
    all_right: float
    all_right_english: float
    all_right_chinese: float
    agreement: float
    negation_right: float
    nearest: float
    worst: str
    worst_right: float

    def markdown(self) -> str:
        """The table that people read."""
        rows = {
            "every attribute of a sentence read as meant": f"{_percent(self.all_right)} (English "
            f"{_percent(self.all_right_english)}, Chinese {_percent(self.all_right_chinese)})",
            "an English and a Chinese sentence of one meaning read alike in every attribute": (
                _percent(self.agreement)
            ),
            "in sentences that deny something, the finding and all that is denied read as meant": (
                _percent(self.negation_right)
            ),
            f"the nearest sentence of the other language, among {self.sentences // 2:,}, means the "
            "same": _percent(self.nearest),
            f"the attribute read worst, {self.worst}": _percent(self.worst_right),
        }
        return table(("What", "Share"), rows.items())


def main() -> None:
    """Read, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", type=Path, required=True, help="folder of the text encoder")
    parser.add_argument("--output", type=Path, default=Path("runs/text_encoder"))
    parser.add_argument("--number", type=int, default=COUNT, help="meanings, each in two languages")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    encoder = BilingualEncoder.from_folder(options.encoder)
    figures = text_figures(encoder, count=options.number, seed=options.seed)
    options.output.mkdir(parents=True, exist_ok=True)
    of_what = {"weights_sha256": sha256_of(options.encoder / WEIGHTS), "seed": options.seed}
    write_json(options.output / "text_encoder.json", of_what | asdict(figures))
    print(figures.markdown())


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def held_out_pairs(count: int, *, seed: int) -> list[tuple[Meaning, str, str]]:
    """Meanings with a held-out sentence in English and one in Chinese.

    Every second meaning differs in one thing from the one before it.
    """
    pairs: list[tuple[Meaning, str, str]] = []
    number = 0
    while len(pairs) < count:
        rng = generator_for(seed, "figures", number)
        number += 1
        meaning = drawn_meaning(rng)
        for each in (meaning, changed(meaning, rng)):
            english, chinese = (_held_out(each, rng, language) for language in ("en", "zh"))
            if english and chinese:
                pairs.append((each, english, chinese))
    return pairs[:count]


def _held_out(meaning: Meaning, rng: np.random.Generator, language: str) -> str:
    """Empty where a meaning has too few phrases to hold any pair out."""
    for _ in range(60):
        said = say(meaning, rng, language)
        if said.held_out:
            return said.text
    return ""


def text_figures(encoder: BilingualEncoder, *, count: int = COUNT, seed: int = SEED) -> TextFigures:
    """Read ``count`` held-out meanings in both languages."""
    pairs = held_out_pairs(count, seed=seed)
    meant = np.array([_values(meaning) for meaning, _, _ in pairs])
    english, english_vectors = _read(encoder, [text for _, text, _ in pairs])
    chinese, chinese_vectors = _read(encoder, [text for _, _, text in pairs])
    right_english, right_chinese = english == meant, chinese == meant
    right = np.concatenate([right_english, right_chinese])
    names = list(READINGS)
    each = right.mean(axis=0)
    denial = [name.startswith("no ") or name == "finding" for name in names]
    denies = np.tile([bool(meaning.absent) for meaning, _, _ in pairs], 2)
    return TextFigures(
        sentences=len(right),
        all_right=float(right.all(axis=1).mean()),
        all_right_english=float(right_english.all(axis=1).mean()),
        all_right_chinese=float(right_chinese.all(axis=1).mean()),
        agreement=float((english == chinese).all(axis=1).mean()),
        negation_right=float(right[denies][:, denial].all(axis=1).mean()),
        nearest=_nearest_right(english_vectors, chinese_vectors, meant),
        worst=names[int(each.argmin())],
        worst_right=float(each.min()),
    )


def _values(meaning: Meaning) -> list[int]:
    told = read_from(meaning)
    return [values.index(told[name]) for name, values in READINGS.items()]


@torch.no_grad()
def _read(encoder: BilingualEncoder, texts: list[str]) -> tuple[NDArray, Tensor]:
    """Read values (texts, attributes) and vectors of unit length (texts, channels)."""
    values, vectors = [], []
    for first in range(0, len(texts), _AT_ONCE):
        some = [encoder.vocabulary.split(text) for text in texts[first : first + _AT_ONCE]]
        _, pooled = encoder.network(*encoder.tensors(some))
        scores = encoder.network.read(pooled).values()
        values.append(torch.stack([score.argmax(dim=1) for score in scores], dim=1))
        vectors.append(functional.normalize(pooled, dim=1))
    return torch.cat(values).cpu().numpy(), torch.cat(vectors)


def _nearest_right(english: Tensor, chinese: Tensor, meant: NDArray) -> float:
    near = english @ chinese.T
    there, back = near.argmax(dim=1).cpu().numpy(), near.argmax(dim=0).cpu().numpy()
    found = [(meant[best] == meant).all(axis=1).mean() for best in (there, back)]
    return float(np.mean(found))


if __name__ == "__main__":
    main()

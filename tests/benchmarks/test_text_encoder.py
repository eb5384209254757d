"""The figures of docs/text.md, of an encoder that has learned nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from benchmarks.text_encoder import held_out_pairs, main, text_figures

from isocenter.datasets.sentences.meaning import Meaning
from isocenter.modelpack.text.bilingual import BilingualEncoder
from isocenter.networks.text_encoder import TextEncoder
from isocenter.training.generator.text import READINGS, read_from, vocabulary


@pytest.fixture(scope="module")
def encoder() -> BilingualEncoder:
    torch.manual_seed(0)
    return BilingualEncoder(
        TextEncoder(
            words=vocabulary().words,
            readings=READINGS,
            width=16,
            layers=1,
            heads=2,
            feed_forward=16,
            looks=2,
            most_tokens=40,
        )
    )


def test_figures_are_shares(encoder: BilingualEncoder) -> None:
    figures = asdict(text_figures(encoder, count=20))
    assert figures.pop("sentences") == 40
    assert isinstance(figures.pop("worst"), str)
    assert all(isinstance(share, float) and 0 <= share <= 1 for share in figures.values())


def test_one_who_reads_all_as_meant_has_full_shares(
    encoder: BilingualEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {text: meaning for meaning, *texts in held_out_pairs(20, seed=1) for text in texts}
    monkeypatch.setattr("benchmarks.text_encoder._read", lambda _, texts: _as_meant(said, texts))
    figures = asdict(text_figures(encoder, count=20))
    del figures["sentences"], figures["worst"]
    assert set(figures.values()) == {1.0}


def _as_meant(said: dict[str, Meaning], texts: list[str]) -> tuple[object, torch.Tensor]:
    told = [read_from(said[text]) for text in texts]
    numbers = [[values.index(one[name]) for name, values in READINGS.items()] for one in told]
    eyes = [torch.eye(len(values)) for values in READINGS.values()]
    spread = [torch.cat([eye[k] for eye, k in zip(eyes, row, strict=True)]) for row in numbers]
    return torch.tensor(numbers).numpy(), torch.stack(spread)


def test_pairs_to_judge_by_are_the_same_for_all() -> None:
    assert held_out_pairs(6, seed=1) == held_out_pairs(6, seed=1)
    assert held_out_pairs(6, seed=1) != held_out_pairs(6, seed=2)


def test_the_command_writes_figures_and_prints_their_table(
    encoder: BilingualEncoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    encoder.save(tmp_path / "encoder")
    options = ["--encoder", tmp_path / "encoder", "--output", tmp_path, "--number", 20]
    monkeypatch.setattr("sys.argv", ["text_encoder", *map(str, options)])
    main()
    written = json.loads((tmp_path / "text_encoder.json").read_text())
    assert written["sentences"] == 40
    assert len(written["weights_sha256"]) == 64
    assert (
        "| the nearest sentence of the other language, among 20, means" in capsys.readouterr().out
    )

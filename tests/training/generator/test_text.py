from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from isocenter.datasets.sentences.meaning import Meaning, drawn_meaning
from isocenter.modelpack.text.vocabulary import UNKNOWN, Vocabulary
from isocenter.networks.text_encoder import TextEncoder
from isocenter.training.generator.text import (
    READINGS,
    SentencePairs,
    TextReader,
    contrast_loss,
    read_from,
    reading_loss,
    text_learner,
    vocabulary,
)
from isocenter.training.learner import Batch


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return vocabulary()


def small_encoder(words: Vocabulary) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(
        words=words.words, readings=READINGS, width=16, layers=1, heads=2, feed_forward=16, looks=4
    )


def batch(words: Vocabulary, *, count: int = 6, held_out: bool = False) -> Batch:
    pairs = SentencePairs(words, most_tokens=40, seed=0, count=count, held_out=held_out)
    return next(iter(DataLoader(pairs, batch_size=count)))


def test_every_word_of_the_grammar_is_known(words: Vocabulary) -> None:
    ids = torch.cat([batch(words, count=40)["ids"], batch(words, count=20, held_out=True)["ids"]])
    assert not (ids == words.words.index(UNKNOWN)).any()


def test_an_item_says_two_meanings_twice(words: Vocabulary) -> None:
    found = batch(words)
    meaning = found["meaning"]
    assert found["ids"].shape == (6, 4, 40)
    assert torch.equal(meaning[:, 0], meaning[:, 1])
    assert torch.equal(meaning[:, 2], meaning[:, 3])
    assert (meaning[:, 0] != meaning[:, 2]).all()
    assert torch.equal(found["labels"][:, 0], found["labels"][:, 1])


def test_an_item_is_the_same_wherever_the_run_begins(words: Vocabulary) -> None:
    late = next(iter(SentencePairs(words, most_tokens=40, seed=0, first=4)))
    whole = batch(words)
    assert all(torch.equal(late[name], whole[name][4]) for name in late)


def test_what_should_be_read_is_what_was_meant() -> None:
    meaning = Meaning(finding="glioma", size="medium", size_mm=37, absent=("meningioma",))
    told = {name: value for name, value in read_from(meaning).items() if value}
    assert told == {
        "finding": "glioma",
        "size": "medium",
        "tens of mm": "3",
        "no meningioma": "yes",
    }
    assert read_from(Meaning(finding="tumor", size="small", size_mm=7))["tens of mm"] == "0"
    rng = np.random.default_rng(0)
    for _ in range(100):
        told = read_from(drawn_meaning(rng))
        assert all(value in READINGS[name] for name, value in told.items())


def test_likes_that_are_near_cost_less() -> None:
    meaning = torch.tensor([1, 1, 2, 2])
    near = torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]])
    assert contrast_loss(near, meaning) < contrast_loss(near[[0, 2, 1, 3]], meaning)
    alone = contrast_loss(near, torch.arange(4))
    assert alone == 0


def test_a_reading_costs_nothing_once_it_is_sure_and_right() -> None:
    labels = torch.tensor([[0, 1], [1, 0]])
    sure = [50 * torch.eye(2)[labels[:, number]] for number in range(2)]
    assert reading_loss(sure, labels) < 1e-6
    assert reading_loss(sure, 1 - labels) > 10


def test_sentences_come_back_in_their_order(words: Vocabulary) -> None:
    reader = TextReader(small_encoder(words)).eval()
    ids = batch(words)["ids"].flatten(0, 1)
    with torch.no_grad():
        vectors, of_sentence, of_words = reader(ids)
        alone, of_one, of_its_words = reader(ids[5:6])
    assert torch.allclose(vectors[5], alone[0], atol=1e-5)
    for together, single in zip(of_sentence + of_words, of_one + of_its_words, strict=True):
        assert torch.allclose(together[5], single[0], atol=1e-4)


def test_the_learner_learns(words: Vocabulary) -> None:
    learner = text_learner(small_encoder(words))
    optimizer = torch.optim.Adam(learner.network.parameters(), lr=0.01)
    data = batch(words)
    losses = []
    for _ in range(8):
        loss, logs = learner.loss(learner.network, data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert set(logs) == {"contrast", "sentence", "words"}
    assert learner.merit(learner.network, data).shape == (6,)

"""Topics and chapters with the real weights of MiniLM, over the labelled texts of the bench."""

import re

import pytest

from bench.intelligence_texts import SEGMENTS
from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.intelligence import chapters, topics
from sottovoce.intelligence.protocols import Sentence
from sottovoce.intelligence.stages import StageName
from sottovoce.transcript.model import RATE

pytestmark = [pytest.mark.weights]
COOKING = (
    "Chop the onions and fry them in butter.", "Add the tomatoes and a spoon of sugar.", "The soup simmers for an hour.",
    "Season the soup with salt and basil.", "Bake the bread until the crust is brown.", "Serve the soup hot with the bread.",
    "The onions must not burn in the pan.", "A little cream makes the soup smooth.",
)  # fmt: skip
FOOTBALL = (
    "The striker scored twice in the first half.", "Our goalkeeper saved a penalty.", "The coach changed three players.",
    "The team has won five matches in a row.", "The defender was sent off for a foul.", "Fans sang in the stadium until the end.",
    "The league title is decided next Saturday.", "The midfield lost too many balls.",
)  # fmt: skip


def backend(folder, skill):
    config = EngineConfig(models=folder)
    choice = registry.choose_stage(skill, "en", registry.offered(config))
    assert choice is not None
    assert choice.model == "minilm"
    return registry.load(skill, choice.key, config)


def test_labelled_segments_get_their_topics(real_minilm):
    texts = [re.split(r"(?<=[.?!]) ", text) for _, text in SEGMENTS]
    found = backend(real_minilm, StageName.TOPICS).assign(texts, topics.DEFAULT, lambda: None)
    named = [{topics.DEFAULT[number] for number in each} for each in found]
    labelled = [(label, got) for (label, _), got in zip(SEGMENTS, named, strict=True) if label]
    hits = sum(label in got for label, got in labelled)
    # measured: 29 of 30, with a precision of .91 (docs/intelligence.md)
    assert hits >= 0.85 * len(labelled)
    assert hits >= 0.8 * sum(map(len, named))


def test_a_chapter_begins_where_the_subject_changes(real_minilm):
    said = [
        Sentence(id=n, start=n * 4 * RATE, end=(n * 4 + 3) * RATE, text=text, words=len(text.split()), language="en")
        for n, text in enumerate((*COOKING, *FOOTBALL))
    ]
    found: list[chapters.Chapter] = list(backend(real_minilm, StageName.CHAPTERS).divide(said, lambda: None))
    assert [each.first for each in found] == [0, len(COOKING)]
    assert found[0].summary != found[1].summary

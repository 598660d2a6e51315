"""Summaries: lengths, forms, voices, languages; every sentence of one was spoken."""

import pytest

from sottovoce.intelligence import summary
from sottovoce.intelligence.backends.builtin.salience import phrase, terms
from sottovoce.intelligence.backends.builtin.summary import ExtractiveSummary
from sottovoce.request import Summarization
from tests.unit.intelligence.talk import items, scene, transcript, turns

BACKEND = ExtractiveSummary()
REPORT = """
The harbour of the city will get a new bridge for trains. The bridge over the harbour costs two hundred million.
Well, you know. The city council decided about the bridge on Monday. Trains will cross the harbour bridge in four years.
My cat sleeps on the sofa all day long. The council wants to pay half of the costs of the bridge.
Critics say that the harbour needs a tunnel instead of a bridge. A tunnel under the harbour is safer in a storm.
The costs of a tunnel are three times as high. The mayor of the city prefers the bridge for trains.
Work on the bridge begins next spring at the harbour. Ships pass under the bridge during the work.
The old bridge will be closed to trains. Visitors can see a model of the bridge in the city hall.
"""


def said(talk, **asked):
    value = summary.STAGE.run(scene(talk, summarization=Summarization(**asked)), BACKEND)
    return value["content"]


@pytest.mark.parametrize(("length", "most"), [("brief", 3), ("detailed", 10)])
def test_bullets_are_spoken_sentences_in_their_order(length, most):
    talk = transcript(items(REPORT))
    spoken = [each.text for each in scene(talk).sentences]
    lines = said(talk, summary_length=length).split("\n")
    assert len(lines) == most
    assert all(line.startswith("- ") for line in lines)
    places = [spoken.index(line[2:]) for line in lines]
    assert places == sorted(places)
    if length == "brief":
        assert not {"Well, you know.", "My cat sleeps on the sofa all day long."} & {line[2:] for line in lines}


def test_paragraphs_are_running_text():
    talk = transcript(items(REPORT))
    assert "\n" not in said(talk, summary_type="paragraphs")
    assert said(talk, summary_type="paragraphs", summary_length="detailed").count("\n\n") == 2


def test_a_conversation_quotes_each_voice():
    talk = turns(
        ("S1", "The bridge over the harbour is too expensive for the city. The bridge over the harbour needs money."),
        ("S2", "I bought a very nice blue umbrella last week in town."),
    )
    content = said(talk)  # two voices: a conversation
    assert "- S1: " in content
    assert "- S2: " in content
    assert "S1:" not in said(talk, content_type="informative")
    assert "S1:" in said(talk, content_type="conversational")


def test_a_short_text_is_its_own_summary_and_silence_has_none():
    assert said(transcript(items("Just one short sentence."))) == "- Just one short sentence."
    assert said(transcript()) == ""


def test_a_language_without_blanks_is_summarised_too():
    talk = transcript(items("今天天气好. 天气好我们去公园. 公园里有很多人. 他买了一本书."), language="cmn")
    assert len(said(talk).split("\n")) == 3


def test_a_backend_that_answers_nonsense_gives_no_summary():
    class Long:
        languages = frozenset({"en"})

        def summarize(self, sentences, wish, alive):
            return ["a"] * 99

    with pytest.raises(ValueError, match="99 sentences"):
        summary.STAGE.run(scene(transcript(items("A sentence.")), summarization=Summarization()), Long())


def test_terms_are_words_that_carry_meaning():
    assert terms("The cities and the city's boxes, you know") == ["city", "city", "box"]
    assert terms("公园里") == ["公园", "园里"]


def test_the_phrase_of_a_part_is_rare_elsewhere():
    from collections import Counter

    parts = ["The interest rate is high.", "A high interest rate hurts.", "The interest rate again."]
    elsewhere = Counter(term for text in [*parts, *["high and hurts again"] * 9] for term in terms(text))
    assert phrase(parts, elsewhere) == "interest rate"
    assert phrase(["the of and"], Counter()) == ""

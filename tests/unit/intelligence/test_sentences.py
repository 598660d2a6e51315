"""Sentences: where they end, and that they keep times, speakers and channels."""

from sottovoce.intelligence.sentences import MOST_WORDS, sentences
from sottovoce.transcript.model import RATE
from tests.unit.intelligence.talk import WORD, items, transcript, turns


def test_a_sentence_ends_with_its_mark_and_where_the_speaker_changes():
    found = sentences(turns(("S1", "Good day. How are"), ("S2", "you, my friend?")))
    assert [(each.id, each.text, each.speaker, each.words) for each in found] == [
        (0, "Good day.", "S1", 2),
        (1, "How are", "S1", 2),
        (2, "you, my friend?", "S2", 3),
    ]
    assert [(each.start, each.end) for each in found] == [(0, 2 * WORD), (2 * WORD, 4 * WORD), (4 * WORD, 7 * WORD)]


def test_a_pause_ends_a_sentence_and_so_does_its_length():
    found = sentences(transcript(items("one two"), items("three", start=5 * RATE)))
    assert [each.text for each in found] == ["one two", "three"]
    long = sentences(transcript(items("word " * (MOST_WORDS + 3))))
    assert [each.words for each in long] == [MOST_WORDS, 3]


def test_channels_that_speak_at_once_keep_their_sentences():
    found = sentences(
        transcript(items("Left says this.", channel="L"), items("Right says that.", start=100, channel="R"))
    )
    assert [(each.text, each.channel) for each in found] == [("Left says this.", "L"), ("Right says that.", "R")]


def test_a_language_without_blanks_gets_none():
    found = sentences(transcript(items("今天 天气 好.", start=0), language="cmn"))
    assert found[0].text == "今天天气好."
    assert sentences(transcript()) == ()

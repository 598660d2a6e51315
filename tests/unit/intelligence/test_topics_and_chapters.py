"""Topics and chapters over vectors that tests can foresee, and their shape (contract §7.7, §7.8)."""

import pytest

from sottovoce.intelligence import chapters, topics
from sottovoce.intelligence.backends.builtin.chapters import TiledChapters, borders
from sottovoce.intelligence.backends.builtin.topics import DESCRIBED, VectorTopics
from sottovoce.intelligence.chapters import Chapter
from sottovoce.intelligence.protocols import StageRefused
from sottovoce.request import TranscriptionRequest
from tests.tiny_encoder import WordVectors
from tests.unit.intelligence.talk import items, scene, transcript

MONEY = "The bank raised the interest rate. The rate of the bank hurts loans. Loans from the bank need interest. "
SOCCER = "The striker scored a goal. The goal of the striker won the match. The match ended with a goal. "
QUIET = lambda: None  # noqa: E731


def test_every_asked_topic_is_counted_and_segments_name_theirs():
    talk = transcript(items("Pricing of the product and pricing again. " * 4 + "A cat sleeps here. " * 4))
    value = topics.STAGE.run(scene(talk, topics=("pricing", "weather")), VectorTopics(WordVectors()))
    assert value["summary"]["overall"] == {"pricing": 1, "weather": 0}
    assert [each["topics"] for each in value["segments"]] == [[{"topic": "pricing"}]]
    assert sorted(value["segments"][0]) == ["end_time", "start_time", "text", "topics"]


def test_without_topics_the_contracts_list_is_used():
    value = topics.STAGE.run(scene(transcript(items(MONEY)), topics=()), VectorTopics(WordVectors()))
    assert list(value["summary"]["overall"]) == list(topics.DEFAULT)
    assert set(DESCRIBED) == set(topics.DEFAULT)


def test_more_than_ten_topics_are_refused_in_the_contracts_words():
    topics.STAGE.check(TranscriptionRequest(language="en", topics=tuple("abcdefghij")))
    with pytest.raises(StageRefused, match=r"^List of topics cannot exceed 10 topics\.$") as refused:
        topics.STAGE.check(TranscriptionRequest(language="en", topics=tuple("abcdefghijk")))
    assert refused.value.type == "unsupported_list_of_topics"


def test_segments_are_short_and_of_one_channel():
    talk = transcript(items("One two three. " * 9, channel="L"), items("Four five. " * 3, start=9, channel="R"))
    groups = topics.segments(scene(talk).sentences)
    assert sorted(len(group) for group in groups) == [1, 3, 4, 4]
    assert all(len({each.channel for each in group}) == 1 for group in groups)


def test_a_backend_that_invents_topics_gives_none():
    class Wild:
        languages = frozenset({"en"})

        def assign(self, segments, wanted, alive):
            return [[99] for _ in segments]

    with pytest.raises(ValueError, match="not asked for"):
        topics.STAGE.run(scene(transcript(items(MONEY)), topics=()), Wild())


def test_a_chapter_begins_where_the_talk_turns_to_something_else():
    talk = transcript(items(MONEY * 4 + SOCCER * 4))
    value = chapters.STAGE.run(scene(talk, auto_chapters=True), TiledChapters(WordVectors()))
    assert len(value) == 2
    first, second = value
    assert first["start_time"] == 0
    assert second["end_time"] == round(talk.duration / 16000, 2)
    assert first["end_time"] == second["start_time"] == scene(talk).sentences[12].start / 16000
    assert any(word in first["title"].lower() for word in ("bank", "rate", "loan", "interest"))
    assert any(word in second["title"].lower() for word in ("striker", "goal", "match"))
    assert all(sentence in MONEY for sentence in first["summary"].split(". "))
    assert sorted(first) == ["end_time", "start_time", "summary", "title"]


def test_a_talk_about_one_thing_and_a_short_one_are_one_chapter():
    for text in (MONEY * 8, MONEY):
        (only,) = chapters.STAGE.run(scene(transcript(items(text)), auto_chapters=True), TiledChapters(WordVectors()))
        assert only["start_time"] == 0
    assert chapters.STAGE.run(scene(transcript(), auto_chapters=True), TiledChapters(WordVectors())) == []
    assert borders(WordVectors().vectors(["same text"] * 50, QUIET), [2] * 50) == []


@pytest.mark.parametrize(
    "found",
    [
        (),
        (Chapter(first=1, title="late", summary="s"),),
        (Chapter(first=0, title="a", summary="s"), Chapter(first=99, title="b", summary="s")),
        (Chapter(first=0, title=" ", summary="s"),),
    ],
)
def test_chapters_that_do_not_cover_the_file_are_no_result(found):
    class Wild:
        languages = frozenset({"en"})

        def divide(self, sentences, alive):
            return found

    with pytest.raises(ValueError, match="chapters"):
        chapters.STAGE.run(scene(transcript(items(MONEY)), auto_chapters=True), Wild())

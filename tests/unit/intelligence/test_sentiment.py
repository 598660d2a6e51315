"""Sentiment: the lexicon, the phrases in front of it, and the shape of contract §7.6 (single nesting, §16.2)."""

import pytest

from sottovoce.intelligence import sentiment
from sottovoce.intelligence.backends.builtin.sentiment import LexiconSentiment, judged
from sottovoce.intelligence.sentiment import Judged, Sentiment
from tests.unit.intelligence.talk import items, scene, transcript, turns

BACKEND = LexiconSentiment()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("I love this, it is wonderful.", "positive"),
        ("This is terrible.", "negative"),
        ("The meeting is on Tuesday.", "neutral"),
        ("My order never arrived.", "negative"),  # no word of feeling: a complaint by its phrase
        ("You charged me twice.", "negative"),
        ("It hasn’t arrived.", "negative"),
        ("Thank you for calling, how can I help you?", "neutral"),  # polite, not positive
        ("Can I have your number, please?", "neutral"),
    ],
)
def test_what_is_said_gets_its_sentiment(text, wanted):
    (found,) = BACKEND.judge([text], lambda: None)
    assert found.sentiment == wanted


def test_confidence_rises_with_the_score_and_stays_inside():
    scores = [judged(score / 20).confidence for score in range(2, 21)]
    assert scores == sorted(scores)
    assert scores[0] > 0.5
    assert scores[-1] < 1
    assert judged(-0.6).confidence == judged(0.6).confidence


def test_segments_and_counts_have_the_shape_of_the_contract():
    talk = turns(("S1", "This is terrible. Yes."), ("S2", "I love this. The form has two pages."))
    value = sentiment.STAGE.run(scene(talk), BACKEND)
    assert [(each["text"], each["sentiment"], each["speaker"]) for each in value["segments"]] == [
        ("This is terrible. Yes.", "negative", "S1"),  # one word joins its neighbour
        ("I love this.", "positive", "S2"),
        ("The form has two pages.", "neutral", "S2"),
    ]
    assert value["segments"][0]["start_time"] == 0
    assert value["segments"][0]["end_time"] == 1
    assert all(0 <= each["confidence"] <= 1 and "channel" not in each for each in value["segments"])
    assert value["summary"] == {
        "overall": {"positive_count": 1, "negative_count": 1, "neutral_count": 1},
        "speakers": [
            {"speaker": "S1", "positive_count": 0, "negative_count": 1, "neutral_count": 0},
            {"speaker": "S2", "positive_count": 1, "negative_count": 0, "neutral_count": 1},
        ],
        "channels": [],
    }


def test_channels_have_their_own_counts_and_no_speaker_is_uu():
    two = transcript(
        items("This is terrible today.", channel="L"), items("I love this.", channel="R"), channels=("L", "R")
    )
    value = sentiment.STAGE.run(scene(two), BACKEND)
    assert {each["channel"]: each["speaker"] for each in value["segments"]} == {"L": "UU", "R": "UU"}
    assert [(each["channel"], each["negative_count"]) for each in value["summary"]["channels"]] == [("L", 1), ("R", 0)]


class Nonsense:
    languages = frozenset({"en"})

    def __init__(self, *found):
        self.found = found

    def judge(self, texts, alive):
        return self.found


def test_an_answer_that_does_not_fit_is_no_result():
    one = scene(transcript(items("This is a sentence.")))
    for found in ((), (Judged(sentiment=Sentiment.NEUTRAL, confidence=7.0),)):
        with pytest.raises(ValueError, match=r"confidence|segments"):
            sentiment.STAGE.run(one, Nonsense(*found))


def test_silence_has_no_segments():
    value = sentiment.STAGE.run(scene(transcript()), BACKEND)
    assert (value["segments"], value["summary"]["overall"]["neutral_count"]) == ([], 0)

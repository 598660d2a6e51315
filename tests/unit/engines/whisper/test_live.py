"""Long numbers in live hypotheses: decoded again as words, where the words become digits afterwards."""

from typing import cast

import numpy as np
import pytest

from sottovoce.engines.protocols import Hints, LiveWord
from sottovoce.engines.whisper.engine import Whisper
from sottovoce.engines.whisper.hallucination import Hypothesis
from sottovoce.engines.whisper.live import WhisperLive
from sottovoce.request import VocabEntry
from sottovoce.transcript.model import RATE
from tests.unit.engines.whisper.whisper_values import line, written

AUDIO = np.zeros(4 * RATE, np.float32)
KNOWN = "call me on"


class Decoder:
    """Writes *digits*, or *words*, of which it is *sure*, where it may write no digits; remembers how often it was asked for either."""

    def __init__(self, digits, words, sure=0.6):
        self.sure = sure
        self.texts = {True: digits, False: words}
        self.asked = {True: 0, False: 0}

    def live(self, audio, task, prefix, *, beam):
        self.asked[task.digits] += 1
        sure = 0.8 if task.digits else self.sure
        words = (*line(" ".join(prefix)), *line(self.texts[task.digits], len(prefix) * 0.4, probability=sure))
        hypothesis = Hypothesis(words=words, text=written(words), avg_logprob=-0.1, no_speech=0.0, tokens=len(words))
        return hypothesis, len(prefix)


class Engine:
    """As much of a `Whisper` as a live stream uses."""

    calibration = None

    def __init__(self, decoder):
        self.decoder = decoder

    def codes(self, language):
        return (language,)


def heard(decoder, language="en", vocab=(), committed=""):
    stream = WhisperLive(cast("Whisper", Engine(decoder))).open(Hints(language=language, vocab=vocab))
    said = [LiveWord(text=each.text, start=each.start, end=each.end, probability=1.0) for each in line(committed)]
    return stream.hypothesis(AUDIO, said, closing=False).words[len(said) :]


@pytest.mark.parametrize("committed", ["", KNOWN])
def test_a_long_number_is_decoded_again_without_digits(committed):
    decoder = Decoder("123123123 please", "one two three please")
    found = heard(decoder, committed=committed)
    assert written(found) == "one two three please"
    assert decoder.asked == {True: 1, False: 1}
    assert [each.probability for each in found] == [0.8, 0.8, 0.8, 0.6]  # `please` is no other spelling of a number


@pytest.mark.parametrize("digits", ["ten of 10", "seventeen", ""])
def test_short_numbers_stay_as_the_model_writes_them(digits):
    decoder = Decoder(digits, "other words")
    assert written(heard(decoder)) == digits
    assert decoder.asked[False] == 0


def test_digits_stay_where_nothing_makes_digits_of_words():
    decoder = Decoder("123", "一二三")
    assert written(heard(decoder, language="ja")) == "123"
    assert decoder.asked[False] == 0


def test_digits_stay_for_custom_words_with_digits():
    decoder = Decoder("C3PO 123", "see three")
    assert written(heard(decoder, vocab=(VocabEntry(content="C3PO"),))) == "C3PO 123"
    assert decoder.asked[False] == 0


def test_digits_stay_if_the_other_decode_has_no_words_or_guesses():
    assert written(heard(Decoder("123", ""))) == "123"
    assert written(heard(Decoder("250 people", "to fifth tea people", sure=0.4))) == "250 people"


def test_the_model_is_not_asked_for_words_of_final_digits():
    decoder = Decoder("and so on", "other words")
    assert written(heard(decoder, committed="123 456")) == "and so on"
    assert decoder.asked[False] == 0

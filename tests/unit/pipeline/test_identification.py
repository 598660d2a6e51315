"""What becomes of a job whose language is to be identified: every rule of contract §6.6, in the contract's words."""

from dataclasses import replace

import numpy as np
import pytest

from sottovoce.engines.protocols import Speech
from sottovoce.errors import EngineFailed, Kind, LanguageRejected
from sottovoce.pipeline import identification as lid
from sottovoce.request import LanguageIdentification
from sottovoce.transcript.model import RATE, Identification, LanguageScore

KNOWN = frozenset({"en", "de", "cy", "bn"})
REJECT = LanguageIdentification()
ALLOW = LanguageIdentification(low_confidence_action="allow")
DEFAULT = LanguageIdentification(low_confidence_action="use_default_language", default_language="de")


def heard(**scores: float) -> Identification:
    found = tuple(LanguageScore(language=language, confidence=score) for language, score in scores.items())
    return Identification(alternatives=found, start=0, end=RATE)


def stretch(start: int, seconds: float) -> Speech:
    return Speech(start=start, audio=np.zeros(round(seconds * RATE), np.float32))


@pytest.mark.parametrize("wanted", [REJECT, ALLOW, DEFAULT, replace(REJECT, expected_languages=("fr", "en"))])
def test_a_sure_answer_is_taken(wanted):
    found = heard(en=0.9, de=0.1)
    assert lid.decide(found, wanted, KNOWN) == ("en", found)


@pytest.mark.parametrize("wanted", [REJECT, ALLOW])
def test_without_speech_there_is_nothing_to_allow(wanted):
    with pytest.raises(LanguageRejected) as refused:
        lid.decide(heard(), wanted, KNOWN)
    assert (refused.value.kind, refused.value.detail) == (
        Kind.LANGUAGE,
        "No speech found for language identification",
    )


def test_the_default_language_serves_without_speech():
    language, found = lid.decide(heard(), DEFAULT, KNOWN)
    assert (language, found.error, found.message) == (
        "de",
        "NO_SPEECH",
        "No speech found for language identification",
    )


UNSURE = "Language identification could not identify any language with sufficient confidence"


def test_a_poor_answer_is_refused_allowed_or_replaced():
    poor = heard(en=0.4, de=0.3)
    with pytest.raises(LanguageRejected) as refused:
        lid.decide(poor, REJECT, KNOWN)
    assert refused.value.detail == UNSURE
    for wanted, language in ((ALLOW, "en"), (DEFAULT, "de")):
        taken, found = lid.decide(poor, wanted, KNOWN)
        assert (taken, found.error, found.message) == (language, "LOW_CONFIDENCE", UNSURE + ".")
        assert found.alternatives == poor.alternatives


@pytest.mark.parametrize("wanted", [REJECT, ALLOW, DEFAULT])
@pytest.mark.parametrize(
    ("expected", "language", "message"),
    [
        (("de",), "en", "The identified language 'en' is not one of the expected languages"),
        ((), "uz", "The identified language 'uz' is not supported for transcription"),
        ((), "bn", "The identified language 'bn' is not supported for transcription"),
        ((), "cy", "The identified language 'cy' is not supported for transcription"),
    ],
)
def test_a_sure_answer_that_nobody_wants_is_refused(wanted, expected, language, message):
    with pytest.raises(LanguageRejected) as refused:
        lid.decide(heard(**{language: 0.99}), replace(wanted, expected_languages=expected), KNOWN)
    assert refused.value.detail == message


def test_welsh_is_taken_where_it_is_expected():
    assert lid.decide(heard(cy=0.8), replace(REJECT, expected_languages=("cy", "en")), KNOWN)[0] == "cy"


def test_an_allowed_poor_answer_must_still_be_one_that_can_be_written():
    with pytest.raises(LanguageRejected, match="not supported for transcription"):
        lid.decide(heard(uz=0.3), ALLOW, KNOWN)


class Engine:
    def __init__(self, *scores: LanguageScore) -> None:
        self.scores = scores

    def identify(self, speech):
        if not self.scores:
            raise ZeroDivisionError
        return self.scores


def test_the_likeliest_come_first_and_ten_are_kept():
    scores = [LanguageScore(language=f"l{number}", confidence=number / 100) for number in range(20)]
    found = lid.identify([stretch(RATE, 1), stretch(5 * RATE, 2)], Engine(*scores))
    assert [score.language for score in found.alternatives] == [f"l{number}" for number in range(19, 9, -1)]
    assert (found.start, found.end) == (RATE, 7 * RATE)


def test_a_crash_of_the_engine_is_not_the_callers_fault():
    with pytest.raises(EngineFailed) as failed:
        lid.identify([stretch(0, 1)], Engine())
    assert failed.value.told == "Language identification failed"  # the contract's words


def test_nothing_is_asked_where_nobody_speaks():
    assert lid.identify([], Engine()).alternatives == ()


def test_two_minutes_of_speech_are_enough():
    taken = 0

    def speech():
        nonlocal taken
        for number in range(100):
            taken += 1
            yield stretch(number * 60 * RATE, 15)

    assert len(lid.beginning(speech())) == taken == 8
    assert len(lid.beginning([stretch(0, 1)])) == 1


GUESS = LanguageIdentification(low_confidence_action="guess", default_language="en")


@pytest.mark.parametrize(
    ("found", "expected", "language"),
    [
        (heard(de=0.3, en=0.2), (), "de"),
        (heard(xx=0.9, de=0.05), (), "de"),
        (heard(de=0.9, cy=0.05), ("cy", "bn"), "cy"),
        (heard(xx=0.9), (), "en"),
        (heard(), (), "en"),
    ],
)
def test_a_guess_never_rejects(found, expected, language):
    assert lid.decide(found, replace(GUESS, expected_languages=expected), KNOWN) == (language, found)

"""The embedded engine: what it hears in the demo, custom words, calibrated confidence, nothing left behind."""

import re
import sys
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from sottovoce.audio.activity import ActivityPolicy, Speech, segments
from sottovoce.audio.media import decode
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.pocketsphinx.recognizer import CAPABILITIES, Evidence, PocketSphinx, _agrees, _Seg, confidence
from sottovoce.engines.protocols import Hints, Recognizer
from sottovoce.errors import EngineUnavailable
from sottovoce.request import VocabEntry
from sottovoce.transcript.model import RATE

ROOT = Path(__file__).parents[4]
AUDIO = ROOT / "tests" / "fixtures" / "audio"


@pytest.fixture(scope="module")
def engine() -> Recognizer:
    return PocketSphinx()


def utterances(path: Path) -> list[Speech]:
    return list(segments((block[0] for block in decode(path)), SileroVad(), ActivityPolicy()))


@pytest.fixture(scope="module")
def sentence() -> list[Speech]:
    return utterances(AUDIO / "speech.flac")


def hear(engine, speech, *vocab, language="en"):
    return list(engine.recognize(speech, Hints(language=language, vocab=vocab)))


def text(heard):
    return " ".join(word.text for result in heard for word in result.items)


def test_the_demo_is_heard_without_an_error(engine):
    speech = utterances(ROOT / "samples" / "demo.wav")
    heard = hear(engine, speech)
    reference = (ROOT / "samples" / "demo.txt").read_text(encoding="utf-8")
    assert text(heard) == re.sub("[^a-z ]", "", reference.strip().lower())
    assert [(r.start, r.end) for r in heard] == [(s.start, s.end) for s in speech]
    at = 0
    for result in heard:
        for word in result.items:
            assert max(at, result.start) <= word.start < word.end <= result.end
            assert (word.language, word.speaker) == ("en", None)
            assert 0.2 < word.confidence < 1.0
            at = word.end


def test_capabilities(engine):
    assert engine.capabilities == CAPABILITIES
    assert (CAPABILITIES.engine, CAPABILITIES.model) == ("pocketsphinx", "en-us")
    assert CAPABILITIES.languages == {"en"}
    assert CAPABILITIES.custom_vocab
    assert CAPABILITIES.word_confidence
    assert not CAPABILITIES.punctuates


def test_other_languages_are_never_guessed_at(engine, sentence):
    with pytest.raises(EngineUnavailable, match="English"):
        hear(engine, sentence, language="de")


def test_nothing_is_carried_from_one_utterance_to_the_next(engine, sentence):
    alone = hear(engine, sentence)
    loud = Speech(start=0, audio=np.random.default_rng(1).uniform(-1, 1, RATE).astype(np.float32))
    hear(engine, [loud, loud])
    assert hear(engine, sentence) == alone
    assert hear(engine, [loud, *sentence])[1:] == alone
    assert hear(PocketSphinx(), sentence) == alone


LENGTHS, VALUES = (0, 1, 160, 410, 799, 800, 1_600), (0.0, 0.5, np.nan)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("value", VALUES)
def test_next_to_nothing_has_no_words(engine, n, value):
    (result,) = hear(engine, [Speech(start=5, audio=np.full(n, value, np.float32))])
    assert (result.start, result.end, result.items) == (5, 5 + n, ())


def test_a_sentence_is_heard_after_next_to_nothing(engine, sentence):
    empty = [Speech(start=5, audio=np.full(n, value, np.float32)) for n in LENGTHS for value in VALUES]
    heard = hear(engine, [*empty, *sentence, *empty, *sentence])
    assert text(heard).split() == ["nothing", "that", "you", "say", "will", "leave", "this", "room"] * 2


def test_times_are_the_media_times(engine, sentence):
    (speech,) = sentence
    (early,) = hear(engine, [speech])
    (late,) = hear(engine, [Speech(start=speech.start + 10**7, audio=speech.audio)])
    assert [w.start - 10**7 for w in late.items] == [w.start for w in early.items]
    assert [w.end - 10**7 for w in late.items] == [w.end for w in early.items]


def test_a_custom_word_is_heard_and_forgotten(engine, sentence):
    before = hear(engine, sentence)
    taught = hear(engine, sentence, VocabEntry(content="LeaviThisroom", sounds_like=("leave this room",)))
    assert text(taught).startswith("nothing that you say ")
    assert text(taught).split()[5:] == ["LeaviThisroom"]
    assert hear(engine, sentence) == before


def test_known_words_are_written_as_the_entry_has_them(engine, sentence):
    heard = hear(engine, sentence, VocabEntry(content="Room"), VocabEntry(content="SAY Will"))
    assert text(heard) == "nothing that you SAY Will leave this Room"
    assert [w.start for w in heard[0].items] == [w.start for w in hear(engine, sentence)[0].items]


def test_a_phrase_heard_as_one_word_is_written_as_its_words(engine, sentence):
    (heard,) = hear(engine, sentence, VocabEntry(content="Zqxj Zqxjkv", sounds_like=("leave this room",)))
    assert text([heard]).split()[5:] == ["Zqxj", "Zqxjkv"]
    before, first, second = heard.items[4:]
    assert before.end <= first.start < first.end == second.start < second.end <= heard.end
    assert first.end - first.start == pytest.approx((second.end - first.start) * 4 / 10, abs=160)
    assert first.confidence == second.confidence


def test_the_second_pronunciation_counts_too(engine, sentence):
    entry = VocabEntry(content="Zqxj", sounds_like=("elephant", "leave this room"))
    assert text(hear(engine, sentence, entry)).split()[5:] == ["Zqxj"]


def test_an_entry_cannot_take_the_name_of_another(engine, sentence):
    heard = hear(
        engine, sentence, VocabEntry(content="Zqxj", sounds_like=("leave this room",)), VocabEntry(content="_0")
    )
    assert text(heard).split()[5:] == ["Zqxj"]


def test_a_full_dictionary_of_odd_words(engine, sentence):
    odd = [
        "",
        " ",
        "漢字",
        "<s>",
        "++noise++",
        "a(2)",
        "(2)",
        "\x00\n",
        "\ud800",
        "'",
        "x" * 5_000,
        "one two three four five six seven",
        "_0",
        "SIL",
    ]
    vocab = [VocabEntry(content=word) for word in odd] + [
        VocabEntry(content=word, sounds_like=(word, "")) for word in odd
    ]
    vocab += [VocabEntry(content=f"Zq{k}xjk", sounds_like=tuple("abcdefghij")) for k in range(1_000 - len(vocab))]
    assert text(hear(engine, sentence, *vocab)) == "nothing that you say will leave this room"


def test_confidence_is_what_was_fitted():
    assert confidence(Evidence(odds=0.0, around=0.0, agreed=0.0)) == pytest.approx(0.343, abs=0.001)
    assert confidence(Evidence(odds=0.0, around=0.0, agreed=1.0)) == pytest.approx(0.599, abs=0.001)
    assert confidence(Evidence(odds=3.93, around=3.93, agreed=1.0)) == pytest.approx(0.973, abs=0.001)
    assert confidence(Evidence(odds=-3.93, around=-3.93, agreed=0.0)) == pytest.approx(0.021, abs=0.001)


@pytest.mark.parametrize("field", Evidence._fields)
def test_more_evidence_is_more_confidence(field):
    known = Evidence(odds=0.5, around=-0.5, agreed=0.0)
    assert confidence(known._replace(**{field: getattr(known, field) + 1.0})) > confidence(known)


def test_the_evidence_of_a_stretch_is_that_of_its_words(engine, sentence):
    (stretch,) = sentence
    decoded = engine.evidence(stretch)
    (heard,) = hear(engine, sentence)
    assert [each.word for each in decoded] == [word.text for word in heard.items]
    assert [confidence(each.evidence) for each in decoded] == [word.confidence for word in heard.items]
    (around,) = {each.evidence.around for each in decoded}
    assert around == pytest.approx(fmean(each.evidence.odds for each in decoded))
    assert {each.evidence.agreed for each in decoded} <= {0.0, 1.0}
    assert sum(each.evidence.agreed for each in decoded) > len(decoded) / 2


def test_a_word_that_only_the_last_pass_hears_does_not_agree():
    first = [_Seg("say", 0, 9, 1.0), _Seg("will", 30, 59, 1.0)]
    assert _agrees(_Seg("will", 40, 59, 1.0), first)
    assert not _agrees(_Seg("will", 45, 59, 1.0), first)
    assert not _agrees(_Seg("well", 30, 59, 1.0), first)
    assert not _agrees(_Seg("say", 30, 59, 1.0), first)


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(EngineUnavailable, match="PocketSphinx"):
        PocketSphinx()


@pytest.mark.shared
def test_real_speech(engine, shared):
    heard = hear(engine, utterances(shared / "audio" / "ps" / "goforward.wav"))
    assert text(heard) == "go forward ten meters"


@pytest.mark.shared
def test_a_custom_word_in_real_speech(engine, shared):
    speech = utterances(shared / "audio" / "speechmatics" / "audio_01_16kHz.wav")[:2]
    assert "speechmatics" not in text(hear(engine, speech)).lower()
    assert "welcome to Speechmatics" in text(hear(engine, speech, VocabEntry(content="Speechmatics")))

"""The embedded aligner: times against those that the synthesiser tells, texts that are not said, words that are none.

`*.words.tsv` say in which second each word of a recording begins (`tests/fixtures/make_timed.py`).
"""

import re
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from sottovoce.audio.activity import Speech
from sottovoce.audio.media import decode
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.pocketsphinx.aligner import PocketSphinxAligner
from sottovoce.engines.protocols import Aligner, PlacedWord, Skill
from sottovoce.errors import EngineUnavailable, Kind, Refused
from sottovoce.pipeline import alignment
from sottovoce.transcript import marked_text
from sottovoce.transcript.alignment import Alignment
from sottovoce.transcript.model import RATE
from tests.unit.pipeline.test_batch import Notebook

ROOT = Path(__file__).parents[4]
AUDIO = ROOT / "tests" / "fixtures" / "audio"
DEMO = ROOT / "samples" / "demo.wav"
NUMBERS = AUDIO / "numbers.flac"
ALIGNER: Aligner = PocketSphinxAligner()

CLOSE = 0.150
"""Seconds by which the beginning of a word may be off."""

OTHER_TEXT = (
    "Nobody ever told the fishermen why their lanterns had turned green overnight, nor did anyone explain which "
    "strange current carried seven painted barrels through the harbour gates before breakfast on a windless Sunday."
)

HOSTILE = [
    "<s>", "</s>", "<sil>", "(2)", "good(2)", "_1", "_1(2)", "++NOISE++", "[NOISE]", "good", "#", "\\", "\\end\\", "\\data\\",
    "-99", "%s%n", "$(id)", "`id`", "../../x", "a\x00b", "\x1b[2J", "\u202egood", "\u200b", "\ufeff", "é", "ﬁ", "你好", "語", "👋",
    "👩‍👩‍👧", "שלום", "\ud800", "x" * 100_000, "1" * 100_000, "é" * 10_000, "a-" * 5_000, "'", "''''", "...", "—",
    "$" * 1_000, "9" * 400 + "th", "1/0", "NaN", "-0", "1e999", "https://example.test/" + "a/" * 999,
]  # fmt: skip
"""No word of these may be read by the decoder as anything but sounds."""


def whole(path: Path) -> Speech:
    return Speech(start=0, audio=np.concatenate([block[0] for block in decode(path)]))


def table(name: str) -> list[tuple[str, float]]:
    lines = (AUDIO / f"{name}.words.tsv").read_text(encoding="utf-8").splitlines()
    return [(word, float(start)) for word, _, start in (line.partition("\t") for line in lines)]


@pytest.fixture(scope="module")
def demo_speech() -> Speech:
    return whole(DEMO)


@pytest.fixture(scope="module")
def reading():
    return ALIGNER.read([word for word, _ in table("demo")], "en")


def off(placed, known) -> list[float]:
    """By how many seconds each beginning is wrong."""
    return [abs(word.start / RATE - start) for word, (_, start) in zip(placed, known, strict=True)]


def align(path: Path, text: str) -> Alignment:
    words = tuple(marked_text.words(text))
    work = alignment.Work(path=path, words=words, language="en", clock=lambda: 7)
    return alignment.align(work, ALIGNER, SileroVad, Notebook())


# ── times ──


def test_words_begin_where_the_synthesiser_began_them(reading, demo_speech):
    placed = reading.align(demo_speech, range(len(reading.spoken)))
    assert max(off(placed, table("demo"))) < CLOSE
    assert fmean(off(placed, table("demo"))) < 0.03
    assert all(word.score > 0.8 for word in placed)
    at = 0
    for word in placed:
        assert at <= word.start < word.end <= demo_speech.end
        at = word.end


def test_what_is_said_is_heard_without_being_told(reading, demo_speech):
    heard = reading.recognize(demo_speech)
    assert [word.text for word in heard] == [token for tokens in reading.spoken for token in tokens]
    assert max(off(heard, table("demo"))) < CLOSE


def test_numbers_money_dates_and_unknown_words_are_read_as_they_are_said():
    known = table("numbers")
    reading, speech = ALIGNER.read([word for word, _ in known], "en"), whole(NUMBERS)
    assert [word.text for word in reading.recognize(speech)] == [token for tokens in reading.spoken for token in tokens]
    placed = reading.align(speech, range(len(known)))
    assert max(off(placed, known)) < CLOSE
    assert all(word.score > 0.8 for word in placed)


def test_a_sentence_is_placed_in_a_part_of_the_media(reading, demo_speech):
    """The second one, by the numbers of its words; times are those of the media."""
    known = table("demo")
    numbers = range([word for word, _ in known].index("We"), [word for word, _ in known].index("I"))
    start, end = int((known[numbers[0]][1] - 0.3) * RATE), int((known[numbers[-1] + 1][1] - 0.1) * RATE)
    placed = reading.align(Speech(start=start, audio=demo_speech.audio[start:end]), numbers)
    assert max(off(placed, [known[number] for number in numbers])) < CLOSE


def test_times_move_with_the_stretch_and_nothing_is_carried_on(reading, demo_speech):
    part = demo_speech.audio[: 2 * RATE]
    first = reading.align(Speech(start=0, audio=part), range(4))
    reading.recognize(Speech(start=0, audio=-demo_speech.audio[8 * RATE : 10 * RATE] * 0.1))
    later = reading.align(Speech(start=10**7, audio=part), range(4))
    assert [(word.start - 10**7, word.end - 10**7, word.score) for word in later] == [
        (word.start, word.end, word.score) for word in first
    ]
    assert reading.recognize(Speech(start=0, audio=part)) == reading.recognize(Speech(start=0, audio=part))


def test_a_whole_alignment(demo_text):
    known = table("demo")
    found = align(DEMO, f"<h1></h1>{demo_text.replace(' for ', ' <!-- why > not --> for ')}")
    assert max(off(found.words, known)) < CLOSE
    assert found.coverage == 1.0
    assert found.engine == "pocketsphinx en-us"


def test_words_that_are_not_said_and_words_that_are_missing_move_nothing(demo_text):
    known = table("demo")
    text = demo_text.replace("talk about", "talk wonderful bananas about").replace("send me the report", "the report")
    found = align(DEMO, text)
    by_text = [text[word.first : word.last] for word in found.words]
    extra = {by_text.index("wonderful"), by_text.index("bananas")}
    left = [word for number, word in enumerate(found.words) if number not in extra]
    gone = [number for number, (word, _) in enumerate(known) if word in {"send", "me"}]
    assert max(off(left, [entry for number, entry in enumerate(known) if number not in gone])) < CLOSE
    assert {number for number, word in enumerate(found.words) if word.bridged} == extra


# ── what is not said ──


@pytest.mark.parametrize(
    ("path", "text"),
    [(DEMO, OTHER_TEXT), (AUDIO / "speech.flac", "Seven painted barrels vanished."), (AUDIO / "speech.flac", "Nobody")],
    ids=["long", "short", "one word"],
)
def test_another_text_is_refused(path, text):
    with pytest.raises(Refused) as caught:
        align(path, text)
    assert (caught.value.kind, caught.value.why) == (Kind.INVALID_TEXT, alignment.OTHER)


def test_words_of_another_text_do_not_fit(demo_speech):
    words = OTHER_TEXT.split()
    placed = ALIGNER.read(words, "en").align(demo_speech, range(len(words)))
    assert fmean(word.score if word else 0.0 for word in placed) < 0.3


@pytest.mark.parametrize("name", ["silence.wav", "eight.wav"])
def test_audio_without_speech_is_refused(name):
    with pytest.raises(Refused) as caught:
        align(AUDIO / name, "Good morning to you.")
    assert caught.value.kind is Kind.INVALID_TEXT


def test_no_sound_at_all_is_survived(reading):
    for audio in (
        np.zeros(0),
        np.zeros(1),
        np.zeros(1_599),
        np.zeros(RATE),
        np.full(RATE, np.nan),
        np.ones(RATE) * 1e30,
    ):
        speech = Speech(start=5, audio=audio.astype(np.float32))
        assert all(word.text.startswith("_") for word in reading.recognize(speech))
        for words in ((), (0,), range(44)):
            placed = reading.align(speech, words)
            assert len(placed) == len(words)
            assert all(word is None or 5 <= word.start <= word.end <= speech.end for word in placed)


def test_more_words_than_there_is_time_for_are_not_all_placed(reading, demo_speech):
    placed = reading.align(Speech(start=0, audio=demo_speech.audio[RATE // 2 : RATE * 2]), range(44))
    assert len(placed) == 44
    assert None in placed


# ── what is read ──


def test_words_that_nobody_says_have_no_sounds_and_no_place(demo_speech):
    words = ["—", "Good", "...", "morning,", "!", "and", "\u200b"]
    reading = ALIGNER.read(words, "en")
    assert [bool(tokens) for tokens in reading.spoken] == [False, True, False, True, False, True, False]
    placed = reading.align(Speech(start=0, audio=demo_speech.audio[: RATE * 8 // 5]), range(len(words)))
    assert [word is not None for word in placed] == [False, True, False, True, False, True, False]


def test_a_text_that_nobody_says_hears_nothing(demo_speech):
    reading = ALIGNER.read(["—", "..."], "en")
    assert not any(reading.spoken)
    assert reading.recognize(demo_speech) == ()
    assert reading.align(demo_speech, [0, 1]) == (None, None)
    assert ALIGNER.read([], "en").spoken == []


def test_words_that_are_said_alike_are_one_and_have_the_same_name_in_every_text():
    good, capital, marked, other = ALIGNER.read(["good", "Good", "“good,”", "morning"], "en").spoken
    assert good == capital == marked != other
    assert ALIGNER.read(["something", "morning", "good"], "en").spoken[1:] == [other, good]


def test_one_word_is_found_in_its_place(demo_speech):
    reading = ALIGNER.read(["report"], "en")
    start, end = int(13.3 * RATE), int(13.9 * RATE)
    (placed,) = reading.align(Speech(start=start, audio=demo_speech.audio[start:end]), [0])
    assert isinstance(placed, PlacedWord)
    assert abs(placed.start / RATE - dict(table("demo"))["report"]) < CLOSE


def test_other_languages_are_never_guessed_at():
    assert Skill.ALIGNMENT in ALIGNER.capabilities.skills
    for language in ("de", "cmn", "auto", ""):
        with pytest.raises(EngineUnavailable) as caught:
            ALIGNER.read(["Wort"], language)
        assert caught.value.at == "alignment_config.language"


# ── words that are none ──


class Spy:
    """The real decoder; notes what it is given to read."""

    def __init__(self, real: Any, read: list[str]) -> None:
        self._real = real
        self._read = read

    def add_word(self, word: str, phones: str, update: bool = True) -> Any:
        self._read.append(f"{word} {phones}\n")
        return self._real.add_word(word, phones, update)

    def add_lm_file(self, name: str, path: str) -> Any:
        text = Path(path).read_text(encoding="ascii")
        self._read.append("".join(f"{word} AH\n" for word in re.findall(r"\S+", text) if word.startswith("_")))
        assert set(re.sub(r"\b_\w+", "", text)) <= set("\\:-ngramdtse12=0345678 9.</>\n")
        return self._real.add_lm_file(name, path)

    def set_align_text(self, text: str) -> Any:
        self._read.append("".join(f"{word} AH\n" for word in text.split()))
        return self._real.set_align_text(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def given_to_decoder(monkeypatch) -> list[str]:
    """All that decoders are given from now on, as lines of a dictionary."""
    import pocketsphinx

    real, read = pocketsphinx.Decoder, []

    def make(config):
        read.append(Path(config["dict"]).read_text(encoding="ascii"))
        return Spy(real(config), read)

    monkeypatch.setattr(pocketsphinx, "Decoder", make)
    return read


def test_hostile_words_reach_the_decoder_as_sounds_alone(given_to_decoder, demo_speech):
    reading = ALIGNER.read([*HOSTILE, "Good", "morning,", *reversed(HOSTILE)], "en")
    speech = Speech(start=0, audio=demo_speech.audio[RATE // 2 : RATE])
    reading.recognize(speech)
    words = range(len(reading.spoken))
    for asked in (words, words[: len(HOSTILE)], *([number] for number in words[: len(HOSTILE)])):
        assert len(reading.align(speech, asked)) == len(asked)
    lines = "".join(given_to_decoder).splitlines()
    assert len(lines) > len(HOSTILE)
    assert all(re.fullmatch(r"_[0-9a-f]+(\(\d+\))?( [A-Z]{1,2})+", line) for line in lines)


def test_among_hostile_words_the_others_are_still_found(demo_speech):
    known = table("demo")[:10]
    reading = ALIGNER.read([*(word for word, _ in known), *HOSTILE], "en")
    speech = Speech(start=0, audio=demo_speech.audio[: 4 * RATE])
    assert max(off(reading.align(speech, range(10)), known)) < CLOSE

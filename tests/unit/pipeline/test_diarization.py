"""The second pass: who speaks when, who is known, and what becomes of the words when it fails.

The diarizer here tells voices apart by loudness, and the loudness of a voice is its print.
"""

import wave
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sottovoce.engines.protocols import (
    Capabilities,
    DiarizationHints,
    Diarized,
    Diarizer,
    Skill,
    SpeechSource,
    Turn,
    Voice,
)
from sottovoce.errors import EngineUnavailable
from sottovoce.pipeline import batch, diarization, windows
from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.pipeline.engine_set import LoadedEngines
from sottovoce.request import AudioFiltering, Diarization, SpeakerDiarization, TranscriptionRequest
from sottovoce.transcript.model import RATE, UNKNOWN_SPEAKER, Item, Speaker, Transcript
from tests import sleeper
from tests.unit.pipeline.test_batch import Notebook, VadFactory

LOUD, QUIET = 12_000, 3_000
SPEAKER = TranscriptionRequest(language="en", diarization=Diarization.SPEAKER)


def asking(**wanted: object) -> TranscriptionRequest:
    return replace(SPEAKER, speaker_diarization=SpeakerDiarization(**wanted))  # type: ignore[arg-type]


def print_of(level: int) -> bytes:
    return str(level).encode()


class ByLoudness:
    """A `Diarizer`: a voice for each level; the louder it is, the lower."""

    def __init__(self) -> None:
        self.hints: list[DiarizationHints] = []
        self.passes: list[list[tuple[int, int]]] = []

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            engine="ears",
            model="big",
            languages=frozenset(),
            skills=frozenset({Skill.DIARIZATION}),
            voiceprints="ears-1",
        )

    def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
        self.hints.append(hints)
        levels: list[int] = []
        turns: list[Turn] = []
        self.passes.append([])
        for stretch in listen():
            self.passes[-1].append((stretch.start, stretch.end))
            for at in range(0, len(stretch.audio), RATE // 10):
                level = round(float(np.abs(stretch.audio[at : at + RATE // 10]).max()) * 32_768 / 1_000) * 1_000
                if level and level not in levels:
                    levels.append(level)
                if level:
                    start = stretch.start + at
                    turns.append(Turn(start=start, end=start + RATE // 10, voice=levels.index(level)))
        voices = tuple(Voice(voiceprint=print_of(level), pitch=2_400_000 / level) for level in levels)
        return Diarized(turns=tuple(turns), voices=voices)

    def similarity(self, one: bytes, other: bytes) -> float:
        return max(0.0, 1 - abs(int(one) - int(other)) / 6_000)


class Broken(ByLoudness):
    """Fails in a way of its own."""

    def __init__(self, fail: Callable[[], Diarized]) -> None:
        super().__init__()
        self._fail = fail

    def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
        return self._fail()


def recorded(path: Path, *spoken: tuple[int, float], channels: Sequence[int] = (1,)) -> Path:
    """A file of tones: *spoken* are levels and seconds, *channels* which of them have the sound."""
    mono = np.concatenate([
        (level * np.sin(np.arange(round(seconds * RATE)) * 0.3)).astype("<i2") for level, seconds in spoken
    ])  # fmt: skip
    with wave.open(str(path), "wb") as file:
        file.setparams((len(channels), 2, RATE, 0, "NONE", ""))
        file.writeframes(np.stack([mono * has for has in channels], axis=1).astype("<i2").tobytes())
    return path


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """The quiet voice, the loud one, the quiet one again; a second of silence between."""
    return recorded(tmp_path / "talk.wav", (QUIET, 3), (0, 1), (LOUD, 4), (0, 1), (QUIET, 2), (0, 1))


def engines(diarizer):
    """The engines of a task, with *diarizer* if it is not None."""
    both = {Skill.TRANSCRIPTION: sleeper.Sleeper(0.0), Skill.DIARIZATION: diarizer}
    return LoadedEngines({skill: engine for skill, engine in both.items() if engine is not None})


def transcribe(
    path: Path, request: TranscriptionRequest, diarizer: Diarizer | None, known: tuple[KnownVoice, ...] = ()
) -> tuple[Transcript, Notebook]:
    notebook = Notebook()
    work = batch.Work(path=path, request=request, clock=lambda: 7, known=known)
    return batch.transcribe(work, engines(diarizer), VadFactory, notebook), notebook


def labels(items: Sequence[Item]) -> list[str | None]:
    """Who speaks, one after the other."""
    return [item.speaker for at, item in enumerate(items) if not at or item.speaker != items[at - 1].speaker]


def notes(notebook: Notebook) -> list[str]:
    return [note for name, note in notebook.stages if name == "diarize"]


def test_every_word_and_mark_gets_a_speaker_numbered_as_they_come(talk):
    transcript, notebook = transcribe(talk, SPEAKER, ByLoudness())
    assert labels(transcript.items) == ["S1", "S2", "S1"]
    assert transcript.speakers == (Speaker(label="S1", pitch=800.0), Speaker(label="S2", pitch=200.0))
    assert notes(notebook) == ["engine ears big", "2 speaker(s)"]
    assert notebook.heard == sorted(notebook.heard)


def test_prints_are_given_only_to_who_asks(talk):
    transcript, _ = transcribe(talk, asking(get_speakers=True), ByLoudness())
    prints = {speaker.label: [urlsafe_b64decode(each) for each in speaker.prints] for speaker in transcript.speakers}
    assert prints == {"S1": [print_of(QUIET)], "S2": [print_of(LOUD)]}


def test_a_known_voice_has_its_name_and_the_others_numbers_without_a_gap(talk):
    known = (
        KnownVoice(label="Bob", prints=(b"90000",)),
        KnownVoice(label="Ada", prints=(b"no print", print_of(QUIET + 1_000))),
    )
    transcript, notebook = transcribe(talk, SPEAKER, ByLoudness(), known)
    assert labels(transcript.items) == ["Ada", "S1", "Ada"]
    assert [speaker.label for speaker in transcript.speakers] == ["Ada", "S1"]
    assert notes(notebook)[-1] == "2 speaker(s), 1 of them known"


def test_voices_of_one_known_speaker_are_one(tmp_path):
    path = recorded(tmp_path / "a.wav", (QUIET, 3), (0, 1), (4_000, 6), (0, 1), (LOUD, 2), (0, 1))
    known = (KnownVoice(label="Ada", prints=(print_of(QUIET), print_of(4_000))),)
    transcript, _ = transcribe(path, asking(get_speakers=True), ByLoudness(), known)
    assert labels(transcript.items) == ["Ada", "S1"]
    ada = transcript.speakers[0]
    assert ada.pitch == 600.0  # of the voice that speaks longest
    assert {urlsafe_b64decode(each) for each in ada.prints} == {print_of(QUIET), print_of(4_000)}


def test_a_voice_is_taken_for_the_known_one_it_is_most_like(talk):
    known = (
        KnownVoice(label="Bob", prints=(print_of(QUIET + 2_000),)),
        KnownVoice(label="Ada", prints=(print_of(QUIET + 1_000),)),
    )
    assert labels(transcribe(talk, SPEAKER, ByLoudness(), known)[0].items) == ["Ada", "S1", "Ada"]


@pytest.mark.parametrize(("away", "name"), [(3_000, "Ada"), (3_001, "S1")])
def test_a_voice_is_known_from_an_even_likeness_on(talk, away, name):
    known = (KnownVoice(label="Ada", prints=(print_of(QUIET - away),)),)
    assert labels(transcribe(talk, SPEAKER, ByLoudness(), known)[0].items)[0] == name


def test_the_diarizer_hears_what_the_request_says(talk):
    diarizer = ByLoudness()
    transcribe(talk, asking(speaker_sensitivity=0.8, prefer_current_speaker=True), diarizer)
    assert diarizer.hints == [DiarizationHints(sensitivity=0.8, prefer_current=True)]


def broken() -> Diarized:
    raise ZeroDivisionError


def voiceless() -> Diarized:
    return Diarized(turns=(Turn(start=0, end=RATE, voice=0),))


def oversized() -> Diarized:
    return Diarized(turns=(), voices=(Voice(voiceprint=bytes(8_193)),))


@pytest.mark.parametrize(
    ("fail", "why"), [(broken, "ZeroDivisionError"), (voiceless, "ValueError"), (oversized, "ValueError")]
)
def test_a_diarizer_that_fails_leaves_the_words_to_nobody(talk, fail, why):
    transcript, notebook = transcribe(talk, asking(get_speakers=True), Broken(fail))
    assert len(transcript.items) > 8
    assert {item.speaker for item in transcript.items} == {UNKNOWN_SPEAKER}
    assert transcript.speakers == ()
    assert notes(notebook)[-1] == f"left out: {why}"


def test_a_refusal_is_the_callers_to_hear(talk):
    def refuse() -> Diarized:
        raise EngineUnavailable("fetch it first")

    with pytest.raises(EngineUnavailable):
        transcribe(talk, SPEAKER, Broken(refuse))


def test_without_a_diarizer_the_log_says_so(talk):
    transcript, notebook = transcribe(talk, SPEAKER, None)
    assert {item.speaker for item in transcript.items} == {None}
    assert notes(notebook) == ["no diarizer on this server: every word is labelled UU"]


@pytest.mark.parametrize("how", [Diarization.NONE, Diarization.CHANNEL])
def test_nobody_is_told_apart_who_need_not_be(talk, how):
    diarizer = ByLoudness()
    transcript, notebook = transcribe(talk, replace(SPEAKER, diarization=how), diarizer)
    assert {item.speaker for item in transcript.items} == {None}
    assert (diarizer.passes, notes(notebook)) == ([], [])


def test_where_nothing_is_said_nobody_listens_again(tmp_path):
    diarizer = ByLoudness()
    transcript, _ = transcribe(recorded(tmp_path / "a.wav", (0, 2)), SPEAKER, diarizer)
    assert (transcript.items, transcript.speakers, diarizer.passes) == ((), (), [])


def test_a_voice_that_says_no_word_is_no_speaker(talk):
    class Ghosts(ByLoudness):
        def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
            heard = super().diarize(listen, hints)
            ghost = Turn(start=20 * RATE, end=21 * RATE, voice=0)
            turns = [replace(turn, voice=turn.voice + 1) for turn in heard.turns]
            return Diarized(turns=(*turns, ghost), voices=(Voice(voiceprint=b"1"), *heard.voices))

    transcript, notebook = transcribe(talk, SPEAKER, Ghosts())
    assert labels(transcript.items) == ["S1", "S2", "S1"]
    assert [speaker.pitch for speaker in transcript.speakers] == [800.0, 200.0]
    assert notes(notebook)[-1] == "2 speaker(s)"


@pytest.mark.parametrize("pitch", [None, float("nan"), float("inf"), 0.0])
def test_a_pitch_that_is_none_is_unknown_and_an_empty_print_is_left_out(talk, pitch):
    class Toneless(ByLoudness):
        def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
            heard = super().diarize(listen, hints)
            return replace(heard, voices=tuple(Voice(voiceprint=b"", pitch=pitch) for _ in heard.voices))

    transcript, _ = transcribe(talk, asking(get_speakers=True), Toneless())
    assert transcript.speakers == (Speaker(label="S1"), Speaker(label="S2"))


def test_stereo_is_heard_mixed(tmp_path):
    spoken = (QUIET * 2, 3.0), (0, 1.0), (LOUD * 2, 4.0), (0, 1.0)
    path = recorded(tmp_path / "stereo.wav", *spoken, channels=(1, 0))
    transcript, _ = transcribe(path, SPEAKER, ByLoudness())
    assert labels(transcript.items) == ["S1", "S2"]
    assert [speaker.pitch for speaker in transcript.speakers] == [800.0, 200.0]


def source(path: Path, alive: Callable[[], None] = lambda: None) -> diarization.Source:
    return diarization.Source(path=path, make_vad=VadFactory, alive=alive)


def test_every_pass_is_the_same_and_gives_a_sign_of_life_in_silence_too(tmp_path):
    class Twice(ByLoudness):
        def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
            super().diarize(listen, hints)
            return super().diarize(listen, hints)

    signs = 0

    def alive() -> None:
        nonlocal signs
        signs += 1

    path = recorded(tmp_path / "a.wav", (LOUD, 2), (0, 30), (QUIET, 2), (0, 1))
    diarizer = Twice()
    diarization.find(source(path, alive), SPEAKER, (), diarizer)
    assert diarizer.passes[0] == diarizer.passes[1]
    assert len(diarizer.passes[0]) == 2
    assert signs == 2 * 35


def test_what_is_filtered_out_is_no_voice(talk):
    filtered = replace(SPEAKER, audio_filtering=AudioFiltering(volume_threshold=10))
    found = diarization.find(source(talk), filtered, (), ByLoudness())
    assert [speaker.pitch for speaker in found.speakers] == [200.0]


def test_an_attempt_that_goes_on_tells_the_same_people_apart(talk, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW", 2 * RATE)
    whole, first = transcribe(talk, SPEAKER, ByLoudness())
    assert len(first.windows) > 1
    work = batch.Work(path=talk, request=SPEAKER, clock=lambda: 7, windows=first.windows[:1])
    again = batch.transcribe(work, engines(ByLoudness()), VadFactory, Notebook())
    assert again == whole


def test_sentences_correct_what_the_turns_have_wrong(tmp_path):
    """Ten words of one voice but for a moment within the fourth: the marks of the finished line make it one sentence."""

    class Stumbling(ByLoudness):
        def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
            heard = super().diarize(listen, hints)
            turns = [replace(turn, voice=1) if 3 <= turn.start / RATE < 4 else turn for turn in heard.turns]
            return Diarized(turns=tuple(turns), voices=(*heard.voices, Voice(voiceprint=b"1")))

    path = recorded(tmp_path / "a.wav", (LOUD, 10), (0, 1))
    assert labels(transcribe(path, SPEAKER, Stumbling())[0].items) == ["S1"]


def test_speech_is_taken_generously(talk):
    diarizer = ByLoudness()
    diarization.find(source(talk), SPEAKER, (), diarizer)
    (spans,) = diarizer.passes
    assert len(spans) == 3
    assert all(start >= end for (_, end), (start, _) in pairwise(spans))
    assert spans[1][0] <= 4 * RATE - 3_200 + 512

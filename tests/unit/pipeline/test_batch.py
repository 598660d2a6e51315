"""Windows, resumption, channels and stages that fail alone: with an engine that only pretends."""

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio.activity import ActivityPolicy
from sottovoce.audio.tracks import Wanted
from sottovoce.engines.gaps import GapKind, StageGap
from sottovoce.engines.protocols import Capabilities, Hints, LanguageScore, Recognized, Skill
from sottovoce.errors import LanguageRejected, MediaUnreadable
from sottovoce.pipeline import batch, stages, windows
from sottovoce.pipeline.engine_set import LoadedEngines
from sottovoce.request import AudioFiltering, Diarization, Replacement, TranscriptionRequest, VocabEntry
from sottovoce.transcript.model import RATE, Mark, Word
from tests import sleeper
from tests.media_files import Audio, Recipe, tones, write

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "audio"


class VadFactory:
    """Whatever is not silent is speech."""

    frame = 512

    def __call__(self, audio):
        return (np.abs(audio).reshape(-1, self.frame).mean(axis=1) > 0.01).astype(np.float32)


class Notebook:
    def __init__(self) -> None:
        self.stages: list[tuple[str, str]] = []
        self.traces: list[str] = []
        self.windows: list[windows.Window] = []
        self.heard: list[int] = []
        self.probes = 0
        self.stretches: list[tuple[Recognized, str]] = []

    def media(self, probe):
        self.probes += 1

    def stage(self, name, note="", trace=""):
        self.stages.append((name, note))
        self.traces += [trace] if trace else []

    def progress(self, done, total):
        self.heard.append(done)

    def stretch(self, stretch, language):
        self.stretches.append((stretch, language))

    def window(self, window):
        self.windows.append(window)


@pytest.fixture
def long_wav(tmp_path):
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        spoken, silent = np.full(2 * RATE, 8000, "<i2").tobytes(), bytes(2 * RATE)
        file.writeframes((spoken + silent) * 20)
    return path


def recognizing(engine):
    """The engines of a task without speakers."""
    return LoadedEngines({Skill.TRANSCRIPTION: engine})


def transcribe(path, request=None, windows=(), **changes):
    notebook = Notebook()
    work = batch.Work(
        path=path, request=request or TranscriptionRequest(language="en"), clock=lambda: 7, windows=windows, **changes
    )
    return batch.transcribe(work, recognizing(sleeper.Sleeper(0.0)), VadFactory, notebook), notebook


def test_windows_are_handed_out_and_hold_every_word(long_wav, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW", 10 * RATE)
    transcript, notebook = transcribe(long_wav)
    assert len(notebook.windows) > 3
    ends = [window.end for window in notebook.windows]
    assert [window.start for window in notebook.windows] == [0, *ends[:-1]]
    heard = [item.text.lower() for window in notebook.windows for item in window.items]
    assert heard == [item.text.lower() for item in transcript.items if isinstance(item, Word)]
    assert transcript.duration == 60 * RATE
    assert transcript.created_at == 7
    assert notebook.probes == 1
    assert notebook.heard == sorted(notebook.heard)


class ReadsAhead(sleeper.Sleeper):
    """Reads all speech before it recognises the first stretch, as engines do that decode in batches."""

    def recognize(self, speech, hints):
        return super().recognize(list(speech), hints)


def test_progress_is_what_is_recognised_not_what_the_engine_has_read(long_wav):
    notebook = Notebook()
    work = batch.Work(path=long_wav, request=TranscriptionRequest(language="en"), clock=lambda: 7)
    batch.transcribe(work, recognizing(ReadsAhead(0.0)), VadFactory, notebook)
    reading = notebook.heard[:10]
    assert reading == [0] * 10
    assert notebook.heard[-1] > 50 * RATE
    assert notebook.heard == sorted(notebook.heard)


@pytest.mark.parametrize("kept", [1, 3])
def test_a_later_attempt_goes_on_and_gives_the_same(long_wav, monkeypatch, kept):
    monkeypatch.setattr(windows, "WINDOW", 10 * RATE)
    whole, first = transcribe(long_wav)
    again, second = transcribe(long_wav, windows=first.windows[:kept])
    assert len(second.windows) == len(first.windows) - kept
    assert [item.text for item in again.items] == [item.text for item in whole.items]
    assert again.duration == whole.duration
    assert any("goes on at" in note for _, note in second.stages)


class Adaptable(sleeper.Sleeper):
    @property
    def capabilities(self):
        return replace(sleeper.CAPABILITIES, custom_vocab=True)


@pytest.mark.parametrize(
    ("engine", "words", "told"),
    [
        (Adaptable(0.0), ("Alpha", "Charlie.", "echo Foxtrot"), []),
        (Adaptable(0.0), ("Alpha", "alph", "Ljubljana"), ["2 of 3 custom words are not in the transcript: number 2, 3 of the list"]),
        (sleeper.Sleeper(0.0), ("Alpha",), ["the custom words have no effect: this engine does not use them"]),
        (sleeper.Sleeper(0.0), (), []),
    ],
)  # fmt: skip
def test_custom_words_without_effect_are_told_by_their_place(long_wav, engine, words, told):
    vocab = tuple(VocabEntry(content=word) for word in words)
    notebook = Notebook()
    request = TranscriptionRequest(language="en", additional_vocab=vocab)
    work = batch.Work(path=long_wav, request=request, clock=lambda: 7)
    batch.transcribe(work, recognizing(engine), VadFactory, notebook)
    assert [note for _, note in notebook.stages if "custom words" in note] == told


@pytest.mark.parametrize(("word", "told"), [("京都駅", False), ("大阪", True)])
def test_custom_words_of_a_language_without_blanks(word, told):
    items = [Word(text=each, start=0, end=1) for each in "京都駅で"]
    request = TranscriptionRequest(language="ja", additional_vocab=(VocabEntry(content=word),))
    assert bool(batch._without_effect(request, items, uses=True)) is told


def test_channels_are_kept_apart_and_labelled():
    request = TranscriptionRequest(
        language="en", diarization=Diarization.CHANNEL, channel_labels=("agent", "agent", "x")
    )
    transcript, _ = transcribe(FIXTURES / "stereo_44k.wav", request)
    assert transcript.channels == ("agent", "agent_")  # neither of two channels with one name swallows the other
    assert {item.channel for item in transcript.items} == {"agent", "agent_"}


def test_default_labels_are_counted():
    request = TranscriptionRequest(language="en", diarization=Diarization.CHANNEL, channel_labels=("channel_2",))
    transcript, _ = transcribe(FIXTURES / "stereo_44k.wav", request)
    assert transcript.channels == ("channel_2", "channel_2_")


def test_words_get_a_volume_only_when_asked(long_wav):
    plain, _ = transcribe(long_wav)
    loud, _ = transcribe(long_wav, TranscriptionRequest(language="en", audio_filtering=AudioFiltering()))
    assert {item.volume for item in plain.items if isinstance(item, Word)} == {None}
    assert 20 < max(item.volume for item in loud.items if isinstance(item, Word)) < 25


def test_a_stage_that_breaks_is_left_out_and_said(long_wav, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    steps = [(name, broken if name == "punctuation" else step) for name, step in stages.STEPS]
    monkeypatch.setattr(stages, "STEPS", steps)
    transcript, notebook = transcribe(long_wav)
    assert [item for item in transcript.items if isinstance(item, Mark)] == []
    assert transcript.items
    assert ("punctuation", "left out: ZeroDivisionError") in notebook.stages
    (trace,) = notebook.traces
    assert "in broken" in trace


def test_replacements_see_written_words(long_wav):
    rules = (Replacement(source="Alpha", target="Aleph"),)
    transcript, _ = transcribe(long_wav, TranscriptionRequest(language="en", replacements=rules))
    assert transcript.items[0].text == "Aleph"


def test_an_engine_that_punctuates_is_left_alone(long_wav):
    class Writer(sleeper.Sleeper):
        @property
        def capabilities(self) -> Capabilities:
            return replace(sleeper.CAPABILITIES, punctuates=True)

        def recognize(self, speech, hints):
            for stretch in speech:
                words = (Word(text="mIxed", start=stretch.start, end=stretch.end), Mark(text=".", at=stretch.end))
                yield Recognized(start=stretch.start, end=stretch.end, items=words)

    work = batch.Work(path=long_wav, request=TranscriptionRequest(language="en"), clock=lambda: 0)
    transcript = batch.transcribe(work, recognizing(Writer(0.0)), VadFactory, Notebook())
    assert {item.text for item in transcript.items} == {"mIxed", "."}


class Picky(sleeper.Sleeper):
    """Wants speech cut in its own way, and has something to say about it."""

    activity = ActivityPolicy(min_silence=2 * RATE, pad=0)

    def __init__(self) -> None:
        super().__init__(0.0)
        self.stretches: list[tuple[int, int]] = []

    def recognize(self, speech, hints):
        for stretch in speech:
            self.stretches.append((stretch.start, stretch.end))
            note = f"a note about {stretch.start // RATE} s"
            yield Recognized(start=stretch.start, end=stretch.end, items=(), notes=(note,) if stretch.start else ())


def heard_by(engine, path):
    notebook = Notebook()
    work = batch.Work(path=path, request=TranscriptionRequest(language="en"), clock=lambda: 0)
    batch.transcribe(work, recognizing(engine), VadFactory, notebook)
    return notebook


def test_an_engine_gets_speech_cut_in_its_own_way(tmp_path):
    path = tmp_path / "pauses.wav"
    pauses = (1, 2.5, 1, 1, 2.5)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for pause in pauses:
            file.writeframes(np.full(RATE, 8000, "<i2").tobytes() + bytes(2 * round(pause * RATE)))
    picky = Picky()
    heard_by(picky, path)
    expected = [0, 3 * RATE, 5.5 * RATE, 10.5 * RATE]
    assert [at for stretch in picky.stretches for at in stretch] == pytest.approx(expected, abs=2 * VadFactory.frame)


def test_what_an_engine_has_to_say_is_in_the_job_s_log(long_wav):
    notebook = heard_by(Picky(), long_wav)
    told = [note for name, note in notebook.stages if name == "recognise" and note.startswith("a note")]
    assert told
    assert told == sorted(set(told), key=told.index)
    assert all(note.endswith(" s") for note in told)


class Polyglot(sleeper.Sleeper):
    """Hears one language, and remembers in which it was asked to write."""

    def __init__(self, *scores: LanguageScore) -> None:
        super().__init__(0.0)
        self.scores = scores
        self.asked: list[str] = []

    @property
    def capabilities(self):
        return replace(sleeper.CAPABILITIES, languages=frozenset({"en", "de"}), identifies_language=True)

    def identify(self, speech):
        return self.scores

    def recognize(self, speech, hints):
        self.asked.append(hints.language)
        return super().recognize(speech, hints)


def open_language(path, engine, request):
    known = (StageGap(stage="translation", kind=GapKind.LANGUAGE, why="none", part="fr"),)
    work = batch.Work(path=path, request=replace(request, translation_targets=("fr",)), clock=lambda: 7, gaps=known)
    return batch.transcribe(work, recognizing(engine), VadFactory, Notebook())


def test_an_open_language_is_identified_and_then_used_everywhere(long_wav):
    engine = Polyglot(LanguageScore(language="de", confidence=0.9), LanguageScore(language="en", confidence=0.1))
    request = TranscriptionRequest(language="auto", diarization=Diarization.CHANNEL)
    transcript = open_language(long_wav, engine, request)
    assert (transcript.language, engine.asked) == ("de", ["de"])
    assert transcript.identification is not None
    assert transcript.identification.alternatives[0] == LanguageScore(language="de", confidence=0.9)
    assert transcript.errors[0].message == "Translation from de to fr currently not supported"


def test_an_open_language_that_cannot_be_identified_is_the_callers_to_hear(long_wav):
    engine = Polyglot(LanguageScore(language="de", confidence=0.3))
    with pytest.raises(LanguageRejected, match="sufficient confidence"):
        open_language(long_wav, engine, TranscriptionRequest(language="auto"))
    assert engine.asked == []


def test_a_language_that_is_named_is_not_identified(long_wav):
    transcript, _ = transcribe(long_wav)
    assert transcript.identification is None


def test_windows_end_in_pauses_unless_there_are_none():
    def stretches(*spans: tuple[int, int]):
        return [Recognized(start=start * RATE, end=end * RATE, items=()) for start, end in spans]

    def ends(*spans: tuple[int, int]) -> list[int]:
        parts = [replace(part, items=(Word(text="w", start=part.start, end=part.end),)) for part in stretches(*spans)]
        return [round(window.end / RATE) for window in windows.cut(parts, 0, 0)]

    spoken = [(at, at + 20) for at in range(0, 2000, 20)]  # no pause at all
    assert ends(*spoken) == [600, 1200, 1800, 2000]
    assert ends((0, 290), (290, 310), (310, 330), (331, 350), (351, 360)) == [330, 360]


# ── what the log says of the media ──


def notes(notebook, name):
    return [note for stage, note in notebook.stages if stage == name]


def test_a_transcript_without_words_is_explained(tmp_path):
    path = write(tmp_path / "x", Recipe(container="mp4", tracks=[Audio(codec="aac", layout="stereo", silent=True)]))
    transcript, notebook = transcribe(path)
    assert transcript.items == ()
    said = notes(notebook, "recognise")
    assert "no words: 0.0 s of speech activity in 1.2 s of audio; the engine was given nothing" in said
    assert "levels in dBFS: channel 1 -120 (peak -120), channel 2 -120 (peak -120), mix -120" in said


def test_a_channel_without_words_is_explained(tmp_path):
    voice = np.stack([np.zeros(57_600, np.float32), tones(48_000)])
    path = write(
        tmp_path / "x", Recipe(container="mov", tracks=[Audio(codec="pcm_s16le", layout="stereo", samples=voice)])
    )
    _, notebook = transcribe(path, TranscriptionRequest(language="en", diarization=Diarization.CHANNEL))
    said = notes(notebook, "recognise")
    assert [note for note in said if note.startswith("channel 1: no words: 0.0 s of speech")]
    assert not [note for note in said if note.startswith("channel 2: ")]


def test_an_engine_that_returns_no_words_is_named(long_wav):
    class Mute(sleeper.Sleeper):
        def recognize(self, speech, hints):
            for stretch in speech:
                yield Recognized(start=stretch.start, end=stretch.end, items=())

    notebook = Notebook()
    work = batch.Work(path=long_wav, request=TranscriptionRequest(language="en"), clock=lambda: 0)
    batch.transcribe(work, recognizing(Mute(0.0)), VadFactory, notebook)
    assert any("returned no words for 20 stretch(es)" in note for note in notes(notebook, "recognise"))


def test_speech_is_in_media_time_and_the_log_says_so(tmp_path):
    voice = np.tile(tones(48_000), 2)[None]
    recipe = Recipe(container="matroska", tracks=[Audio(codec="pcm_s16le", samples=voice)], offset=4.0, video=True)
    transcript, notebook = transcribe(write(tmp_path / "x", recipe))
    assert transcript.duration == pytest.approx(6.4 * RATE, abs=20)
    assert 3.8 * RATE < transcript.items[0].start < 4.1 * RATE
    assert notes(notebook, "media") == ["the audio begins 4.00 s after the beginning of the media"]


def test_tracks_and_the_choice_are_told(tmp_path):
    tracks = [Audio(codec="aac", silent=True, language="ger"), Audio(codec="aac", language="eng")]
    path = write(tmp_path / "x", Recipe(container="matroska", tracks=tracks))
    transcript, notebook = transcribe(path)
    assert transcript.items
    said = notes(notebook, "media")
    assert said[0].startswith("track 1: aac, 48000 Hz, 1 channel(s), ger")
    assert said[2].startswith("track 2 of 2 is transcribed: track 1 is without sound")
    silent, _ = transcribe(path, track=Wanted(number=1))
    assert silent.items == ()
    with pytest.raises(MediaUnreadable, match="no track 3"):
        transcribe(path, track=Wanted(number=3, required=True))


def test_quiet_stretches_are_raised_for_the_engine(tmp_path):
    heard = []

    class Meter(sleeper.Sleeper):
        def recognize(self, speech, hints):
            for stretch in speech:
                heard.append(float(np.abs(stretch.audio).max()))
                yield Recognized(start=stretch.start, end=stretch.end, items=())

    class Everything(VadFactory):
        def __call__(self, audio):
            return np.ones(len(audio) // self.frame, np.float32)

    path = write(tmp_path / "x", Recipe(container="matroska", tracks=[Audio(codec="pcm_s16le", level=-40)]))
    work = batch.Work(path=path, request=TranscriptionRequest(language="en"), clock=lambda: 0)
    batch.transcribe(work, recognizing(Meter(0.0)), Everything, Notebook())
    assert heard[0] > 0.1


# ── stretches that are read along, and translation ──


def test_stretches_are_told_as_they_are_recognised_and_formatted(long_wav):
    request = TranscriptionRequest(
        language="en", report_stretches=True, replacements=(Replacement(source="/.+/", target="x"),)
    )
    transcript, notebook = transcribe(long_wav, request)
    told = [item for stretch, _ in notebook.stretches for item in stretch.items if isinstance(item, Word)]
    assert len(notebook.stretches) > 10
    assert {language for _, language in notebook.stretches} == {"en"}
    assert [item.text for item in told] == [item.text for item in transcript.items if isinstance(item, Word)]
    assert {item.text.lower() for item in told} == {"x"}
    ends = [stretch.end for stretch, _ in notebook.stretches]
    assert all(stretch.start >= end for (stretch, _), end in zip(notebook.stretches[1:], ends, strict=False))


def test_no_stretch_is_told_unless_it_is_asked_for(long_wav):
    assert transcribe(long_wav)[1].stretches == []


class Translator(sleeper.Sleeper):
    """Writes English, whatever is spoken; has no words of the spoken language."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.hints: list[Hints] = []

    def recognize(self, speech, hints):
        raise AssertionError("the words of the spoken language were not asked for")

    def translate(self, speech, hints):
        self.hints.append(hints)
        return super().recognize(speech, hints)


def test_translated_speech_is_an_english_transcript(long_wav):
    engine, notebook = Translator(), Notebook()
    work = batch.Work(
        path=long_wav, request=TranscriptionRequest(language="de", translate_speech=True), clock=lambda: 7
    )
    transcript = batch.transcribe(work, LoadedEngines({Skill.SPEECH_TRANSLATION: engine}), VadFactory, notebook)
    assert transcript.language == "en"
    assert transcript.items
    assert [hints.language for hints in engine.hints] == ["de"]
    assert any(name == "translate" and "from de into English" in note for name, note in notebook.stages)

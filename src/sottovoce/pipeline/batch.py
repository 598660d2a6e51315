"""From a media file to a transcript: decode, detect speech, recognise window by window, format, assign speakers.

Long media are recognised in windows of about five minutes that end in a pause. Each is reported as soon as it is done, and
a later attempt resumes after the last one.
In order: `Work`; `transcribe`; formatting, speakers and language; labels of channels; recognition of one channel.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sottovoce.audio import activity, media, normalisation
from sottovoce.audio.tracks import Wanted
from sottovoce.engines.gaps import StageGap
from sottovoce.engines.protocols import (
    ChoosesActivity,
    Diarizer,
    Hints,
    LanguageIdentifier,
    Recognized,
    Recognizer,
    Skill,
    Speech,
    SpeechTranslator,
)
from sottovoce.errors import EngineUnavailable, LanguageRejected, Refused
from sottovoce.pipeline import diarization, identification, media_report, results, stages
from sottovoce.pipeline.engine_set import EngineSet
from sottovoce.pipeline.windows import Observer, Window, cut
from sottovoce.request import Diarization, LanguageIdentification, TranscriptionRequest
from sottovoce.transcript import replacements, speakers, timeline
from sottovoce.transcript.languages import AUTO, pack
from sottovoce.transcript.model import (
    RATE,
    ChannelLabel,
    Entity,
    Identification,
    Item,
    Mark,
    Samples,
    Speaker,
    Transcript,
    Word,
)

if TYPE_CHECKING:
    from sottovoce.audio.activity import Floats

MAX_CHANNELS = 100  # contract §11

ENGLISH = "en"
"""The language of translated speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One transcription: the file, the request, and the windows of earlier attempts.

    *known*: voices that the request names, with prints in the form of the diarizer that is used.
    """

    path: Path
    request: TranscriptionRequest
    clock: Callable[[], int]  # epoch ms; called at the end for the date of the transcript (contract §7.3)
    gaps: tuple[StageGap, ...] = ()  # stages of speech intelligence that the server cannot run
    windows: Sequence[Window] = ()
    known: tuple[diarization.KnownVoice, ...] = ()
    limit: Samples | None = None  # of the media's length; longer media is refused
    track: Wanted | None = None  # of the file; without it the best one is chosen


VadFactory = diarization.VadFactory


def transcribe(
    work: Work,
    engines: EngineSet,
    make_vad: VadFactory,
    observer: Observer,
    runner: results.StageRunner | None = None,
) -> Transcript:
    """Return the transcript of *work*.

    *engines* has a recogniser; without a diarizer words get no speakers. *make_vad* returns a new speech detector for each
    channel. *runner* runs the stages of speech intelligence; without one they run in this process.
    Raises `MediaUnreadable` for media without audio, `Refused` for a request that cannot be fulfilled for this media.
    """
    recognizer = _recognizer(work.request, engines)
    probe = media_report.opened(work.path, work.track, work.limit, observer)
    found = None
    if work.request.language == AUTO:
        work, found = _in_its_language(work, recognizer, make_vad, observer, probe.track)
    if work.request.translate_speech:
        observer.stage("translate", f"from {work.request.language} into English, by the recogniser: a rough draft")
    request = work.request
    written = ENGLISH if request.translate_speech else request.language
    rules = replacements.compile_rules(request.replacements)
    channels = _labels(request, probe.channels)
    engine = recognizer.capabilities
    observer.stage("recognise", f"engine {engine.engine} {engine.model}, {max(1, len(channels))} channel(s)")
    diarizer = _diarizer(request, engines, observer)
    scene = stages.StageContext(request=request, pack=pack(written), end=0, punctuated=engine.punctuates, rules=rules)
    scribe = _ChannelRecognizer(work, recognizer, make_vad, observer, probe=probe, channels=len(channels), scene=scene)
    heard = {label: scribe.channel(index) for index, label in enumerate(channels or ("",))}
    if note := _without_effect(request, [item for items in heard.values() for item in items], uses=engine.custom_vocab):
        observer.stage("recognise", note)
    scene = replace(scene, end=scribe.duration)
    observer.stage("format", f"{sum(map(len, heard.values()))} words")
    finished = {label: _finished(items, scene, observer) for label, items in heard.items()}
    items = timeline.merge_channels(finished) if channels else finished[""]
    voices: tuple[Speaker, ...] = ()
    if diarizer is not None and items:
        source = diarization.Source(path=work.path, make_vad=make_vad, alive=scribe.alive, track=probe.track)
        items, voices = _assign_speakers(items, work, source, diarizer, observer)
    transcript = Transcript(
        language=written,
        duration=scribe.duration,
        created_at=work.clock(),
        items=items,
        channels=channels,
        engine=f"{engine.engine} {engine.model}".strip(),
        adapted=bool(request.additional_vocab) and engine.custom_vocab,
        identification=found,
        speakers=voices,
    )
    context = results.ResultContext(
        path=work.path,
        request=request,
        transcript=transcript,
        alive=scribe.alive,
        track=probe.track,
        gaps=work.gaps,
    )
    return _with_results(context, runner or results.InProcess(engines), observer)


def _without_effect(request: TranscriptionRequest, items: Sequence[Item], *, uses: bool) -> str:
    """Which custom words of *request* are not in *items*, by their place in the list: the words themselves are private."""
    vocab = request.additional_vocab
    if not vocab:
        return ""
    if not uses or request.translate_speech:
        return "the custom words have no effect: this engine does not use them"
    heard = f" {_letters(' '.join(item.text for item in items if not isinstance(item, Mark)))} "
    if not pack(request.language).delimiter:
        heard = heard.replace(" ", "")
    missing = [number for number, entry in enumerate(vocab, start=1) if not _said(entry.content, heard)]
    if not missing:
        return ""
    places = ", ".join(map(str, missing[:_MOST_NAMED])) + (", …" if len(missing) > _MOST_NAMED else "")
    return f"{len(missing)} of {len(vocab)} custom words are not in the transcript: number {places} of the list"


_MOST_NAMED = 20
"""Custom words that a line of the log names."""


def _said(content: str, heard: str) -> bool:
    wanted = _letters(content)
    return (f" {wanted} " if heard.startswith(" ") else wanted.replace(" ", "")) in heard


def _letters(text: str) -> str:
    """*text* in small letters and digits, its words divided by one blank."""
    return " ".join("".join(each if each.isalnum() else " " for each in text.casefold()).split())


def _in_its_language(
    work: Work, recognizer: Recognizer | SpeechTranslator, make_vad: VadFactory, observer: Observer, track: int
) -> tuple[Work, Identification]:
    """*work* with the language that is identified in its media, and how sure that is."""
    observer.stage("identify", "the language")
    language, found = _identified(work, recognizer, make_vad, observer, track)
    observer.stage("identify", _heard(language, found))
    return replace(work, request=replace(work.request, language=language)), found


def _with_results(context: results.ResultContext, runner: results.StageRunner, observer: Observer) -> Transcript:
    """The transcript of *context* with the results of the stages that its request asks for."""
    log = results.StageLog(begins=observer.stage, failed=lambda name, error: _left_out(observer, name, error))
    return results.add_results(context, runner, log)


def _recognizer(request: TranscriptionRequest, engines: EngineSet) -> Recognizer | SpeechTranslator:
    """Return the engine that makes the words: those that are spoken, or English ones."""
    skill = Skill.SPEECH_TRANSLATION if request.translate_speech else Skill.TRANSCRIPTION
    recognizer: Recognizer | SpeechTranslator | None = engines.get(skill)
    if recognizer is None:
        raise LookupError(f"no engine with the skill {skill}")
    return recognizer


def _word_maker(
    request: TranscriptionRequest, recognizer: Any
) -> Callable[[Iterable[Speech], Hints], Iterable[Recognized]]:
    """Return what makes the words of *recognizer*, which has the protocol of the skill that *request* needs."""
    made: Callable[[Iterable[Speech], Hints], Iterable[Recognized]] = (
        recognizer.translate if request.translate_speech else recognizer.recognize
    )
    return made


def _diarizer(request: TranscriptionRequest, engines: EngineSet, observer: Observer) -> Diarizer | None:
    """Return the diarizer if *request* asks for speakers. Without one, the reason is in the job's log."""
    if request.diarization is not Diarization.SPEAKER:
        return None
    try:
        diarizer: Diarizer | None = engines.get(Skill.DIARIZATION)
    except EngineUnavailable as error:  # a transcript without speakers is still useful
        observer.stage("diarize", error.why)
        diarizer = None
    if diarizer is None:
        observer.stage("diarize", "no diarizer on this server: every word is labelled UU")
    return diarizer


def _finished(items: tuple[Item, ...], scene: stages.StageContext, observer: Observer) -> tuple[Item, ...]:
    """Return one channel's *items* after the formatting stages."""
    sane = timeline.clamp(items, scene.end)
    return stages.run_stages(sane, scene, lambda name, error: _left_out(observer, name, error))


def _assign_speakers(
    items: tuple[Item, ...], work: Work, source: diarization.Source, diarizer: Diarizer, observer: Observer
) -> tuple[tuple[Item, ...], tuple[Speaker, ...]]:
    """Return finished *items* with a speaker each, and the speakers; all words are labelled UU if *diarizer* fails.

    Windows contain words only: a resumed attempt repeats the diarization from the beginning, which is cheap compared with
    recognition.
    """
    engine = diarizer.capabilities
    prefer_current = work.request.speaker_diarization.prefer_current_speaker
    observer.stage("diarize", f"engine {engine.engine} {engine.model}")
    try:
        found = diarization.find(source, work.request, work.known, diarizer)
        items, voices = diarization.label(items, found, prefer_current=prefer_current)
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - a transcript without speakers is better than none
        _left_out(observer, "diarize", error)
        return speakers.assign(items, ()), ()
    known = sum(voice.label in found.named for voice in voices)
    observer.stage("diarize", f"{len(voices)} speaker(s)" + (f", {known} of them known" if work.known else ""))
    return items, voices


def _identified(
    work: Work, recognizer: Recognizer | SpeechTranslator, make_vad: VadFactory, observer: Observer, track: int
) -> tuple[str, Identification]:
    """Return the language of *track* in *work*, from all channels mixed. Raises `LanguageRejected`."""
    if not isinstance(recognizer, LanguageIdentifier):
        raise LanguageRejected(identification.FAILED)  # the engine chosen for this job cannot identify languages
    decoder = media.decode(work.path, split=False, limit=work.limit, track=track)
    blocks = (block[0] for block in decoder)
    heard = media_report.Activity()
    speech = identification.beginning(heard.counted(activity.segments(blocks, make_vad(), _activity(recognizer))))
    if not speech:
        for line in media_report.nothing_heard(decoder, heard):
            observer.stage("identify", line)
    found = identification.identify(list(normalisation.raised(speech)), recognizer)
    wanted = work.request.language_identification or LanguageIdentification()
    return identification.decide(found, wanted, recognizer.capabilities.languages)


def _activity(recognizer: Recognizer | SpeechTranslator) -> activity.ActivityPolicy:
    """Return the activity policy of *recognizer*, the default one if it has none."""
    return recognizer.activity if isinstance(recognizer, ChoosesActivity) else activity.ActivityPolicy()


def _heard(language: str, found: Identification) -> str:
    """Return the identified language and its scores as a note for the job's log."""
    scores = ", ".join(f"{score.language} {score.confidence:.2f}" for score in found.alternatives[:3]) or "no speech"
    return f"{language} ({scores})" + (f", {found.error}" if found.error else "")


def _left_out(observer: Observer, name: str, error: Exception) -> None:
    trace = "".join(traceback.format_exception(error))
    observer.stage(name, f"left out: {type(error).__name__}", trace)


def _labels(request: TranscriptionRequest, channels: int) -> tuple[ChannelLabel, ...]:
    """Return one label per channel for channel diarization (contract §7.4: the caller's, then `channel_N`), else none."""
    if request.diarization is not Diarization.CHANNEL:
        return ()
    labels: list[ChannelLabel] = []
    for number in range(1, min(channels, MAX_CHANNELS) + 1):
        given = request.channel_labels[number - 1 : number]
        label = given[0] if given else f"channel_{number}"
        while label in labels:  # a caller may give two channels the same name
            label += "_"
        labels.append(label)
    return tuple(labels)


class _ChannelRecognizer:
    """Recognises one channel after another; *done* and *duration* are in samples, of all channels and of the longest."""

    def __init__(
        self,
        work: Work,
        recognizer: Recognizer | SpeechTranslator,
        make_vad: VadFactory,
        observer: Observer,
        *,
        probe: media.Probe,
        channels: int,
        scene: stages.StageContext,
    ) -> None:
        self._work = work
        self._scene = scene  # for the formatting of single stretches
        self._recognizer = recognizer
        self._make_words = _word_maker(work.request, recognizer)
        self._make_vad = make_vad
        self._observer = observer
        self._split = bool(channels)
        self._total = None if probe.duration is None else probe.duration * max(1, channels)
        self._track = probe.track
        self._told: set[str] = set()
        self.done: Samples = 0
        self._recognized: Samples = 0  # of the channel
        self.duration: Samples = 0

    def alive(self) -> None:
        """Report that the work goes on after the recognition."""
        self._observer.progress(self.done, self._total)

    def channel(self, index: int) -> tuple[Item, ...]:
        """Return every item of channel *index*: those of earlier attempts, then those of the rest of the audio."""
        earlier = [window for window in self._work.windows if window.channel == index]
        items = [item for window in earlier for item in window.items]
        start = earlier[-1].end if earlier else 0
        if start:
            self._observer.stage("recognise", f"goes on at {start // RATE} s, {len(earlier)} window(s) kept")
        for window in self._windows(index, start):
            items.extend(window.items)
            self._observer.window(window)
        return tuple(items)

    def _explain(self, decoder: media.Decoder, found: media_report.Activity, index: int, words: int) -> None:
        """Report what was found in the media, and why a channel has no words."""
        media_report.tell(decoder, self._observer, self._told)
        if not words:
            where = f"channel {index + 1}: " if self._split else ""
            for line in media_report.nothing_heard(decoder, found, where):
                self._observer.stage("recognise", line)

    def _windows(self, index: int, start: Samples) -> Iterator[Window]:
        self._recognized = start
        decoder = media.decode(
            self._work.path, split=self._split, start=start, limit=self._work.limit, track=self._track
        )
        policy = _activity(self._recognizer)
        filtering = self._work.request.audio_filtering
        track = activity.VolumeTrack(start=start) if filtering else None

        blocks: Iterator[Floats] = (block[index] for block in decoder)
        if filtering and track:
            blocks = track.through(activity.filter_quiet(blocks, filtering.volume_threshold))
        hints = Hints(
            language=self._work.request.language,
            operating_point=self._work.request.operating_point,
            vocab=self._work.request.additional_vocab,
        )
        found = media_report.Activity()
        speech = found.counted(activity.segments(blocks, self._make_vad(), policy, start=start))
        recognized = self._make_words(self._watched(speech), hints)
        words = 0
        for window in cut(self._reported(self._loud(self._noted(recognized), track)), index, start):
            words += len(window.items)
            yield window
        self._explain(decoder, found, index, words + start)
        self.duration = max(self.duration, decoder.decoded)
        self.done += decoder.decoded
        self._recognized = 0

    def _reported(self, recognized: Iterable[Recognized]) -> Iterator[Recognized]:
        """Yield *recognized*; report the progress after each stretch, and its formatted words if the request asks for them."""
        for part in recognized:
            self._recognized = max(self._recognized, part.end)
            self._observer.progress(self.done + self._recognized, self._total)
            if self._work.request.report_stretches and not self._split and part.items:
                scene = replace(self._scene, end=part.end)
                items = _finished(part.items, scene, self._observer)
                self._observer.stretch(replace(part, items=items), scene.pack.code)
            yield part

    def _watched(self, speech: Iterable[Speech]) -> Iterator[Speech]:
        """Yield *speech*, quiet stretches raised; report before each that the work goes on.

        The progress is what is recognised: an engine may read far ahead of that.
        """
        for stretch in normalisation.raised(speech):
            self._observer.progress(self.done + self._recognized, self._total)
            yield stretch

    def _noted(self, recognized: Iterable[Recognized]) -> Iterator[Recognized]:
        """Yield *recognized*; report the engine's notes for the job's log."""
        for part in recognized:
            for note in part.notes:
                self._observer.stage("recognise", note)
            yield part

    def _loud(self, recognized: Iterable[Recognized], track: activity.VolumeTrack | None) -> Iterator[Recognized]:
        """Yield *recognized* with the volume of every word if there is a *track* (contract §7.4)."""
        for part in recognized:
            yield replace(part, items=tuple(_with_volume(item, track) for item in part.items)) if track else part


def _with_volume(item: Item, track: activity.VolumeTrack) -> Item:
    if isinstance(item, Word | Entity):
        return replace(item, volume=round(track.volume(item.start, item.end), 2))
    return item

"""A child process: loads one engine, then runs one task after another, or holds live sessions, until its parent closes the socket.

Started as `python -m sottovoce.inference.host FD PARENT SHARE ROLE ENGINE MODEL DEVICE CONFIG`, ROLE `batch`, `live` or
`translate`, the last as JSON. It exchanges frames on FD and reads its degree of parallelism from SHARE (`share`). Standard
output is redirected to standard error before any library is loaded, because native libraries print.
In order: progress reports; the handlers of tasks; the main loop.
"""

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from sottovoce.audio.tracks import Wanted
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import Skill
from sottovoce.errors import EngineFailed, EngineUnavailable, Refused
from sottovoce.inference import messages as m
from sottovoce.inference.frame_socket import FrameSocket, die_with_parent
from sottovoce.inference.share import Part
from sottovoce.transcript.model import Samples

if TYPE_CHECKING:
    from sottovoce.inference.live_host import LiveHost
    from sottovoce.pipeline.windows import Window

_NICENESS = 5  # of batch: below the parent, which must answer clients promptly, and below live sessions


def lower_priority() -> None:
    """Give this process less processor time than others.

    The kernel groups processes by session (autogroup), and between groups only the group's own niceness counts.
    """
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS), encoding="ascii")


class ProgressReporter:
    """A pipeline observer that sends events to the parent; progress at most ten times a second."""

    def __init__(self, line: FrameSocket) -> None:
        self._line = line
        self._last = 0.0

    def media(self, probe: object) -> None:
        """Send the properties of the media."""
        self._line.send(_media(probe))

    def stage(self, name: str, note: str = "", trace: str = "") -> None:
        """Send that a stage begins, a note of it, or the stack trace of its failure."""
        self._line.send(m.Stage(name=name, note=note, trace=trace))

    def progress(self, done: int, total: int | None) -> None:
        """Send the progress, in samples, unless it was sent less than 0.1 s ago."""
        now = time.monotonic()
        if now - self._last >= 0.1:  # noqa: PLR2004 - frequent enough for a progress bar
            self._last = now
            self._line.send(m.Progress(done=done, total=total))

    def stretch(self, stretch: object, language: str) -> None:
        """Send the words of a stretch, which clients may read while the job runs."""
        from sottovoce.engines.protocols import Recognized
        from sottovoce.transcript import codec

        if isinstance(stretch, Recognized):
            done = m.StretchDone(start=stretch.start, end=stretch.end, language=language)
            self._line.send(done, codec.dump_items(stretch.items))

    def window(self, window: object) -> None:
        """Send a finished window, which the parent stores."""
        from sottovoce.pipeline.windows import Window
        from sottovoce.transcript import codec

        if isinstance(window, Window):
            done = m.WindowDone(channel=window.channel, start=window.start, end=window.end)
            self._line.send(done, codec.dump_items(window.items))


def _media(probe: object) -> m.Media:
    from sottovoce.audio.media import Probe

    if not isinstance(probe, Probe):
        raise TypeError(probe)
    return m.Media(
        duration=probe.duration, channels=probe.channels, rate=probe.rate, codec=probe.codec, container=probe.container
    )


TaskHandler = Callable[[FrameSocket, m.Message, bytes], None]


def _media_reader(limit: Samples | None) -> TaskHandler:
    """Return a handler that inspects media, or prepares it for playback; it needs no engine."""
    from sottovoce.audio import media, playback

    def read(line: FrameSocket, message: m.Message, _: bytes) -> None:
        if isinstance(message, m.PreparePlayback):
            reporter = ProgressReporter(line)
            wishes = playback.Wishes(
                source=Path(message.path),
                target=Path(message.target),
                limit=limit,
                alive=lambda done: reporter.progress(done, None),
            )
            line.send(m.Finished(rss=rss()), playback.prepare(wishes))
            return
        if not isinstance(message, m.Inspect):
            raise TypeError(message.kind)
        line.send(_media(media.probe(Path(message.path))))
        line.send(m.Finished(rss=rss()))

    return read


class _Engine:
    """A handler with the engine *key*, which transcribes or aligns."""

    def __init__(self, key: EngineKey, engine_config: EngineConfig, part: Part) -> None:
        from sottovoce.engines.common.silero_vad import SileroVad
        from sottovoce.inference.child_engines import ChildEngines

        self._key = key
        self._engine_config = engine_config
        self._limit = engine_config.max_media
        self._track = None if engine_config.track is None else Wanted(number=engine_config.track)
        self._engines = ChildEngines(engine_config, part.width)
        # load everything now, so that the first job does not wait for it
        self._engines.prepare(key)
        SileroVad()

    def __call__(self, line: FrameSocket, message: m.Message, payload: bytes) -> None:
        """Run the task *message*."""
        if not isinstance(message, m.Transcribe | m.Align):
            raise TypeError(message.kind)
        # receive all frames before parsing any: an unread frame would be taken for the next task
        kept = _windows([line.receive() for _ in range(message.windows)])
        if isinstance(message, m.Align):
            self._align(line, message, payload.decode(), kept)
        else:
            self._transcribe(line, message, kept)

    def _transcribe(self, line: FrameSocket, message: m.Transcribe, kept: "list[Window]") -> None:
        from sottovoce.engines.common.silero_vad import SileroVad
        from sottovoce.inference.stages.process import StageProcess
        from sottovoce.pipeline import batch
        from sottovoce.transcript import codec

        work = batch.Work(
            path=Path(message.path),
            request=message.request,
            clock=_clock,
            gaps=message.gaps,
            windows=kept,
            known=message.known,
            limit=self._limit,
            track=message.track or self._track,
        )
        engines = self._engines.of_task({Skill.TRANSCRIPTION: self._key, **message.engines})
        runner = StageProcess(message.engines, self._engine_config)
        try:
            transcript = batch.transcribe(work, engines, SileroVad, ProgressReporter(line), runner)
        finally:
            runner.close()
        line.send(m.Finished(duration=transcript.duration, rss=rss()), codec.encode(transcript))

    def _align(self, line: FrameSocket, message: m.Align, text: str, kept: "list[Window]") -> None:
        from sottovoce.engines.common.silero_vad import SileroVad
        from sottovoce.pipeline import alignment
        from sottovoce.transcript import alignment as stored
        from sottovoce.transcript import marked_text

        work = alignment.Work(
            path=Path(message.path),
            words=tuple(marked_text.words(text)),
            language=message.language,
            clock=_clock,
            windows=kept,
            limit=self._limit,
            track=message.track or self._track,
        )
        aligner = self._engines.load(Skill.ALIGNMENT, self._key)
        found = alignment.align(work, aligner, SileroVad, ProgressReporter(line))
        line.send(m.Finished(duration=found.duration, rss=rss()), stored.encode(found))


def _live(line: FrameSocket, key: EngineKey, engine_config: EngineConfig, part: Part) -> "tuple[LiveHost, float]":
    """The sessions of a live child, and the processor seconds of one of their decodes."""
    from sottovoce.engines.common.silero_vad import SileroVad
    from sottovoce.inference.child_engines import ChildEngines
    from sottovoce.inference.live_cost import decode_seconds
    from sottovoce.inference.live_host import LiveHost

    engines = ChildEngines(engine_config, part.width)
    recognizer = engines.load(Skill.LIVE, key)
    SileroVad()
    decode = decode_seconds(recognizer)
    return LiveHost(line.send, engines, key, threads=max(engine_config.workers, 1)), decode


def _translator(key: EngineKey, engine_config: EngineConfig) -> TaskHandler:
    """A handler that translates sentences of live sessions."""
    from sottovoce.inference.translation.host import TranslationHandler

    return TranslationHandler(key, engine_config)


def _clock() -> int:
    """Return the current time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def _windows(kept: list[tuple[m.Message, bytes]]) -> "list[Window]":
    """Return the windows in *kept*, up to the first unreadable one of each channel (another release may have written it)."""
    from sottovoce.pipeline.windows import Window
    from sottovoce.transcript import codec

    windows: list[Window] = []
    unusable: set[int] = set()
    for message, payload in kept:
        if not isinstance(message, m.WindowDone) or message.channel in unusable:
            continue
        try:
            items = codec.load_items(payload)
        except ValueError:
            unusable.add(message.channel)
            continue
        windows.append(Window(channel=message.channel, start=message.start, end=message.end, items=items))
    return windows


def rss() -> int:
    """Return the resident memory of this process in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a kernel file, read often
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def serve(line: FrameSocket, handler: TaskHandler) -> None:
    """Run the parent's tasks with *handler*, one at a time, until the parent closes the socket."""
    while True:
        try:
            message, payload = line.receive()
        except EOFError:
            return
        try:
            handler(line, message, payload)
        except Refused as refusal:
            if isinstance(refusal, EngineUnavailable) and refusal.__cause__ is not None:
                line.send(m.Broken(error=traceback.format_exc()))  # a crash in an engine, not the caller's fault
            else:
                line.send(m.Declined(refusal=refusal.kind, why=refusal.why, at=refusal.at))
        except EngineFailed as failed:
            line.send(m.Broken(error=traceback.format_exc(), why=failed.told))
        except Exception:  # noqa: BLE001 - sent to the parent, which logs it and decides on a retry
            line.send(m.Broken(error=traceback.format_exc()))


def main(arguments: list[str]) -> int:
    """Run the child process; return its exit code."""
    descriptor, parent, share, role, engine, model, device, engine_config = arguments
    die_with_parent(int(parent))
    os.dup2(2, 1)  # what libraries print goes to the log
    for stop in (signal.SIGINT, signal.SIGTERM):  # the parent handles the stop of the service and drains its jobs
        signal.signal(stop, signal.SIG_IGN)
    if role != "live":
        lower_priority()
    line = FrameSocket(socket.socket(fileno=int(descriptor)))
    begun = time.monotonic()
    end: Callable[[], None] | None = None
    handler: TaskHandler
    decode: float | None = None
    try:
        key = EngineKey(engine=engine, model=model, device=device)
        config = TypeAdapter(EngineConfig).validate_json(engine_config)
        if role == "live":
            sessions, decode = _live(line, key, config, Part(int(share)))
            handler, end = sessions.handle, sessions.close
        elif role == "translate":
            handler = _translator(key, config)
        else:
            handler = _media_reader(config.max_media) if engine == "media" else _Engine(key, config, Part(int(share)))
    except Refused as refusal:
        line.send(m.Broken(error=str(refusal), why=refusal.detail))
        return 1
    line.send(m.Ready(seconds=time.monotonic() - begun, decode=decode))
    serve(line, handler)
    if end is not None:
        end()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A child process: loads one engine, then does one task after another until its parent goes away.

Started as `python -m sottovoce.inference.host FD PARENT SHARE ENGINE MODEL DEVICE SETUP`, the last as JSON. It speaks frames on
FD, reads from SHARE how much it may do at once (`share`), and nothing else: its standard output is turned into standard
error before any library is loaded, since native code likes to print.
"""

import ctypes
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.errors import EngineUnavailable, Refused
from sottovoce.inference import messages as m
from sottovoce.inference.share import Part

if TYPE_CHECKING:
    from sottovoce.engines.protocols import Aligner, Diarizer, Recognizer
    from sottovoce.pipeline.windows import Window

_PR_SET_PDEATHSIG = 1
_NICENESS = 5  # the parent answers clients; recognition takes what is left


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when the thread that started it ends; leave at once if it is gone already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


class FrameSocket:
    """The child's end of the socket: blocking, one frame at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, message: m.Message, payload: bytes = b"") -> None:
        """Send one frame."""
        self._sock.sendall(m.encode(message, payload))

    def receive(self) -> tuple[m.Message, bytes]:
        """The next frame. Raises `EOFError` when the parent has gone."""
        header, payload = m.lengths(self._exactly(m.PREFIX))
        message = m.decode(self._exactly(header))
        return message, self._exactly(payload)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self._sock.recv(min(1 << 20, size - len(data)))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)


class ProgressReporter:
    """A pipeline observer that tells the parent; progress at most ten times a second."""

    def __init__(self, line: FrameSocket) -> None:
        self._line = line
        self._last = 0.0

    def media(self, probe: object) -> None:
        """What the media is."""
        self._line.send(_media(probe))

    def stage(self, name: str, note: str = "") -> None:
        """A stage begins."""
        self._line.send(m.Stage(name=name, note=note))

    def progress(self, done: int, total: int | None) -> None:
        """How far the work is."""
        now = time.monotonic()
        if now - self._last >= 0.1:  # noqa: PLR2004 - often enough for a progress bar
            self._last = now
            self._line.send(m.Progress(done=done, total=total))

    def window(self, window: object) -> None:
        """A window to keep."""
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


def _inspector() -> TaskHandler:
    """A doer that only looks at media; it needs no engine."""
    from sottovoce.audio import media

    def look(line: FrameSocket, message: m.Message, _: bytes) -> None:
        if not isinstance(message, m.Inspect):
            raise TypeError(message.kind)
        line.send(_media(media.probe(Path(message.path))))
        line.send(m.Finished(rss=rss()))

    return look


class _Engine:
    """A doer with one engine: it transcribes or aligns, whichever it was made for."""

    def __init__(self, engine: str, model: str, device: str, engine_config: str, part: Part) -> None:
        from pydantic import TypeAdapter

        from sottovoce.engines import registry
        from sottovoce.engines.common.silero_vad import SileroVad
        from sottovoce.engines.config import EngineConfig
        from sottovoce.engines.protocols import Parallel

        self._key = engine, model, device
        self._engine_config = TypeAdapter(EngineConfig).validate_json(engine_config)
        self._recognizer: Recognizer | None = None
        self._aligner: Aligner | None = None
        self._diarizers: dict[m.EngineKey, Diarizer] = {}
        # load now what can be: the first job shall find everything warm
        if registry.engine(engine).load is not None:
            self._recognizer = registry.load(*self._key, self._engine_config)
            if isinstance(self._recognizer, Parallel):
                self._recognizer.allow(part.width)
        else:
            self._aligner = registry.load_aligner(*self._key, self._engine_config)
        SileroVad()

    def __call__(self, line: FrameSocket, message: m.Message, payload: bytes) -> None:
        """Do what *message* asks."""
        if not isinstance(message, m.Transcribe | m.Align):
            raise TypeError(message.kind)
        # all of them before any is looked at: a frame left on the line would be taken for the next task
        kept = _windows([line.receive() for _ in range(message.windows)])
        if isinstance(message, m.Align):
            self._align(line, message, payload.decode(), kept)
        else:
            self._transcribe(line, message, kept)

    def _transcribe(self, line: FrameSocket, message: m.Transcribe, kept: "list[Window]") -> None:
        from sottovoce.engines.common.silero_vad import SileroVad
        from sottovoce.pipeline import batch
        from sottovoce.transcript import codec

        if self._recognizer is None:
            raise TypeError(message.kind)
        work = batch.Work(
            path=Path(message.path),
            request=message.request,
            clock=_clock,
            errors=message.errors,
            windows=kept,
            known=message.known,
        )
        telling = ProgressReporter(line)
        diarizer = self._diarizer(message.diarizer, telling) if message.diarizer else None
        transcript = batch.transcribe(work, self._recognizer, SileroVad, telling, diarizer)
        line.send(m.Finished(duration=transcript.duration, rss=rss()), codec.encode(transcript))

    def _align(self, line: FrameSocket, message: m.Align, text: str, kept: "list[Window]") -> None:
        from sottovoce.engines import registry
        from sottovoce.engines.common.silero_vad import SileroVad
        from sottovoce.pipeline import alignment
        from sottovoce.transcript import alignment as stored
        from sottovoce.transcript import marked_text

        self._aligner = self._aligner or registry.load_aligner(*self._key, self._engine_config)
        work = alignment.Work(
            path=Path(message.path),
            words=tuple(marked_text.words(text)),
            language=message.language,
            clock=_clock,
            windows=kept,
        )
        found = alignment.align(work, self._aligner, SileroVad, ProgressReporter(line))
        line.send(m.Finished(duration=found.duration, rss=rss()), stored.encode(found))

    def _diarizer(self, key: m.EngineKey, telling: ProgressReporter) -> "Diarizer | None":
        """None when it cannot be loaded: a transcript without speakers is better than none."""
        from sottovoce.engines import registry

        if key not in self._diarizers:
            try:
                self._diarizers[key] = registry.load_diarizer(key.engine, key.model, key.device, self._engine_config)
            except EngineUnavailable as error:
                telling.stage("diarize", error.why)
                return None
        return self._diarizers[key]


def _clock() -> int:
    return time.time_ns() // 1_000_000


def _windows(kept: list[tuple[m.Message, bytes]]) -> "list[Window]":
    """The windows in *kept*; from the first on that another release wrote differently, its channel is done again."""
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
    """Resident bytes of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a kernel file, read often
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def serve(line: FrameSocket, doer: TaskHandler) -> None:
    """Do what the parent asks, one task at a time, until it closes the line."""
    while True:
        try:
            message, payload = line.receive()
        except EOFError:
            return
        try:
            doer(line, message, payload)
        except Refused as refusal:
            line.send(m.Declined(refusal=refusal.kind, why=refusal.why, at=refusal.at))
        except Exception:  # noqa: BLE001 - told to the parent, who logs it and decides
            line.send(m.Broken(error=traceback.format_exc()))


def main(arguments: list[str]) -> int:
    """Entry of the child."""
    descriptor, parent, share, engine, model, device, engine_config = arguments
    die_with_parent(int(parent))
    os.dup2(2, 1)  # nothing that a library prints may reach anyone but the log
    for stop in (signal.SIGINT, signal.SIGTERM):  # a stop of the whole service is the parent's to handle: it drains
        signal.signal(stop, signal.SIG_IGN)
    os.nice(_NICENESS)
    line = FrameSocket(socket.socket(fileno=int(descriptor)))
    begun = time.monotonic()
    try:
        doer = _inspector() if engine == "media" else _Engine(engine, model, device, engine_config, Part(int(share)))
    except Refused as refusal:
        line.send(m.Broken(error=str(refusal), why=refusal.detail))
        return 1
    line.send(m.Ready(seconds=time.monotonic() - begun))
    serve(line, doer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Media files of every kind, made by libav itself, and what ffmpeg's own filter makes of them.

A recipe is a container, a codec, and what is peculiar: a late start, a gap in the time stamps, a video track, several audio
tracks, a layout, a rate, a level. The audio is short tones at known times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
from av.stream import Disposition

from sottovoce.transcript.model import RATE

SECONDS = 1.2
GAP_AT = 0.6
"""Where a recipe's gap begins, in seconds of its audio."""

FROM_ZERO = {"mov", "mp4", "matroska", "webm"}
UNSTAMPED = {"wav", "flac", "mp3", "adts", "w64", "aiff", "caf", "au", "tta", "wv", "amr", "ac3"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """One audio track: *level* in dB, *silent* without sound. *samples* float32[channels, n] instead of the tones."""

    codec: str
    rate: int = 48_000
    layout: str = "mono"
    level: float = 0.0
    silent: bool = False
    default: bool = False
    language: str | None = None
    title: str | None = None
    samples: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A file: *offset* and *gap* of the stamps in seconds."""

    container: str
    tracks: Sequence[Audio]
    offset: float = 0.0
    gap: float = 0.0
    video: bool = False
    options: tuple[tuple[str, str], ...] = ()
    stamps: Any = None  # a function from the seconds of a packet to its stamp in seconds


def tones(rate: int, level: float = 0.0, seconds: float = SECONDS) -> np.ndarray:
    """Tones of 300 and 500 Hz, each 0.1 s, in silence: float32[n]."""
    at = np.arange(round(rate * seconds)) / rate
    tone = np.where(at % 0.4 < 0.2, np.sin(2 * np.pi * 300 * at), np.sin(2 * np.pi * 500 * at))
    envelope = np.clip(np.sin(2 * np.pi * 5 * at), 0, 1)
    return np.asarray(0.5 * 10 ** (level / 20) * tone * envelope, np.float32)


def write(path: Path, recipe: Recipe) -> Path:
    """Make the file of *recipe* at *path*."""
    with av.open(str(path), "w", format=recipe.container, options=dict(recipe.options)) as out:
        video = _video(out) if recipe.video else None
        streams = [_stream(out, track) for track in recipe.tracks]
        packets = [
            packet for stream, track in zip(streams, recipe.tracks, strict=True) for packet in _encoded(stream, track)
        ]
        if video is not None:
            packets += _pictures(video)
        timed = [(_shifted(packet, recipe), packet) for packet in packets]
        for _, packet in sorted(timed, key=lambda each: each[0]):
            out.mux(packet)
    return path


def _stream(out: Any, track: Audio) -> Any:
    stream = out.add_stream(track.codec, rate=track.rate, layout=track.layout)
    if track.language:
        stream.metadata["language"] = track.language
    if track.title:
        stream.metadata["title"] = track.title
    stream.disposition = Disposition.default if track.default else Disposition(0)
    return stream


def _encoded(stream: Any, track: Audio) -> list[Any]:
    channels = stream.layout.nb_channels
    if track.samples is not None:
        audio = track.samples
    else:
        audio = np.stack([tones(track.rate, track.level - 3 * number) for number in range(channels)])
    audio = np.zeros_like(audio) if track.silent else audio
    pcm = np.ascontiguousarray(audio.T.reshape(1, -1))
    frame = av.AudioFrame.from_ndarray(pcm, format="flt", layout=track.layout)
    frame.sample_rate, frame.pts, frame.time_base = track.rate, 0, Fraction(1, track.rate)
    return [*stream.encode(frame), *stream.encode(None)]


def _video(out: Any) -> Any:
    stream = out.add_stream("mpeg4" if out.format.name != "mpeg" else "mpeg1video", rate=25)
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
    return stream


def _pictures(stream: Any) -> list[Any]:
    found = []
    for number in range(10):
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        found += stream.encode(frame)
    return [*found, *stream.encode(None)]


def _shifted(packet: Any, recipe: Recipe) -> float:
    """Move the stamps of an audio *packet*; return its new time in seconds."""
    at = float((packet.dts if packet.dts is not None else packet.pts) * packet.time_base)
    if packet.stream.type == "audio":
        later = recipe.offset + (recipe.gap if at >= GAP_AT else 0)
        moved = at + later if recipe.stamps is None else recipe.stamps(at)
        shift = round((moved - at) / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + shift
        packet.dts = None if packet.dts is None else packet.dts + shift
        return float(moved)
    return at


def by_ffmpeg(path: Path, index: int = 0) -> np.ndarray:
    """What `ffmpeg -copyts -af aresample=16000:async=1:first_pts=0` makes of an audio track, channels averaged: float32[n].

    As for `-copyts`, time 0 is that of the stamps where the container's time line begins at 0, else the first stamp. In
    containers without stamps of their own the samples are counted.
    """
    with av.open(str(path)) as container:
        stream = container.streams.audio[index]
        names = set(container.format.name.split(","))
        stamped = not names & UNSTAMPED
        origin = 0 if names & FROM_ZERO else container.start_time or 0
        graph = av.filter.Graph()
        pieces: list[np.ndarray] = []
        sink: Any = None
        for frame in container.decode(stream):
            if sink is None:
                source = graph.add_abuffer(template=stream)
                resample = graph.add("aresample", "16000:async=1:first_pts=0" if stamped else "16000")
                form, sink = graph.add("aformat", "sample_fmts=fltp:sample_rates=16000"), graph.add("abuffersink")
                source.link_to(resample)
                resample.link_to(form)
                form.link_to(sink)
                graph.configure()
            if frame.pts is not None:
                frame.pts -= round(Fraction(origin, 1_000_000) / frame.time_base)
            graph.push(frame)
            pieces += _pulled(graph)
        graph.push(None)
        pieces += _pulled(graph)
    return np.asarray(np.concatenate(pieces, axis=1).mean(axis=0))


def _pulled(graph: Any) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    while True:
        try:
            found.append(graph.pull().to_ndarray())
        except (BlockingIOError, EOFError):
            return found


def seconds(samples: int) -> float:
    """*samples* at 16 kHz in seconds."""
    return samples / RATE

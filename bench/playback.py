"""Measures the preparation of media for playback: `python -m bench.playback [--minutes N] [--out FILE]`.

The figure is processor time per hour of media, of the same function that a worker's child process runs; the speed of other
programs does not change it.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench import machine
from sottovoce.audio.playback import Wishes, prepare
from tests.servers import ROOT

SPEECH = ROOT / "samples" / "demo.wav"
RATE = 48_000
HOUR = 3600
FILES = {"wav": "pcm_s16le", "mp3": "libmp3lame", "mkv": "aac"}
"""Codec by container. Browsers do not play AAC in Matroska, so it gets a copy; the others get peaks alone."""


def speech(seconds: int) -> "np.ndarray[Any, np.dtype[np.int16]]":
    """Speech at 48 kHz in one channel, repeated: int16[1, n]."""
    resampler = av.AudioResampler("s16", "mono", RATE)
    with av.open(str(SPEECH)) as source:
        frames = [made.to_ndarray() for frame in source.decode(audio=0) for made in resampler.resample(frame)]
    once = np.concatenate(frames, axis=1)
    return np.tile(once, -(-seconds * RATE // once.shape[1]))[:, : seconds * RATE]


def write(path: Path, codec: str, samples: "np.ndarray[Any, np.dtype[np.int16]]", *, stereo: bool) -> None:
    """*samples* as the file *path*, with *stereo* on two channels."""
    layout = "stereo" if stereo else "mono"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=RATE, layout=layout)
        resampler = av.AudioResampler(stream.format.name, layout, RATE)
        for start in range(0, samples.shape[1], RATE):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + RATE]), "s16", "mono")
            frame.sample_rate = RATE
            for made in resampler.resample(frame):
                out.mux(stream.encode(made))
        out.mux(stream.encode(None))


def measured(path: Path, target: Path, seconds: int) -> dict[str, Any]:
    """The cost of *path*, and the sizes of what is stored, for each hour of media."""
    before = time.process_time()
    peaks = prepare(Wishes(source=path, target=target))
    spent = time.process_time() - before
    copy = target.stat().st_size if target.exists() else 0
    target.unlink(missing_ok=True)
    hours = seconds / HOUR
    return {
        "cpu_s": round(spent / hours, 1),
        "peaks_bytes": round(len(peaks) / hours),
        "copy_bytes": round(copy / hours),
    }


def main() -> None:
    """Measure each container with one and two channels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=10, help="length of the files")
    parser.add_argument("--out", type=Path, help="write the JSON to this file as well")
    options = parser.parse_args()
    seconds = options.minutes * 60
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        samples = speech(seconds)
        for suffix, codec in FILES.items():
            for stereo in (False, True):
                path = Path(folder) / f"media.{suffix}"
                write(path, codec, samples, stereo=stereo)
                name = f"{suffix}, {'two channels' if stereo else 'one channel'}"
                found[name] = measured(path, Path(folder) / "copy.webm", seconds)
                print(name, found[name], file=sys.stderr)
    text = json.dumps({"machine": machine.fingerprint(), "per hour of media": found}, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()

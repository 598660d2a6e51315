"""Media files in pieces: every format of the contract (`realtime.md` §4.2) has the samples of the whole file."""

import time
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import live_file, media
from sottovoce.audio.live_file import LiveFile, _Boxes
from tests.media_files import Audio, Recipe, write

FORMATS = {
    "wav": ("wav", "pcm_s16le", ()),
    "mp3": ("mp3", "libmp3lame", ()),
    "aac": ("adts", "aac", ()),
    "ogg": ("ogg", "libopus", ()),
    "mpeg": ("mpeg", "mp2", ()),
    "m4a": ("ipod", "aac", ()),
    "mp4": ("mp4", "aac", ()),
    "mp4 with its index first": ("mp4", "aac", (("movflags", "faststart"),)),
    "mp4 in fragments": ("mp4", "aac", (("movflags", "frag_keyframe+empty_moov"),)),
    "flac": ("flac", "flac", ()),
    "webm": ("webm", "libopus", ()),
}


def everything(file: LiveFile, seconds: float = 30) -> np.ndarray:
    """The audio up to the end of *file*, which has ended."""
    got, late = [np.zeros(0, np.float32)], time.monotonic() + seconds
    while not file.done():
        assert time.monotonic() < late
        if (audio := file.poll(0.05)) is not None:
            got.append(audio)
    return np.concatenate(got)


def live(data: bytes, piece: int) -> tuple[np.ndarray, str | None]:
    file = LiveFile()
    for at in range(0, len(data), piece):
        file.push(data[at : at + piece])
    file.finish()
    try:
        return everything(file), file.error
    finally:
        file.close()


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_in_pieces_is_the_whole_file(name: str, tmp_path: Path) -> None:
    container, codec, options = FORMATS[name]
    path = write(tmp_path / "file", Recipe(container=container, tracks=[Audio(codec=codec)], options=options))
    whole = np.concatenate([block[0] for block in media.decode(path)])
    for piece in (997, 1 << 20):
        audio, error = live(path.read_bytes(), piece)
        assert error is None
        assert len(audio) == len(whole)
        assert np.allclose(audio, whole, atol=1e-4)


@pytest.mark.parametrize("data", [b"", b"x", b"no audio at all" * 1000, b"\0\0\0\x20ftypM4A " + b"\0" * 100])
def test_what_is_no_file_has_an_error(data: bytes) -> None:
    audio, error = live(data, 64)
    assert error
    assert not len(audio)


def test_a_file_with_its_index_at_the_end_is_kept_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_file, "MOST_KEPT", 10_000)
    file = LiveFile()
    file.push(b"\0\0\0\x10ftypM4A \0\0\0\0" + b"\0\1\0\0mdat")
    for _ in range(20):
        file.push(bytes(1_000))
    assert not len(everything(file))
    assert "faststart" in str(file.error)
    file.close()


def test_the_decoder_of_a_long_file_is_not_flooded(tmp_path: Path) -> None:
    """A caller that passes no more while the file is `full` keeps its memory small."""
    long = np.zeros((1, 200 * 16_000), np.float32)
    path = write(
        tmp_path / "file", Recipe(container="wav", tracks=[Audio(codec="pcm_s16le", rate=16_000, samples=long)])
    )
    file, data, passed = LiveFile(), path.read_bytes(), 0
    while passed < len(data) and not file.full:
        file.push(data[passed : passed + 65_536])
        passed += 65_536
    assert file.full
    assert passed < len(data)
    file.close()


def test_the_order_of_boxes() -> None:
    def box(kind: bytes, size: int = 8) -> bytes:
        return size.to_bytes(4, "big") + kind + bytes(size - 8)

    start = box(b"ftyp", 32) + box(b"free", 100)
    for data, late in (
        (start + box(b"mdat"), True),
        (start + box(b"moov"), False),
        (box(b"mdat"), True),
        (b"RIFF----WAVE", False),
        (start, None),
        (start[:50], None),
        (box(b"ftyp", 32) + (2).to_bytes(4, "big") + b"free", False),
    ):
        boxes = _Boxes()
        found = [boxes.push(data[at : at + 7]) for at in range(0, len(data), 7)]
        assert next((each for each in found if each is not None), None) is late

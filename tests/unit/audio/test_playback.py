"""What pages need to play a recording."""

from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import media
from sottovoce.audio.playback import HEADER, PER_SECOND, Wishes, is_playable, prepare
from sottovoce.errors import MediaUnreadable

AUDIO = Path(__file__).parents[2] / "fixtures" / "audio"

SPEECH = AUDIO / "speech.flac"


def peaks(path: Path, target: Path) -> np.ndarray:
    """int8[channels, steps, 2]"""
    made = prepare(Wishes(source=path, target=target))
    magic, version, channels, rate, count = HEADER.unpack_from(made)
    assert (magic, version, rate) == (b"SVPK", 1, PER_SECOND)
    return np.frombuffer(made, np.int8, offset=HEADER.size).reshape(channels, count, 2)


def test_peaks_are_the_lowest_and_highest_samples(tmp_path: Path) -> None:
    found = peaks(SPEECH, tmp_path / "copy")
    audio = np.concatenate(list(media.decode(SPEECH)), axis=1)[0]
    assert found.shape == (1, -(-len(audio) // 800), 2)
    for step in (0, 7, found.shape[1] - 1):
        part = audio[step * 800 : step * 800 + 800]
        wanted = [min(part.min(), 0 if len(part) < 800 else part.min()), part.max()]
        assert found[0, step] == pytest.approx(np.rint(np.array(wanted) * 127), abs=1)
    assert not (tmp_path / "copy").exists(), "browsers play FLAC"


def test_two_channels_have_peaks_of_their_own(tmp_path: Path) -> None:
    assert peaks(AUDIO / "stereo_44k.wav", tmp_path / "copy").shape[0] == 2


def test_media_that_browsers_do_not_play_gets_a_copy_of_the_same_length(tmp_path: Path) -> None:
    sphere = AUDIO / "speech.sph"  # NIST SPHERE, of corpora
    found, target = peaks(sphere, tmp_path / "copy"), tmp_path / "copy"
    made = media.probe(target)
    assert (made.container, made.codec) == ("matroska,webm", "opus")
    assert is_playable(made)
    assert not is_playable(media.probe(sphere))
    before = np.concatenate(list(media.decode(sphere)), axis=1)[0]
    after = np.concatenate(list(media.decode(target)), axis=1)[0]
    assert len(after) == pytest.approx(len(before), abs=1600)
    assert found.shape[1] == -(-len(before) // 800)
    assert np.corrcoef(before[: len(after)], after[: len(before)])[0, 1] > 0.8, "in the same place on the time line"


def test_media_that_cannot_be_read_is_refused_and_a_limit_holds(tmp_path: Path) -> None:
    with pytest.raises(MediaUnreadable):
        prepare(Wishes(source=AUDIO / "not_media.wav", target=tmp_path / "copy"))
    with pytest.raises(MediaUnreadable, match="longer than"):
        prepare(Wishes(source=SPEECH, target=tmp_path / "copy", limit=16_000))


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[int] = []
    prepare(Wishes(source=SPEECH, target=tmp_path / "copy", alive=told.append))
    assert told == sorted(told)
    assert len(told) >= 2

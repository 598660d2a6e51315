"""A few hundred files of every kind, as samples and times beside what ffmpeg's own filter makes of them."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import media
from sottovoce.audio.tracks import Wanted
from sottovoce.errors import MediaUnreadable
from sottovoce.transcript.model import RATE
from tests.media_files import SECONDS, UNSTAMPED, Audio, Recipe, by_ffmpeg, tones, write

CODECS = {
    "mp4": ("aac", "libmp3lame", "alac", "libopus", "flac", "ac3"),
    "mov": ("pcm_s16le", "aac"),
    "matroska": ("aac", "libmp3lame", "flac", "pcm_s16le", "libopus", "ac3"),
    "webm": ("libopus",),
    "mpegts": ("aac", "mp2", "ac3", "libmp3lame", "libopus"),
    "mpeg": ("mp2", "ac3"),
    "avi": ("libmp3lame", "pcm_s16le", "ac3"),
    "flv": ("libmp3lame", "aac"),
    "asf": ("libmp3lame",),
    "ogg": ("libopus", "flac"),
    "wav": ("pcm_s16le",),
    "flac": ("flac",),
    "mp3": ("libmp3lame",),
    "adts": ("aac",),
    "w64": ("pcm_s16le",),
    "aiff": ("pcm_s16be",),
    "caf": ("pcm_s16le",),
    "au": ("pcm_s16be",),
    "tta": ("tta",),
    "wv": ("wavpack",),
    "ac3": ("ac3",),
}
WITH_VIDEO = {"mp4", "mov", "matroska", "mpegts", "mpeg", "avi", "asf"}
EVERY = [(container, codec) for container, codecs in CODECS.items() for codec in codecs]
TIMES = ((0.0, 0.0), (0.7, 0.0), (0.0, 2.0), (0.35, 1.1))
TIMED = [
    (container, codec, offset, gap, video)
    for (container, codec), (offset, gap), video in product(EVERY, TIMES, (False, True))
    if (not video or (container in WITH_VIDEO and offset)) and not (container in UNSTAMPED and (offset or gap))
]


def heard(path: Path, track: int | None = None) -> np.ndarray:
    return np.asarray(np.concatenate([np.zeros((1, 0), np.float32), *media.decode(path, track=track)], axis=1)[0])


def check(path: Path) -> np.ndarray:
    """The samples of *path*; they are those of ffmpeg, at the same times."""
    ours, theirs = heard(path), by_ffmpeg(path)
    assert abs(len(ours) - len(theirs)) <= 2
    both = min(len(ours), len(theirs))
    difference = np.sqrt(np.mean((ours[:both] - theirs[:both]) ** 2))
    # a late start may lie half a sample away: ffmpeg pads before it resamples
    assert difference <= 0.12 * np.sqrt(np.mean(theirs**2)) + 1e-5
    return ours


@pytest.mark.parametrize("case", TIMED, ids=lambda case: "-".join(map(str, case)))
def test_containers_codecs_starts_and_gaps(tmp_path, case):
    container, codec, offset, gap, video = case
    audio = Audio(codec=codec, rate=44_100 if container == "flv" else 48_000)
    path = tmp_path / "x"
    try:
        write(path, Recipe(container=container, tracks=[audio], offset=offset, gap=gap, video=video))
    except ValueError:
        if container == "ogg" and offset:
            pytest.skip("libav does not write an Ogg file that starts late")
        raise
    check(path)


@pytest.mark.parametrize("codec", ["pcm_s16le", "flac", "aac"])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000])
@pytest.mark.parametrize("level", [0, -40])
def test_layouts_rates_and_levels(tmp_path, codec, layout, rate, level):
    track = Audio(codec=codec, rate=rate, layout=layout, level=level)
    ours = check(write(tmp_path / "x", Recipe(container="matroska", tracks=[track], gap=0.5)))
    if codec == "pcm_s16le":
        channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
        expected = sum(10 ** (-3 * number / 20) for number in range(channels)) / channels * 0.5 * 10 ** (level / 20)
        assert np.abs(ours).max() == pytest.approx(expected, rel=0.05)


CUT = [
    *product(("mp4", "matroska", "mpegts", "ogg"), ("libopus",), (0.3, 0.6, 0.9)),
    *product(("mpegts", "matroska", "mp4"), ("aac",), (0.3, 0.6, 0.9)),
    *product(("mp3",), ("libmp3lame",), (0.3, 0.6, 0.9)),
    *product(("wav",), ("pcm_s16le",), (0.3, 0.6, 0.9)),
    *product(("flac",), ("flac",), (0.5, 0.9)),
]


@pytest.mark.parametrize(("container", "codec", "share"), CUT)
def test_truncated_files(tmp_path, container, codec, share):
    """What is there is heard, and the log says what the header promised, if it promised anything."""
    whole = np.tile(tones(48_000), 4)[None]
    recipe = Recipe(
        container=container,
        tracks=[Audio(codec=codec, samples=whole)],
        options=(("movflags", "faststart"),)[: container == "mp4"],
    )
    path = write(tmp_path / "x", recipe)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    decoder = media.decode(path)
    try:
        found = sum(block.shape[1] for block in decoder)
    except MediaUnreadable:
        assert container == "flac"  # its frames of 4,608 samples leave nothing of a short file
        return
    assert 0.15 * share < found / (4 * SECONDS * RATE) < share + 0.35
    if decoder.declared is not None and found < decoder.declared - RATE:
        assert any("the header promises" in note for note in decoder.notes)
    if container == "mp4":
        assert decoder.declared == pytest.approx(4 * SECONDS * RATE, abs=RATE // 10)


# ── time stamps that are wrong ──


def stamped(tmp_path, stamps, seconds: float = 4.8):
    audio = np.tile(tones(48_000), round(seconds / SECONDS))[None]
    path = write(
        tmp_path / "x", Recipe(container="matroska", tracks=[Audio(codec="libopus", samples=audio)], stamps=stamps)
    )
    decoder = media.decode(path)
    found = np.concatenate(list(decoder), axis=1)[0]
    return found, decoder


@pytest.mark.parametrize(
    ("container", "codec"), [("mpegts", "aac"), ("mpeg", "mp2"), ("ogg", "libopus"), ("ogg", "flac"), ("adts", "aac")]
)
def test_joined_files_are_heard_one_after_the_other(tmp_path, container, codec):
    """The stamps of the second one begin again."""
    for name, level in (("a", 0), ("b", -6)):
        write(tmp_path / name, Recipe(container=container, tracks=[Audio(codec=codec, level=level)]))
    path = tmp_path / "joined"
    path.write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    found = heard(path)
    half = len(found) // 2
    assert len(found) == pytest.approx(2 * SECONDS * RATE, abs=RATE // 10)
    assert np.abs(found[:half]).max() == pytest.approx(0.5, rel=0.1)
    assert np.abs(found[half:]).max() == pytest.approx(0.25, rel=0.1)


def ten_hours(at: float) -> float:
    return at + (36_000 if at >= 2 else 0)


@pytest.mark.parametrize("stamps", [ten_hours, lambda at: at + 100_000], ids=["a jump", "a late start"])
def test_stamps_that_cannot_be_true_insert_nothing(tmp_path, stamps):
    plain, _ = stamped(tmp_path, None)
    found, _ = stamped(tmp_path, stamps)
    assert abs(len(found) - len(plain)) < RATE // 5
    assert np.sum(found**2) == pytest.approx(np.sum(plain**2), rel=0.05)


def test_a_wrong_jump_is_told(tmp_path):
    _, decoder = stamped(tmp_path, ten_hours)
    assert decoder.timing.ignored == 1
    assert any("too far ahead" in note for note in decoder.notes)


def test_gaps_are_filled_up_to_half_an_hour_in_all(tmp_path):
    found, decoder = stamped(tmp_path, lambda at: at + 700 * int(at))
    assert decoder.timing.gaps == 2
    assert decoder.timing.filled / RATE == pytest.approx(1400, abs=0.1)
    assert decoder.timing.ignored == 2
    assert len(found) / RATE == pytest.approx(1404.8, abs=0.2)


# ── tracks ──

LOUD, QUIET = Audio(codec="aac"), Audio(codec="aac", silent=True)


@pytest.mark.parametrize("container", ["matroska", "mp4", "mpegts"])
@pytest.mark.parametrize(
    ("tracks", "chosen", "why"),
    [
        ((LOUD, LOUD), 1, "the first"),
        ((QUIET, LOUD), 2, "track 1 is without sound"),
        ((QUIET, QUIET, LOUD), 3, "track 1, 2 is without sound"),
        ((QUIET, QUIET), 1, "the first"),
    ],
)
def test_the_track_with_sound_is_chosen(tmp_path, container, tracks, chosen, why):
    path = write(tmp_path / "x", Recipe(container=container, tracks=tracks))
    found = media.choose(path)
    assert found.track.number == chosen
    assert why in found.why or (container == "mp4" and "default" in found.why)
    assert f"track {chosen} of {len(tracks)} is transcribed" in found.notes[-1]


def with_default(number: int) -> list[Audio]:
    names = ("ger", "eng", "fre")
    return [
        Audio(codec="aac", default=n == number, language=names[n], level=-6 * n, title="Commentary\x07" * 9)
        for n in range(3)
    ]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_default_flag_decides_between_tracks_with_sound(tmp_path, number):
    path = write(tmp_path / "x", Recipe(container="matroska", tracks=with_default(number)))
    found = media.choose(path)
    assert found.track.number == number + 1
    assert found.track.language == ("ger", "eng", "fre")[number]
    assert len(found.track.title or "") == 40
    assert (found.track.title or "").isprintable()
    assert np.abs(heard(path, found.track.number)).max() == pytest.approx(0.5 * 10 ** (-6 * number / 20), rel=0.1)
    assert media.probe(path).track == number + 1


def test_a_track_that_is_asked_for_is_read(tmp_path):
    path = write(tmp_path / "x", Recipe(container="matroska", tracks=with_default(0)))
    assert media.choose(path, Wanted(number=3)).track.number == 3
    other = media.choose(path, Wanted(number=4))
    assert (other.track.number, other.why) == (1, "there is no track 4; the default of the container")
    with pytest.raises(MediaUnreadable, match="no track 4 that can be read: the file has 3"):
        media.choose(path, Wanted(number=4, required=True))


def test_a_track_of_an_unknown_format_hides_no_other(tmp_path):
    path = write(tmp_path / "x", Recipe(container="matroska", tracks=[LOUD, Audio(codec="flac")]))
    data = path.read_bytes()
    assert data.count(b"A_AAC") == 1
    path.write_bytes(data.replace(b"A_AAC", b"A_ZZZ"))
    found = media.choose(path)
    assert (found.track.number, found.track.codec) == (2, "flac")
    assert found.notes[0] == "track 1: unknown, cannot be decoded"
    assert "track 1 is of an unknown format" in found.why
    assert len(heard(path)) == pytest.approx(SECONDS * RATE, abs=100)
    assert media.probe(path).codec == "flac"


def test_one_track_needs_no_note(tmp_path):
    assert media.choose(write(tmp_path / "x", Recipe(container="mp4", tracks=[LOUD]))).notes == ()


# ── channels of opposite phase ──


def mixed(tmp_path, channels: np.ndarray) -> tuple[np.ndarray, media.Decoder]:
    layout = {2: "stereo", 6: "5.1"}[len(channels)]
    audio = Audio(codec="pcm_s16le", layout=layout, samples=channels.astype(np.float32))
    decoder = media.decode(write(tmp_path / "x", Recipe(container="matroska", tracks=[audio])))
    return np.concatenate(list(decoder), axis=1)[0], decoder


@pytest.mark.parametrize("factor", [-1.0, -0.9, -0.6])
def test_channels_that_cancel_are_heard(tmp_path, factor):
    voice = np.tile(tones(48_000), 3)
    found, decoder = mixed(tmp_path, np.stack([voice, factor * voice]))
    assert np.abs(found).max() > 0.09
    if factor < -0.8:
        assert np.abs(found).max() == pytest.approx(0.5, rel=0.05)
        assert any("opposite phase" in note for note in decoder.notes)
        assert decoder.levels.mix < min(decoder.levels.channels) - 10


def test_only_the_part_that_cancels_is_taken_from_one_channel(tmp_path):
    voice = np.tile(tones(48_000), 5)
    other = voice * np.where(np.arange(len(voice)) < len(voice) // 2, 1, -1)
    found, decoder = mixed(tmp_path, np.stack([voice, other]))
    assert np.allclose(np.abs(found).max(), 0.5, rtol=0.05)
    assert 4 <= decoder.levels.cancelled <= 8
    assert np.abs(np.diff(found)).max() < 0.15  # no click where the choice changes


def test_other_channels_are_averaged_as_ever(tmp_path):
    voice = np.tile(tones(48_000), 2)
    for channels in (np.stack([voice, 0 * voice]), np.stack([voice, np.roll(voice, 900)]), np.stack([voice] * 2)):
        found, decoder = mixed(tmp_path, channels)
        assert decoder.levels.cancelled == 0
        assert not any("phase" in note for note in decoder.notes)
        assert np.abs(found).max() == pytest.approx(np.abs(channels.mean(axis=0)).max(), rel=0.05)

"""Any file gives audio, or a refusal that says why; nothing else, whatever the bytes."""

import csv
import os
import random
import resource
import sys
import threading
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from sottovoce.audio import media
from sottovoce.audio.media import MediaEmpty, decode, probe
from sottovoce.errors import MediaUnreadable
from sottovoce.transcript.model import RATE

AUDIO = Path(__file__).parents[2] / "fixtures" / "audio"
SENTENCE = 46_800  # samples of the fixtures' one sentence
# name -> declared and decoded duration; lossy codecs add their padding, and ADTS, AMR and MPEG have no duration to tell
READABLE = {
    "speech_8k.wav": (SENTENCE, SENTENCE, "pcm_s16le"),
    "speech.sph": (SENTENCE, SENTENCE, "pcm_s16le"),
    "speech.flac": (SENTENCE, SENTENCE, "flac"),
    "speech.mp3": (SENTENCE, SENTENCE, "mp3float"),
    "speech.m4a": (SENTENCE, 47_104, "aac"),
    "video.mp4": (SENTENCE, 47_104, "aac"),
    "speech.ogg": (46_904, SENTENCE, "opus"),
    "speech.webm": (46_928, SENTENCE, "opus"),
    "speech.aac": (48_124, 48_128, "aac"),
    "speech.amr": (48_558, 47_040, "amrnb"),
    "speech.mpg": (46_080, 47_232, "mp2"),
    "stereo_44k.wav": (None, None, "pcm_s16le"),
    "eight.wav": (8_000, 8_000, "pcm_s16le"),
    "silence.wav": (32_000, 32_000, "pcm_s16le"),
    "truncated.mp3": (SENTENCE, 27_695, "mp3float"),
    "truncated.wav": (28_062, 28_062, "pcm_s16le"),
}
UNREADABLE = {
    "not_media.wav": "known format",
    "headerless.wav": "known format",
    "picture.wav": "known format",
    "truncated.m4a": "known format",
    "video_only.mp4": "no audio track",
    "empty.wav": "empty",
}


def sound(path: Path | int, **how: object) -> np.ndarray:
    return np.concatenate([np.zeros((1, 0), np.float32), *decode(path, **how)], axis=1)  # type: ignore[arg-type]


def write(path: Path, pcm: np.ndarray, rate: int) -> Path:
    """*pcm* int16[channels, n] as a wav."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(pcm.shape[0])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.T.astype("<i2").tobytes())
    return path


def tone(hertz: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return (np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate) * 8_000).astype(np.int16)


def loudest(audio: np.ndarray) -> float:
    """The strongest frequency of float32[n] at 16 kHz, in Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(audio * np.hanning(len(audio))))) * RATE / len(audio))


@pytest.mark.parametrize("name", READABLE)
def test_every_declared_format_is_read(name):
    declared, decoded, codec = READABLE[name]
    found = probe(AUDIO / name)
    assert found.codec == codec
    work = decode(AUDIO / name)
    blocks = list(work)
    assert all(block.shape == (1, RATE) and block.dtype == np.float32 for block in blocks[:-1])
    assert sum(block.shape[1] for block in blocks) == work.decoded
    assert work.bad_packets == 0
    assert max(float(np.abs(block).max()) for block in blocks) <= 1
    if declared is not None:
        assert (found.duration, work.decoded) == (declared, decoded)
    else:
        assert found.duration == work.decoded


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_not_audio_is_refused_without_naming_the_path(name):
    for attempt in (probe, sound):
        with pytest.raises(MediaUnreadable) as refusal:
            attempt(AUDIO / name)
        assert UNREADABLE[name] in refusal.value.why
        assert str(AUDIO) not in str(refusal.value)
        assert isinstance(refusal.value, MediaEmpty) == (name == "empty.wav")


def test_a_header_without_samples_is_not_an_error():
    assert probe(AUDIO / "no_samples.wav").duration in (None, 0)
    work = decode(AUDIO / "no_samples.wav")
    assert list(work) == []
    assert work.decoded == 0


@pytest.mark.parametrize("name", ["x.mp3", "x.m3u8", "x.jpg", "noextension"])
def test_content_decides_and_not_the_name(tmp_path, name):
    (tmp_path / name).write_bytes((AUDIO / "speech.flac").read_bytes())
    assert probe(tmp_path / name).container == "flac"
    assert sound(tmp_path / name).shape == (1, SENTENCE)


@pytest.mark.parametrize("name", ["speech.mp3", "stereo_44k.wav", "speech.ogg"])
@pytest.mark.parametrize("start", [0, 1, 15_999, 16_001, 10**9])
@pytest.mark.parametrize("block", [700, 16_000, 50_000])
def test_start_and_block_only_cut(name, start, block):
    whole = sound(AUDIO / name)
    work = decode(AUDIO / name, start=start, block=block)
    blocks = list(work)
    assert [b.shape[1] for b in blocks[:-1]] == [block] * (len(blocks) - 1)
    assert np.array_equal(np.concatenate([np.zeros((1, 0), np.float32), *blocks], axis=1), whole[:, start:])
    assert work.decoded == whole.shape[1]


def test_a_decoder_can_be_read_twice():
    work = decode(AUDIO / "speech.mp3")
    assert sum(b.shape[1] for b in work) == sum(b.shape[1] for b in work) == work.decoded


def test_split_keeps_the_channels_apart_and_mixing_averages_them():
    work = decode(AUDIO / "eight.wav", split=True)
    (split,) = list(work)
    assert split.shape == (8, 8_000)
    assert work.channels == 8
    assert [loudest(channel) for channel in split] == pytest.approx([100.0 * k for k in range(1, 9)], abs=3)
    assert np.allclose(sound(AUDIO / "eight.wav"), split.mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 9, 17, 100])
def test_any_number_of_channels(tmp_path, channels):
    pcm = np.stack([tone(100 + 50 * k, 11_025) for k in range(channels)])
    path = write(tmp_path / "many.wav", pcm, 11_025)
    assert probe(path).channels == channels
    split = np.concatenate(list(decode(path, split=True)), axis=1)
    assert split.shape == (channels, 8_000)
    assert loudest(split[-1]) == pytest.approx(100 + 50 * (channels - 1), abs=3)
    assert np.allclose(sound(path), split.mean(axis=0), atol=1e-3)


@pytest.mark.parametrize(
    ("codec", "layout", "name"),
    [("flac", "7.1", "x.flac"), ("libopus", "12 channels", "x.ogg"), ("wavpack", "64 channels", "x.wv")],
)
def test_eight_planes_and_more_do_not_kill_the_process(tmp_path, codec, layout, name):
    """PyAV's own `to_ndarray` reads wild memory for them."""
    with av.open(str(tmp_path / name), "w") as out:
        stream: Any = out.add_stream(codec, rate=48_000, layout=layout)
        stream.options = {"mapping_family": "255"} if codec == "libopus" else {}
        channels = stream.layout.nb_channels
        pcm = np.stack([tone(200 + 100 * k, 48_000) for k in range(channels)])
        frame = av.AudioFrame.from_ndarray(pcm.T.reshape(1, -1).copy(), format="s16", layout=layout)
        frame.sample_rate = 48_000
        converter = av.AudioResampler(stream.format.name, layout, 48_000, frame_size=960)
        for piece in [*converter.resample(frame), *converter.resample(None)]:
            piece.pts = None
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    split = np.concatenate(list(decode(tmp_path / name, split=True)), axis=1)
    assert split.shape == (channels, 8_000)
    assert [loudest(split[k]) for k in range(8)] == pytest.approx([200.0 + 100 * k for k in range(8)], abs=5)


def test_too_many_channels_are_refused(tmp_path):
    path = write(tmp_path / "crowd.wav", np.zeros((media.MAX_CHANNELS + 1, 100), np.int16), 8_000)
    with pytest.raises(MediaUnreadable, match="101 channels"):
        probe(path)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_keeps_time_and_pitch(tmp_path, rate):
    audio = sound(write(tmp_path / "tone.wav", tone(440, rate)[None], rate))
    assert abs(audio.shape[1] - 8_000) <= 1
    assert loudest(audio[0]) == pytest.approx(440, abs=3)


def test_a_mix_never_clips_and_a_silent_channel_costs_six_decibels(tmp_path):
    loud = np.full(4_000, 32_767, np.int16)
    assert sound(write(tmp_path / "loud.wav", np.stack([loud, loud]), RATE)).max() <= 1
    voice = tone(300, RATE)
    half = sound(write(tmp_path / "half.wav", np.stack([voice, np.zeros_like(voice)]), RATE))
    full = sound(write(tmp_path / "full.wav", voice[None], RATE))
    assert np.allclose(half * 2, full, atol=1e-4)


def test_wild_floats_become_ordinary_ones(tmp_path):
    wild = np.array([[np.nan, np.inf, -np.inf, 1e30, -7, 0.5] * 200], np.float32)
    with av.open(str(tmp_path / "wild.wav"), "w") as out:
        stream = out.add_stream("pcm_f32le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(wild, format="flt", layout="mono")
        frame.sample_rate = RATE
        out.mux(stream.encode(frame))
    audio = sound(tmp_path / "wild.wav")
    assert np.isfinite(audio).all()
    assert audio[0, :6].tolist() == [0, 1, -1, 1, -1, 0.5]


def test_a_change_of_rate_and_layout_in_the_middle(tmp_path):
    """Two ADTS files one after the other: 44.1 kHz stereo, then 16 kHz mono."""
    path = tmp_path / "changing.aac"
    data = b""
    for rate, layout, rows in ((44_100, "stereo", 2), (16_000, "mono", 1)):
        part = tmp_path / f"{rate}.aac"
        with av.open(str(part), "w") as out:
            stream = out.add_stream("aac", rate=rate, layout=layout)
            frame = av.AudioFrame.from_ndarray(np.stack([tone(400, rate, 1.0)] * rows), format="s16p", layout=layout)
            frame.sample_rate = rate
            frame.pts = 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        data += part.read_bytes()
    path.write_bytes(data)
    split = np.concatenate(list(decode(path, split=True)), axis=1)
    assert split.shape[0] == 2
    assert 2 * RATE <= split.shape[1] <= 2 * RATE + 4_000
    assert loudest(split[0, 20_000:30_000]) == pytest.approx(400, abs=5)
    assert not split[1, 20_000:30_000].any()
    assert sound(path).shape[1] == split.shape[1]


def ruined(tmp_path: Path, first: int, length: int | None) -> Path:
    """The m4a with *length* bytes of its sound from *first* on overwritten (None = all); its index is whole."""
    data = bytearray((AUDIO / "speech.m4a").read_bytes())
    begin, end = data.index(b"mdat") + 4 + first, data.index(b"moov") - 4
    end = end if length is None else begin + length
    data[begin:end] = b"\xff" * (end - begin)
    (tmp_path / "ruined.m4a").write_bytes(data)
    return tmp_path / "ruined.m4a"


def test_bad_packets_are_counted_and_survived(tmp_path):
    work = decode(ruined(tmp_path, 5_000, 600))
    assert sum(b.shape[1] for b in work) == 47_104  # silence stands for them
    assert 0 < work.bad_packets < 5


def test_only_bad_packets_is_unreadable(tmp_path):
    assert probe(ruined(tmp_path, 0, None)).duration == SENTENCE
    with pytest.raises(MediaUnreadable, match="decoded"):
        sound(tmp_path / "ruined.m4a")


TRAPS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:1.0,\n{secret}\n#EXT-X-ENDLIST\n",
    "list.txt": "file '{secret}'\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{secret}'\n",
    "call.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\na=x:{secret}\n",
    "dash.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    "<Representation><BaseURL>{secret}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "list.asx": '<asx version="3.0"><entry><ref href="{secret}"/></entry></asx>',
    "list.pls": "[playlist]\nFile1={secret}\nNumberOfEntries=1\n",
}


@pytest.mark.parametrize("name", TRAPS)
@pytest.mark.parametrize("scheme", ["{}", "file:{}", "http://127.0.0.1:9{}"])
def test_a_file_that_points_elsewhere_opens_nothing(tmp_path, name, scheme):
    secret = tmp_path / "secret.wav"
    secret.write_bytes((AUDIO / "speech_8k.wav").read_bytes())
    (tmp_path / name).write_text(TRAPS[name].format(secret=scheme.format(secret)))
    for attempt in (probe, sound):
        with pytest.raises(MediaUnreadable):
            attempt(tmp_path / name)


def test_an_open_file_and_a_pipe_will_do():
    with (AUDIO / "speech.m4a").open("rb") as file:
        assert np.array_equal(sound(file.fileno()), sound(AUDIO / "speech.m4a"))
    for name in ("speech_8k.wav", "speech.mp3", "speech.ogg", "speech.flac", "speech.aac", "speech.amr", "speech.webm"):
        reading, writing = os.pipe()

        def feed(name=name, writing=writing):
            with os.fdopen(writing, "wb") as pipe:
                pipe.write((AUDIO / name).read_bytes())

        feeder = threading.Thread(target=feed)
        feeder.start()
        assert np.array_equal(sound(reading), sound(AUDIO / name)), name
        feeder.join()
        os.close(reading)


@pytest.mark.parametrize(
    "name", ["speech_8k.wav", "speech.mp3", "speech.m4a", "speech.ogg", "speech.webm", "speech.amr", "speech.mpg"]
)
def test_damage_anywhere_never_gives_another_exception(tmp_path, name):
    whole = (AUDIO / name).read_bytes()
    chance = random.Random(name)
    for turn in range(25):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(min(len(data), 400 if turn % 2 else len(data)))] = chance.randrange(256)
        if turn % 5 == 0:
            del data[chance.randrange(len(data)) :]
        (tmp_path / "damaged").write_bytes(data)
        try:
            for block in decode(tmp_path / "damaged", split=True):
                assert np.isfinite(block).all()
        except MediaUnreadable:
            pass


def test_memory_does_not_grow_with_length(tmp_path):
    length = 1_200 * RATE  # 77 MB of samples
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.setnframes(length)
        file.writeframesraw(b"")
    with path.open("r+b") as file:  # nothing is said, not a byte of it on the disk
        header = bytearray(file.read(44))
        size = length * 4
        header[4:8], header[40:44] = (36 + size).to_bytes(4, "little"), size.to_bytes(4, "little")
        file.seek(0)
        file.write(header)
        file.truncate(44 + size)
    assert probe(path).duration == length
    next(iter(decode(AUDIO / "speech_8k.wav")))  # libraries loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(block.shape[1] for block in decode(path)) == length
    unit = 1 if sys.platform == "darwin" else 1_024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 60_000_000


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["bad", "containers"])
def test_real_files_give_audio_or_a_refusal(shared, folder):
    for path in sorted((shared / "audio" / folder).iterdir()):
        for split in (False, True):
            try:
                for block in decode(path, split=split):
                    assert np.isfinite(block).all()
            except MediaUnreadable:
                assert folder == "bad", path


@pytest.mark.shared
def test_real_durations_agree_with_the_manifest(shared):
    with (shared / "audio" / "manifest.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    told = {row["file"]: float(row["seconds"]) for row in rows if row["seconds"] not in ("", "nan")}
    present = {name: seconds for name, seconds in told.items() if (shared / "audio" / name).exists()}
    assert len(present) > 30
    for name, seconds in present.items():
        if not name.startswith("bad/"):
            work = decode(shared / "audio" / name)
            list(work)
            assert work.decoded / RATE == pytest.approx(seconds, abs=0.03), name


def test_decoding_stops_where_media_is_too_long() -> None:
    """Whatever the header says: the samples count."""
    demo = AUDIO.parents[2] / "samples" / "demo.wav"
    assert sum(block.shape[1] for block in media.decode(demo, limit=16 * RATE)) < 16 * RATE
    with pytest.raises(MediaUnreadable, match="longer than"):
        list(media.decode(demo, limit=15 * RATE))

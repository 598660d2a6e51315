"""Measures the stages of speech intelligence: `python -m bench.intelligence [--models DIR] [--documents 12] [--audio DIR]`.

*sentiment*: labelled utterances, with VADER alone beside it, and the share of right ones for each band of confidence. *topics*:
labelled segments of two sentences. *chapters*: documents made of pieces of this repository's pages, by Pk (Beeferman 1999: the
probability that two sentences k apart are wrongly taken as of the same or of different pieces; lower is better), beside the
even split with the true number of pieces and beside no split. *hour*: processor time and memory of all builtin stages on a
transcript and a recording of an hour. *translation*: chrF of Whisper into English and of Apertium (`bench/translation.py`).
Topics and chapters need the model `minilm` in the models folder. JSON goes to standard output.
"""

import argparse
import json
import random
import re
import resource
import sys
import tempfile
import time
import wave
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.intelligence_texts import SEGMENTS, UTTERANCES
from bench.translation import translation
from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.intelligence import topics
from sottovoce.intelligence.backends.builtin.chapters import borders
from sottovoce.intelligence.backends.builtin.sentiment import LIMIT, LexiconSentiment, judged
from sottovoce.intelligence.backends.builtin.topics import VectorTopics
from sottovoce.intelligence.protocols import Scene, SentenceVectors
from sottovoce.intelligence.sentences import sentences
from sottovoce.intelligence.stages import STAGES, StageName
from sottovoce.request import Summarization, TranscriptionRequest
from sottovoce.transcript.model import RATE, Item, Mark, Transcript, Word

ROOT = Path(__file__).parents[1]
PIECES, SHORTEST, LONGEST = 6, 12, 35
"""Pieces of a made document, and the sentences of a piece."""


def _quiet() -> None:
    """Report nothing."""


# ── sentiment ──


def sentiment() -> dict[str, Any]:
    """Accuracy and macro F1 over the labelled utterances, and how often each band of confidence is right."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    ours, vader = LexiconSentiment(), SentimentIntensityAnalyzer()
    labels = [label for label, _ in UTTERANCES]
    found = ours.judge([text for _, text in UTTERANCES], _quiet)
    plain = [judged(vader.polarity_scores(text)["compound"]) for _, text in UTTERANCES]
    bands: dict[str, list[bool]] = defaultdict(list)
    for label, each in zip(labels, found, strict=True):
        band = "neutral" if each.sentiment == "neutral" else f"{each.confidence:.1f}"
        bands[band].append(each.sentiment == label)
    return {
        "utterances": len(labels),
        "ours": _scores(labels, [each.sentiment for each in found]),
        "vader": _scores(labels, [each.sentiment for each in plain]),
        "limit": LIMIT,
        "right_by_confidence": {band: [sum(right), len(right)] for band, right in sorted(bands.items())},
        "wrong": [
            f"{each.sentiment}, not {label}: {text}"
            for each, (label, text) in zip(found, UTTERANCES, strict=True)
            if each.sentiment != label
        ],
    }


def _scores(wanted: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    right = sum(one == other for one, other in zip(wanted, found, strict=True))
    f1 = []
    for label in set(wanted):
        hits = sum(one == other == label for one, other in zip(wanted, found, strict=True))
        f1.append(2 * hits / max(1, wanted.count(label) + list(found).count(label)))
    return {"accuracy": round(right / len(wanted), 3), "macro_f1": round(sum(f1) / len(f1), 3)}


# ── topics ──


def topics_(vectors: SentenceVectors) -> dict[str, Any]:
    """Precision and recall over the labelled segments, and how much small talk stays without a topic."""
    backend = VectorTopics(vectors)
    texts = [re.split(r"(?<=[.?!]) ", text) for _, text in SEGMENTS]
    found = backend.assign(texts, topics.DEFAULT, _quiet)
    likeness = backend.likeness(texts, topics.DEFAULT, _quiet)
    first = [topics.DEFAULT[max(range(len(row)), key=row.__getitem__)] for row in likeness]
    named = [[topics.DEFAULT[number] for number in each] for each in found]
    labelled = [(label, got) for (label, _), got in zip(SEGMENTS, named, strict=True) if label]
    hits = sum(label in got for label, got in labelled)
    given = sum(map(len, named))
    small = [got for (label, _), got in zip(SEGMENTS, named, strict=True) if not label]
    return {
        "segments": len(labelled),
        "best_is_right": sum(label == each for (label, _), each in zip(SEGMENTS, first, strict=True) if label),
        "precision": round(hits / max(1, given), 3),
        "recall": round(hits / len(labelled), 3),
        "small_talk_without_topic": [sum(not got for got in small), len(small)],
    }


# ── chapters ──


def pages() -> list[list[str]]:
    """The sentences of the running text of each page of docs/ that has enough of them."""
    found = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        lines = [line for line in text.splitlines() if line and line[0] not in "#|-<*0123456789"]
        parts = re.split(r"(?<=[.:?!])\s+", re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", " ".join(lines)))
        long = [part for part in parts if len(part.split()) >= 5]
        if len(long) >= LONGEST:
            found.append(long)
    return found


def documents(count: int, seed: int = 7) -> list[tuple[list[str], list[int]]]:
    """*count* documents of pieces of different pages: the sentences, and the number of the first of each piece but the first."""
    rng, sources, made = random.Random(seed), pages(), []
    for _ in range(count):
        texts: list[str] = []
        firsts: list[int] = []
        for page in rng.sample(sources, PIECES):
            length = rng.randint(SHORTEST, LONGEST)
            begin = rng.randint(0, len(page) - length) if len(page) > length else 0
            if texts:
                firsts.append(len(texts))
            texts += page[begin : begin + length]
        made.append((texts, firsts))
    return made


def pk(length: int, wanted: Sequence[int], found: Sequence[int]) -> float:
    """Pk with k half the mean length of a piece."""
    k = max(1, round(length / (len(wanted) + 1) / 2))

    def same(firsts: Sequence[int], at: int) -> bool:
        return not any(at < first <= at + k for first in firsts)

    return sum(same(wanted, at) != same(found, at) for at in range(length - k)) / (length - k)


def chapters(vectors: SentenceVectors, count: int) -> dict[str, Any]:
    """The mean Pk over made documents, of the stage, of the even split with the true number of pieces, and of no split."""
    sums: Counter[str] = Counter()
    pieces = []
    for texts, wanted in documents(count):
        found = borders(vectors.vectors(texts, _quiet), [len(text.split()) for text in texts])
        even = [round(len(texts) * part / PIECES) for part in range(1, PIECES)]
        pieces.append(len(found) + 1)
        for name, firsts in (("ours", found), ("even", even), ("none", [])):
            sums[name] += pk(len(texts), wanted, firsts)  # type: ignore[assignment]  # a Counter adds floats too
    mean = {f"pk_{name}": round(total / count, 3) for name, total in sums.items()}
    return {"documents": count, "pieces": PIECES, "chapters_found": pieces, **mean}


# ── an hour ──


def hour(load: Callable[[StageName], Any]) -> dict[str, Any]:
    """Processor time of each builtin stage on a transcript of an hour with 9,000 words, and the peak memory.

    The recording of audio events is the demo sample, over and over, as WAV.
    """
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "hour.wav"
        repeated(ROOT / "samples" / "demo.wav", recording, 3600)
        transcript = spoken_hour()
        scene = Scene(
            transcript=transcript,
            sentences=sentences(transcript),
            request=TranscriptionRequest(
                language="en",
                summarization=Summarization(),
                sentiment_analysis=True,
                topics=(),
                auto_chapters=True,
                audio_events=(),
            ),
            path=recording,
            alive=_quiet,
        )
        seconds = {}
        for stage in STAGES:
            if stage.asked(scene.request):
                begun = time.process_time()
                stage.run(scene, load(StageName(stage.name)))
                seconds[stage.name] = round(time.process_time() - begun, 2)
    return {
        "words": sum(isinstance(item, Word) for item in transcript.items),
        "sentences": len(scene.sentences),
        "cpu_seconds": seconds,
        "sum": round(sum(seconds.values()), 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def spoken_hour() -> Transcript:
    """A transcript of an hour, of the sentences of docs/."""
    words = " ".join(text for page in pages() for text in page).split()[:9000]
    items: list[Item] = []
    for number, written in enumerate(words):
        bare = written.strip(".,:;?!()\"'") or written
        at = number * 3600 * RATE // len(words)
        items.append(Word(text=bare, start=at, end=at + RATE // 4, speaker=f"S{number // 300 % 2 + 1}"))
        if written[-1] in ".?!:":
            items.append(Mark(text=written[-1], at=items[-1].end, ends_sentence=True, speaker=items[-1].speaker))
    return Transcript(language="en", duration=3600 * RATE, created_at=0, items=tuple(items))


def repeated(sample: Path, path: Path, seconds: int) -> None:
    """Write *seconds* of *sample*, over and over, to *path*."""
    with wave.open(str(sample)) as given, wave.open(str(path), "wb") as made:
        made.setparams(given.getparams())
        frames, width = given.readframes(given.getnframes()), given.getsampwidth() * given.getnchannels()
        left = seconds * given.getframerate() * width
        while left > 0:
            made.writeframes(frames[:left])
            left -= len(frames)


def main() -> int:
    """Print the report; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=ROOT / "data" / "models")
    parser.add_argument("--documents", type=int, default=12)
    parser.add_argument("--audio", type=Path, default=ROOT.parent / "shared" / "audio")
    given = parser.parse_args()
    engine_config = EngineConfig(models=given.models.absolute())
    keys = {
        skill: EngineKey(engine=entry.engine, model=entry.model)
        for entry in registry.offered(engine_config)
        for skill in entry.skills
    }
    report: dict[str, Any] = {"sentiment": sentiment()}
    if StageName.TOPICS in keys:
        from sottovoce.engines.minilm.sentence_vectors import EncoderVectors

        # first: the peak of memory is that of the process so far
        report["hour"] = hour(lambda skill: registry.load(skill, keys[skill], engine_config))

        folder = engine_config.models / keys[StageName.TOPICS].model
        vectors = EncoderVectors(folder, frozenset({"en"}), device="cpu", threads=1)
        report["topics"] = topics_(vectors)
        report["chapters"] = chapters(vectors, given.documents)
    else:
        report["left_out"] = "topics, chapters and hour: run `sottovoce models pull minilm`"
    report["translation"] = translation(engine_config, given.audio)
    json.dump(report, sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())

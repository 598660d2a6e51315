"""Topics of the parts of a transcript, and how many parts each topic has (contract §7.7)."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from sottovoce.intelligence.protocols import Scene, Sentence, Stage, StageRefused
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import seconds

DEFAULT = (
    "Business & Finance",
    "Education",
    "Entertainment",
    "Events & Attractions",
    "Food & Drink",
    "News & Politics",
    "Science",
    "Sports",
    "Technology & Computing",
    "Travel",
)
"""The contract's list, for a request without topics of its own."""
MOST_TOPICS = 10
SENTENCES, WORDS = 4, 60
"""A segment has at most this many sentences, and ends after this many words."""


class TopicsBackend(Protocol):
    """Texts to topics."""

    @property
    def languages(self) -> frozenset[str]:
        """The languages that it supports."""
        ...

    def assign(
        self, segments: Sequence[Sequence[str]], topics: Sequence[str], alive: Callable[[], None]
    ) -> Sequence[Sequence[int]]:
        """Return the numbers of the *topics* of each segment, which is given by its sentences; none if none fits."""
        ...


def segments(sentences: Iterable[Sentence]) -> list[list[Sentence]]:
    """Return *sentences* in groups of one channel, each a few sentences long."""
    found: list[list[Sentence]] = []
    open_: dict[str | None, list[Sentence]] = {}
    for sentence in sentences:
        group = open_.get(sentence.channel)
        if group is None or len(group) >= SENTENCES or sum(each.words for each in group) >= WORDS:
            group = open_[sentence.channel] = []
            found.append(group)
        group.append(sentence)
    return found


def _check(request: TranscriptionRequest) -> None:
    if request.topics is not None and len(request.topics) > MOST_TOPICS:
        raise StageRefused("unsupported_list_of_topics", f"List of topics cannot exceed {MOST_TOPICS} topics.")


def _run(scene: Scene, backend: TopicsBackend) -> object:
    topics = tuple(dict.fromkeys(scene.request.topics or DEFAULT))
    groups = segments(scene.sentences)
    found = backend.assign([[each.text for each in group] for group in groups], topics, scene.alive)
    if len(found) != len(groups) or any(number not in range(len(topics)) for each in found for number in each):
        raise ValueError(f"topics of {len(found)} segments for {len(groups)}, or a topic that was not asked for")
    rows = [_segment(group, [topics[number] for number in each]) for group, each in zip(groups, found, strict=True)]
    counts = Counter(topics[number] for each in found for number in each)
    return {
        "segments": [row for row in rows if row["topics"]],
        "summary": {"overall": {topic: counts[topic] for topic in topics}},
    }


def _segment(group: Sequence[Sentence], topics: Sequence[str]) -> dict[str, Any]:
    return {
        "text": pack(group[0].language).delimiter.join(each.text for each in group),
        "start_time": seconds(group[0].start),
        "end_time": seconds(max(each.end for each in group)),
        "topics": [{"topic": topic} for topic in topics],
    }


STAGE = Stage(
    name="topics",
    feature="topic_detection",
    asked=lambda request: request.topics is not None,
    run=_run,
    check=_check,
    unsupported="Topic Detection not supported for {language}.",
    failed="Topic Detection failed.",
)

"""Topics by the likeness of sentence vectors.

Each topic of the default list is described by sentences about it; a topic of the caller's own is its bare name.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sottovoce.intelligence.protocols import SentenceVectors

if TYPE_CHECKING:
    from sottovoce.intelligence.protocols import Floats

LIMIT = 0.17
"""The least cosine between a segment and a topic of the default list."""
OWN_LIMIT = 0.22
"""The least cosine between a segment and the bare name of the caller's topic."""
WITHIN = 0.04
"""A topic this much less like the segment than the best one is given too."""

DESCRIBED: dict[str, tuple[str, ...]] = {
    "Business & Finance": (
        "The company reported its profit, revenue and share price this quarter.",
        "Banks, loans, interest rates, invoices, budgets and investments.",
    ),
    "Education": (
        "Students learn at school and university, and teachers give lessons and exams.",
        "A course, a degree, homework, tuition and the curriculum.",
    ),
    "Entertainment": (
        "A film, a series, an actor, a concert, a song or a video game.",
        "The new album and movie were released, and the show had a large audience.",
    ),
    "Events & Attractions": (
        "A festival, an exhibition, a museum or a theme park that people visit with tickets.",
        "The wedding, the conference and the parade take place this weekend.",
    ),
    "Food & Drink": (
        "A recipe for cooking dinner with vegetables, meat, bread and cheese.",
        "We ordered pizza, wine and coffee at the restaurant.",
    ),
    "News & Politics": (
        "The president, the parliament and the government passed a law after the election.",
        "Police, protests, war, ministers and voters are in the headlines.",
    ),
    "Science": (
        "Researchers published a study about physics, biology, chemistry or space.",
        "The experiment measured cells, atoms, planets and the climate.",
    ),
    "Sports": (
        "The team won the football match and the player scored a goal.",
        "A tennis tournament, a race, a coach, training and the league.",
    ),
    "Technology & Computing": (
        "Software, computers, servers, phones, apps and artificial intelligence.",
        "The developer fixed a bug in the program, the website or the network.",
    ),
    "Travel": (
        "We booked a flight and a hotel for our holiday at the beach.",
        "The train, the airport, luggage, a passport and a trip abroad.",
    ),
}
"""Two sentences for each topic of the default list; they were written for this table and not taken from the bench."""


class VectorTopics:
    """A `TopicsBackend` over *vectors*."""

    def __init__(self, vectors: SentenceVectors) -> None:
        self._vectors = vectors
        self.languages = vectors.languages

    def assign(
        self, segments: Sequence[Sequence[str]], topics: Sequence[str], alive: Callable[[], None]
    ) -> Sequence[Sequence[int]]:
        """Return the numbers of the topics of each segment, the best first."""
        likeness = self.likeness(segments, topics, alive)
        limits = [LIMIT if topic in DESCRIBED else OWN_LIMIT for topic in topics]
        found = []
        for row in likeness:
            fitting = [number for number, limit in enumerate(limits) if row[number] >= limit]
            best = max((row[number] for number in fitting), default=0.0)
            found.append(sorted((n for n in fitting if row[n] >= best - WITHIN), key=lambda number: -row[number]))
        return found

    def likeness(
        self, segments: Sequence[Sequence[str]], topics: Sequence[str], alive: Callable[[], None]
    ) -> list[list[float]]:
        """Return the cosine of each segment and each topic; that of a described topic is the best of its descriptions."""
        import numpy as np

        texts = [text for segment in segments for text in segment]
        lines = [(number, line) for number, topic in enumerate(topics) for line in DESCRIBED.get(topic, (topic,))]
        rows = self._vectors.vectors([*texts, *(line for _, line in lines)], alive)
        sentences, described = rows[: len(texts)], rows[len(texts) :]
        made, at = [], 0
        for segment in segments:
            made.append(_mean(sentences[at : at + len(segment)], [len(text) for text in segment]))
            at += len(segment)
        cosines = np.array(made).reshape(len(made), -1) @ described.T if made else np.zeros((0, len(lines)))
        return [
            [
                max(float(row[column]) for column, (of, _) in enumerate(lines) if of == number)
                for number in range(len(topics))
            ]
            for row in cosines
        ]


def _mean(rows: "Floats", lengths: Sequence[int]) -> "Floats":
    """Return the mean of *rows*, weighted by the *lengths* of their texts, as a row of length 1."""
    import numpy as np

    mean = np.average(rows, axis=0, weights=np.maximum(1, lengths)).astype(np.float32)
    result: Floats = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return result

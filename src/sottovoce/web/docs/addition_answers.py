"""The bodies of JSON answers about the additions to a job (docs/additions.md), as models; see `answers.py`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sottovoce.web.docs.answer import Answer


class SpeakerNamesResponse(Answer):
    """The names that people gave to speakers and channels, by label. A label without a name is left out."""

    speakers: dict[str, str]
    channels: dict[str, str]


class DeliveryEntry(Answer):
    """A notification, callback or mail of a job. `target` is the scheme and host of its address, or `mail`."""

    id: str
    kind: str
    target: str
    state: Literal["waiting", "delivered", "failed"]
    attempts: int
    max_attempts: int
    created_at: datetime
    outcome: str | None = None
    next_at: datetime | None = None
    ended_at: datetime | None = None


class DeliveriesResponse(Answer):
    """The deliveries of a job, newest first."""

    deliveries: list[DeliveryEntry]


ADDITION_ANSWERS: Mapping[str, Any] = {
    "get_speaker_names": SpeakerNamesResponse,
    "set_speaker_names": SpeakerNamesResponse,
    "list_deliveries": DeliveriesResponse,
    "retry_delivery": DeliveryEntry,
}
"""The type of the JSON answer of each of these operations."""

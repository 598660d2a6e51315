"""The bodies of JSON answers about the additions to a job (docs/additions.md), as models; see `answers.py`."""

from collections.abc import Mapping
from typing import Any

from sottovoce.web.docs.answer import Answer


class SpeakerNamesResponse(Answer):
    """The names that people gave to speakers and channels, by label. A label without a name is left out."""

    speakers: dict[str, str]
    channels: dict[str, str]


ADDITION_ANSWERS: Mapping[str, Any] = {
    "get_speaker_names": SpeakerNamesResponse,
    "set_speaker_names": SpeakerNamesResponse,
}
"""The type of the JSON answer of each of these operations."""

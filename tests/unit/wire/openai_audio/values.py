"""Short ways to make requests."""

from collections.abc import Mapping, Sequence

from sottovoce.wire.openai_audio import form
from sottovoce.wire.openai_audio.form import AudioRequest


def parsed(
    *,
    translate: bool = False,
    lists: Mapping[str, Sequence[str]] | None = None,
    model: str = "whisper-1",
    **fields: str,
) -> AudioRequest:
    """The request of a form with these fields."""
    sent = {name: value.encode() for name, value in {"model": model, **fields}.items()}
    repeated = {name: [value.encode() for value in values] for name, values in (lists or {}).items()}
    return form.parse(sent, repeated, translate=translate)

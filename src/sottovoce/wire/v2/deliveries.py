"""The JSON form of the deliveries of a job: `GET /v2/jobs/{id}/deliveries`, an addition of this service."""

from dataclasses import dataclass
from typing import Any

from sottovoce.wire import timestamps


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """What an owner sees of a delivery. Instants in epoch ms; *target* is the scheme and host of an address, or `mail`."""

    id: str
    kind: str
    target: str
    state: str
    attempts: int
    max_attempts: int
    outcome: str | None
    next_at: int | None
    created_at: int
    ended_at: int | None


def delivery_object(view: DeliveryView) -> dict[str, Any]:
    """The object of one delivery; what is unknown is left out."""
    body: dict[str, Any] = {
        "id": view.id,
        "kind": view.kind,
        "target": view.target,
        "state": view.state,
        "attempts": view.attempts,
        "max_attempts": view.max_attempts,
        "created_at": timestamps.milliseconds(view.created_at),
    }
    if view.outcome is not None:
        body["outcome"] = view.outcome
    if view.next_at is not None:
        body["next_at"] = timestamps.milliseconds(view.next_at)
    if view.ended_at is not None:
        body["ended_at"] = timestamps.milliseconds(view.ended_at)
    return body

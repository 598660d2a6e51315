"""Request and response bodies about the members of a workspace and its audit log. An addition of this service."""

from collections.abc import Mapping
from typing import Any, Literal

from sottovoce.wire import timestamps
from sottovoce.wire.accounts import Body, Text

RoleName = Literal["admin", "member"]


class NewMember(Body):
    """The body of `POST /account/members`."""

    email: Text
    role: RoleName = "member"


class MemberChange(Body):
    """The body of `PATCH /account/members/{user_id}`; a member that is left out stays."""

    role: RoleName | None = None
    disabled: bool | None = None


def member_object(*, user_id: int, email: str | None, role: str, state: str, created_at: int) -> dict[str, Any]:
    """A user of the workspace."""
    instant = timestamps.milliseconds(created_at)
    return {"user_id": user_id, "email": email, "role": role, "state": state, "created_at": instant}


def invitation_object(*, invitation_id: int, email: str, role: str, created_at: int, expires_at: int) -> dict[str, Any]:
    """An open invitation, without its secret."""
    return {
        "invitation_id": invitation_id,
        "email": email,
        "role": role,
        "created_at": timestamps.milliseconds(created_at),
        "expires_at": timestamps.milliseconds(expires_at),
    }


def new_invitation_object(invitation: Mapping[str, Any], token: str | None) -> dict[str, Any]:
    """The answer to `POST /account/members`. *token* `None`: it was sent by mail."""
    body: dict[str, Any] = {"invitation": invitation, "mail": token is None}
    return body if token is None else {**body, "token": token}


def entry_object(
    *, entry_id: int, at: int, actor: str, action: str, target: str, details: Mapping[str, str | int | bool]
) -> dict[str, Any]:
    """An entry of the audit log."""
    return {
        "id": entry_id,
        "at": timestamps.milliseconds(at),
        "actor": actor,
        "action": action,
        "target": target,
        "details": dict(details),
    }

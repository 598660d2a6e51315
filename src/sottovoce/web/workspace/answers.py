"""The bodies of JSON answers about the members and the audit log of a workspace, as models; see `web/docs/answers.py`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sottovoce.web.docs.answer import Answer

Role = Literal["admin", "member"]


class Member(Answer):
    """A user of the workspace. A user without `email` has keys, and cannot log in."""

    user_id: int
    email: str | None
    role: Role
    state: Literal["active", "disabled", "unverified"]
    created_at: datetime


class OpenInvitation(Answer):
    """An invitation that was not accepted yet."""

    invitation_id: int
    email: str
    role: Role
    created_at: datetime
    expires_at: datetime


class MembersResponse(Answer):
    """The users of the workspace, and for an admin the open invitations. `user_id` and `role` are those of the caller."""

    user_id: int | None
    role: Role
    members: list[Member]
    invitations: list[OpenInvitation]


class NewInvitation(Answer):
    """A new invitation. `token` is there if the server sends no mail."""

    invitation: OpenInvitation
    mail: bool
    token: str | None = None


class AuditEntry(Answer):
    """Who did what. `actor` is the id of a key, `user` and an id, or `operator`."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    details: dict[str, str | int | bool]


class AuditResponse(Answer):
    """Entries of the audit log, newest first. `next` is the `before` of the next page, or null at the end."""

    entries: list[AuditEntry]
    next: int | None


WORKSPACE_ANSWERS: Mapping[str, Any] = {
    "list_members": MembersResponse,
    "invite_member": NewInvitation,
    "change_member": Member,
    "list_audit": AuditResponse,
}
"""The type of the JSON answer of each of these operations."""

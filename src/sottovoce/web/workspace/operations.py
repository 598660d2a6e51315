"""The operations on members and the audit log (docs/accounts.md) and on the health of the server (docs/operations.md)."""

from sottovoce.web.docs.operation import Operation

_JSON = ("application/json",)
_WHO = "With the session of an account, or with a managing key."
_NOT_ADMIN = (403, "The caller is a member, or the key is no managing key, or is temporary.")
_NOT_OPERATOR = (403, "The caller is no admin of workspace 1, or the key is no managing key, or is temporary.")
_LAST = (403, "The caller is no admin; or the workspace would lose its last admin.")
_NO_MEMBER = (404, "The workspace has no such user.")
_BAD_BODY = (400, "The body is not JSON, or a member of it is invalid; `detail` names it.")
_SIZE = (413, "The body is larger than 8 KiB.")
_SLOW = (408, "The body did not arrive in time.")

WORKSPACE: tuple[Operation, ...] = (
    Operation(
        id="list_members",
        tag="account",
        method="GET",
        path="/account/members",
        media_types=_JSON,
        summary="List the members of the workspace",
        description=f"An addition of this server. {_WHO} A member sees the users; an admin also sees open invitations.",
        returns="The users, and the open invitations.",
        errors=((403, "The key is no managing key, or is temporary."),),
    ),
    Operation(
        id="invite_member",
        tag="account",
        method="POST",
        path="/account/members",
        status=201,
        media_types=_JSON,
        summary="Invite a person to the workspace",
        description=(
            f"An addition of this server. {_WHO} For admins. With a mail server the person gets a link that is valid for seven "
            "days; without one the answer has the token of that link. A newer invitation of an address replaces the older one."
        ),
        returns="The invitation.",
        body=(
            ("email", "string", "The address of the person; required."),
            ("role", "string", "`member` (the default) or `admin`."),
        ),
        errors=(
            (400, f"{_BAD_BODY[1]} Without a mail server also: the address has an account."),
            _NOT_ADMIN,
            _SLOW,
            _SIZE,
        ),
    ),
    Operation(
        id="change_member",
        tag="account",
        method="PATCH",
        path="/account/members/{user_id}",
        media_types=_JSON,
        summary="Change a member",
        description=f"An addition of this server. {_WHO} For admins. What is left out stays.",
        returns="The changed user.",
        body=(
            ("role", "string", "`admin` or `member`."),
            ("disabled", "boolean", "true ends the sessions of the user and refuses the user's keys; false undoes it."),
        ),
        errors=(_BAD_BODY, _LAST, _NO_MEMBER, _SLOW, _SIZE),
    ),
    Operation(
        id="disable_member",
        tag="account",
        method="DELETE",
        path="/account/members/{user_id}",
        status=204,
        media_types=(),
        summary="End the access of a member",
        description=f"An addition of this server. {_WHO} For admins. The same as `disabled: true`; the user's jobs stay.",
        returns="The user has no access any more.",
        errors=(_LAST, _NO_MEMBER),
    ),
    Operation(
        id="withdraw_invitation",
        tag="account",
        method="DELETE",
        path="/account/invitations/{invitation_id}",
        status=204,
        media_types=(),
        summary="Withdraw an invitation",
        description=f"An addition of this server. {_WHO} For admins.",
        returns="The token of the invitation is invalid.",
        errors=(_NOT_ADMIN, (404, "The workspace has no such invitation.")),
    ),
    Operation(
        id="list_audit",
        tag="account",
        method="GET",
        path="/account/audit",
        media_types=_JSON,
        summary="Read the audit log of the workspace",
        description=f"An addition of this server. {_WHO} For admins. Entries are kept for 400 days.",
        returns="Entries, newest first.",
        query=(
            ("limit", "integer", "Entries of an answer: 1 to 1000; default: 50."),
            ("before", "integer", "Only entries that are older: the `next` of the answer before."),
        ),
        errors=(_NOT_ADMIN, (422, "`limit` or `before` is out of range.")),
    ),
    Operation(
        id="health_details",
        tag="operator",
        method="GET",
        path="/health/details",
        media_types=_JSON,
        summary="Read the state of the server",
        description=(
            f"An addition of this server. {_WHO} For admins of workspace 1, the operator's. Engines, models, workers, the queue, "
            "disk, deliveries and retention of the region, as numbers."
        ),
        returns="The state.",
        errors=(_NOT_OPERATOR,),
    ),
    Operation(
        id="pull_model",
        tag="operator",
        method="POST",
        path="/health/models/{name}",
        status=202,
        media_types=_JSON,
        summary="Pull a model",
        description=(
            f"An addition of this server. {_WHO} For admins of workspace 1, on a server with one data folder and one workspace. "
            "`pull` of the state shows the progress; restart the server when it is done."
        ),
        returns="The pull, which has begun.",
        errors=(
            (403, f"{_NOT_OPERATOR[1]} Or the server pulls no models over HTTP; `detail` says why."),
            (404, "The catalogue has no such model."),
            (423, "Another pull runs."),
        ),
    ),
)

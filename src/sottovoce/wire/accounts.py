"""Request and response bodies of the account API. An addition of this service: the contract has no such addresses."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sottovoce.errors import Kind, Refused
from sottovoce.wire import timestamps

MAX_BODY = 8 << 10
"""Bytes of a request body: room for the longest password with every character escaped."""
MAX_TEXT = 1000
"""Characters of any member; the limits of stored values are lower."""

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Model = TypeVar("Model", bound="Body")


class Body(BaseModel):
    """A JSON object with the declared members only."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Credentials(Body):
    """The body of `POST /account/register` and `/account/login`."""

    email: Text
    password: Text = Field(repr=False)


class Confirmation(Body):
    """The body of `POST /account/verify`, with the password of the account, and `/account/reset`, with a new one."""

    token: Text = Field(repr=False)
    password: Text = Field(repr=False)


class Forgotten(Body):
    """The body of `POST /account/forgot`."""

    email: Text


class PasswordChange(Body):
    """The body of `POST /account/password`."""

    old: Text = Field(repr=False)
    new: Text = Field(repr=False)


class PortalSignIn(Body):
    """The body of `POST /portal/session`. Without *api_key* the session of the account counts, in the project *project_id*,
    else the present sign-in with a key.
    """

    api_key: Text | None = Field(default=None, repr=False)
    project_id: int | None = None


class NewToken(Body):
    """The body of `POST /account/tokens`."""

    name: Text


def parsed(model: type[Model], body: bytes) -> Model:
    """*body* as *model*. Raises `Refused` that names the invalid member and never its value."""
    try:
        members = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refused(Kind.MALFORMED, "the body is not valid JSON") from error
    if not isinstance(members, dict):
        raise Refused(Kind.BAD_REQUEST, "the body must be a JSON object")
    try:
        return model.model_validate(members)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        name = str(fault["loc"][0])
        if name not in model.model_fields:
            allowed = ", ".join(model.model_fields)
            raise Refused(Kind.BAD_REQUEST, f"the body has an unknown member; allowed are {allowed}") from error
        raise Refused(Kind.BAD_REQUEST, _WHY.get(fault["type"], "cannot be used"), at=name) from error


_WHY: Mapping[str, str] = {
    "missing": "is required",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "literal_error": "must be one of the values that the API reference lists",
    "string_too_long": f"must have at most {MAX_TEXT} characters",
}


def user_object(*, user_id: int, email: str | None) -> dict[str, Any]:
    """The user that has logged in."""
    return {"user_id": user_id, "email": email}


def session_object(*, session_id: str, created_at: int, expires_at: int, current: bool) -> dict[str, Any]:
    """A session of the user; *current*: the one of the request. Instants in epoch ms."""
    return {
        "session_id": session_id,
        "created_at": timestamps.milliseconds(created_at),
        "expires_at": timestamps.milliseconds(expires_at),
        "current": current,
    }


def account_object(
    *, user_id: int, email: str | None, verified: bool, balance: int, workspace_id: int, role: str
) -> dict[str, Any]:
    """The account of the user that is logged in; *balance* in credits."""
    return {
        **user_object(user_id=user_id, email=email),
        "verified": verified,
        "balance": balance,
        "workspace_id": workspace_id,
        "role": role,
    }

"""`keys`: creates, lists and revokes API keys."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sottovoce.cli.common import control, data_dir, folder_of, region
from sottovoce.cli.tables import as_json, clock, printable, show, show_one

if TYPE_CHECKING:
    import sqlalchemy as sa

    from sottovoce.service.identity.api_keys import ApiKey
    from sottovoce.service.identity.audit_log import Entry
    from sottovoce.service.identity.users import User


@contextmanager
def refusals() -> Iterator[None]:
    """Turn `Refused` into a `ClickException` of one line."""
    from sottovoce.errors import Refused

    try:
        yield
    except Refused as refused:
        raise click.ClickException(refused.detail) from refused


def entry(action: str, target: str, *, of: int | None = None, **details: str | int | bool) -> "Entry":
    """An entry of the audit log for a command of the operator; *of*: the workspace whose admins see it."""
    from sottovoce.service.identity.audit_log import OPERATOR, Entry

    return Entry(actor=OPERATOR, action=action, target=target, workspace_id=of, details=details)


def user_of(connection: "sa.Connection", who: str) -> "User":
    """The user with the id or e-mail address *who*. Raises `ClickException`."""
    from sottovoce.service.identity import users

    if (user := users.find(connection, who)) is None:
        raise click.ClickException(f"no user {who}; `sottovoce users list` shows them")
    return user


def _project(connection: "sa.Connection", project_id: int | None, user: "User | None") -> int:
    """*project_id* if it exists; for `None` the default project, of *user*'s workspace if given. Raises `ClickException`."""
    from sottovoce.service.identity import api_keys
    from sottovoce.service.identity import projects as store

    workspace_id = user.workspace_id if user else None
    if project_id is None:
        return api_keys.default_project(connection, workspace_id)
    if project_id not in {project.id for project in store.listed(connection, workspace_id)}:
        raise click.ClickException(
            f"no project {project_id}" + (f" of the workspace of user {user.id}" if user else "")
        )
    return project_id


@click.group()
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command("create")
@click.argument("name")
@click.option("--project", type=int, help="Id of the key's project, as `projects list` shows it (the default project).")
@click.option(
    "--user", "who", metavar="WHO", help="Id or e-mail address of the key's user (the workspace's first user)."
)
@click.option(
    "--manages",
    is_flag=True,
    help="The key may change keys, projects and members through the API, while its user is an admin.",
)
@click.option("--client-ref", help="The key reaches only jobs with this reference.")
@as_json
@data_dir
def keys_create(
    name: str,
    *,
    project: int | None,
    who: str | None,
    manages: bool,
    client_ref: str | None,
    machine: bool,
    **flags: object,
) -> None:
    """Create a key called NAME and print its id and its secret; the secret is shown only once."""
    from sottovoce.service.identity import api_keys, audit_log

    secret = api_keys.new_secret()
    with refusals(), control(flags) as database, database.writing() as connection:
        user = None if who is None else user_of(connection, who)
        made = api_keys.create_key(
            connection,
            project_id=_project(connection, project, user),
            user_id=user.id if user else None,
            name=name,
            secret=secret,
            client_ref=client_ref,
            manages=manages,
        )
        of = api_keys.workspace_of(connection, made.id)
        audit_log.record(connection, entry("key created", made.id, of=of, project=made.project_id, manages=manages))
    show_one(
        {"id": made.id, "secret": secret, **_members(made)},
        machine=machine,
        lines={
            "key": f"{made.id} ({printable(name)})",
            "secret": secret,
            "project": str(made.project_id),
            "reaches": _role(made),
        },
    )
    if not machine:
        click.echo("The secret is shown only now. Programs send it as `Authorization: Bearer SECRET`.", err=True)


@keys.command("list")
@as_json
@data_dir
def keys_list(*, machine: bool, **flags: object) -> None:
    """List all keys, without secrets."""
    from sottovoce.service.identity import api_keys

    with control(flags) as database, database.reading() as connection:
        found = api_keys.list_keys(connection)
    show(
        [{"id": key.id, **_members(key)} for key in found],
        machine=machine,
        headings=("KEY", "CREATED", "PROJECT", "USER", "REACHES", "STATE", "NAME"),
        cells=[
            (
                key.id,
                clock(key.created_at),
                str(key.project_id),
                "" if key.user_id is None else str(key.user_id),
                _role(key),
                f"revoked {clock(key.revoked_at)}" if key.revoked_at else "active",
                printable(key.name),
            )
            for key in found
        ],
    )


def _members(key: "ApiKey") -> dict[str, object]:
    from sottovoce.wire.timestamps import milliseconds

    return {
        "name": key.name,
        "project": key.project_id,
        "user": key.user_id,
        "client_ref": key.client_ref,
        "manages": key.manages,
        "created_at": milliseconds(key.created_at),
        "revoked_at": milliseconds(key.revoked_at) if key.revoked_at else None,
    }


def _role(key: "ApiKey") -> str:
    """What *key* may do."""
    if key.client_ref is not None:
        return f"jobs of {printable(key.client_ref)}"
    return "jobs, keys and projects" if key.manages else "jobs"


@keys.command("revoke")
@click.argument("key_id")
@data_dir
def keys_revoke(key_id: str, **flags: object) -> None:
    """Revoke the key KEY_ID (as `keys list` shows it) and the temporary keys that it issued; takes effect within two seconds."""
    from sottovoce.service.identity import api_keys, audit_log

    with control(flags) as database, database.writing() as connection:
        if not api_keys.revoke_key(connection, key_id):
            raise click.ClickException(f"no active key {key_id}; `sottovoce keys list` shows them")
        audit_log.record(connection, entry("key revoked", key_id, of=api_keys.workspace_of(connection, key_id)))
    click.echo(f"revoked {key_id}")


@keys.command("temporary")
@click.argument("key_id")
@click.option("--ttl", type=int, default=3600, show_default=True, help="Lifetime in seconds, 60 to 86400.")
@click.option("--type", "product", type=click.Choice(["batch", "rt"]), default="batch", show_default=True)
@click.option("--client-ref", help="The key reaches only jobs with this reference; not for rt.")
@as_json
@data_dir
@region
def keys_temporary(
    key_id: str, *, ttl: int, product: str, client_ref: str | None, machine: bool, **flags: object
) -> None:
    """Create a temporary key for the key KEY_ID and print it alone. Revoking KEY_ID revokes it, too."""
    import asyncio

    from sottovoce.service.identity import api_keys
    from sottovoce.service.identity.temporary_keys import TokenIssuer, TokenRequest
    from sottovoce.service.storage.encryption import Encryptor

    settings, folder = folder_of(flags)
    path = settings.secrets_key_file or folder.secrets_key
    try:
        encryptor = Encryptor.open_file(path, create=False)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"the server's key file {path.name} cannot be read") from error
    with refusals(), control(flags) as database:
        with database.reading() as connection:
            found = [key for key in api_keys.list_keys(connection, working=True) if key.id == key_id]
        if not found:
            raise click.ClickException(f"no active key {key_id}")
        if found[0].client_ref is not None and client_ref not in {None, found[0].client_ref}:
            raise click.ClickException("the key is bound to another client_ref")
        grant = TokenRequest(
            key_id=key_id,
            project_id=found[0].project_id,
            product=api_keys.Product(product),
            ttl=ttl,
            client_ref=client_ref or found[0].client_ref,
        )
        token, _ = asyncio.run(TokenIssuer(database, encryptor, folder.region).make(grant))
    if machine:
        click.echo(json.dumps({"secret": token, "issued_by": key_id, "type": product, "ttl": ttl}))
    else:
        click.echo(token)


@keys.command("forget-temporary")
@data_dir
@region
def keys_forget_temporary(**flags: object) -> None:
    """Revoke all temporary keys that this region issued; takes effect within two seconds."""
    from sottovoce.service.identity import audit_log, temporary_keys

    _, folder = folder_of(flags)
    with control(flags) as database, database.writing() as connection:
        temporary_keys.forget(connection, folder.region)
        audit_log.record(connection, entry("temporary keys forgotten", folder.region))
    click.echo(f"revoked all temporary keys of {folder.region}")

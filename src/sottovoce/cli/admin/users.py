"""`users`: creates, lists, disables and enables users, and sets their roles, addresses and passwords."""

import sys
from typing import TYPE_CHECKING

import click

from sottovoce.cli.admin.keys import entry, refusals, user_of
from sottovoce.cli.common import control, data_dir, settings_of
from sottovoce.cli.tables import as_json, clock, show, show_one

if TYPE_CHECKING:
    import sqlalchemy as sa

    from sottovoce.service.identity.users import User

_roles = click.Choice(["admin", "member"])
_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@click.group()
def users() -> None:
    """Create, list, disable and enable users. WHO is an id or an e-mail address, as `users list` shows them."""


@users.command("add")
@click.argument("email")
@click.option("--workspace", type=int, help="Id of the user's workspace (a new one).")
@click.option(
    "--role", type=_roles, help="What the user may do in --workspace (admin). The user of a new workspace is its admin."
)
@_from_stdin
@click.option("--no-password", is_flag=True, help="Set no password; the user can only use the API.")
@click.option("--no-key", is_flag=True, help="Create no API key.")
@as_json
@data_dir
def users_add(
    email: str,
    *,
    workspace: int | None,
    role: str | None,
    password_stdin: bool,
    no_password: bool,
    no_key: bool,
    machine: bool,
    **flags: object,
) -> None:
    """Create a user with the address EMAIL, and print the id and a first API key; the key is shown only once."""
    from sottovoce.service.identity import api_keys, audit_log
    from sottovoce.service.identity import users as store
    from sottovoce.service.identity.workspaces import Role

    if no_password and password_stdin:
        raise click.UsageError("--no-password and --password-stdin exclude each other")
    if role == Role.MEMBER and workspace is None:
        raise click.UsageError("--role member needs --workspace: the user of a new workspace is its admin")
    secret = None if no_key else api_keys.new_secret()
    with refusals(), control(flags) as database:
        email = store.normal(email)
        kept = None if no_password else _hashed(email, password_stdin, flags)
        with database.writing() as connection:
            made = store.add(
                connection,
                email=email,
                password_hash=kept,
                verified=True,
                workspace_id=workspace,
                role=Role(role or Role.ADMIN),
            )
            _record(connection, made, "user added", role=made.role.value)
            if secret is not None:
                project = api_keys.default_project(connection, made.workspace_id)
                key = api_keys.create_key(
                    connection, project_id=project, user_id=made.id, name="first key", secret=secret
                )
                audit_log.record(
                    connection, entry("key created", key.id, of=made.workspace_id, project=project, user=made.id)
                )
    _show_made(made, secret, machine=machine)


def _show_made(made: "User", secret: str | None, *, machine: bool) -> None:
    row = {
        "id": made.id,
        "email": made.email,
        "workspace": made.workspace_id,
        "role": made.role.value,
        "secret": secret,
    }
    lines = {"user": f"{made.id} ({made.email})", "workspace": f"{made.workspace_id} ({made.role})"}
    show_one(row, machine=machine, lines=lines if secret is None else {**lines, "secret": secret})
    if secret is not None and not machine:
        click.echo("The secret is that of the user's first API key, and is shown only now.", err=True)


@users.command("list")
@as_json
@data_dir
def users_list(*, machine: bool, **flags: object) -> None:
    """List all users."""
    from sottovoce.service.identity import users as store
    from sottovoce.wire.timestamps import milliseconds

    with control(flags) as database, database.reading() as connection:
        found = store.listed(connection)
    show(
        [
            {
                "id": user.id,
                "email": user.email,
                "created_at": milliseconds(user.created_at),
                "workspace": user.workspace_id,
                "role": user.role.value,
                "state": user.state,
            }
            for user in found
        ],
        machine=machine,
        headings=("USER", "CREATED", "WORKSPACE", "ROLE", "STATE", "ADDRESS"),
        cells=[
            (
                str(user.id),
                clock(user.created_at),
                str(user.workspace_id),
                user.role.value,
                user.state,
                user.email or "",
            )
            for user in found
        ],
    )


@users.command("disable")
@click.argument("who")
@data_dir
def users_disable(who: str, **flags: object) -> None:
    """Disable WHO: end all sessions at once, and refuse the keys within two seconds. The jobs are kept."""
    from sottovoce.service.identity import users as store

    with control(flags) as database, database.writing() as connection:
        user = user_of(connection, who)
        store.disable(connection, user)
        _record(connection, user, "user disabled")
    click.echo(f"disabled {user.id}")


@users.command("enable")
@click.argument("who")
@data_dir
def users_enable(who: str, **flags: object) -> None:
    """Enable WHO again; an unconfirmed address becomes confirmed."""
    from sottovoce.service.identity import users as store

    with control(flags) as database, database.writing() as connection:
        user = user_of(connection, who)
        store.enable(connection, user)
        _record(connection, user, "user enabled")
    click.echo(f"enabled {user.id}")


@users.command("role")
@click.argument("who")
@click.argument("role", type=_roles)
@data_dir
def users_role(who: str, role: str, **flags: object) -> None:
    """Make WHO an admin or a member of the workspace. The last admin of a workspace stays one."""
    from sottovoce.service.identity import members
    from sottovoce.service.identity.workspaces import Role

    with refusals(), control(flags) as database, database.writing() as connection:
        user = user_of(connection, who)
        members.change(connection, user.workspace_id, user.id, members.Change(role=Role(role)))
        _record(connection, user, "role changed", role=role)
    click.echo(f"user {user.id} is {'an admin' if role == Role.ADMIN else 'a member'} of workspace {user.workspace_id}")


@users.command("email")
@click.argument("who")
@click.argument("email")
@data_dir
def users_email(who: str, email: str, **flags: object) -> None:
    """Set the address of WHO to EMAIL, for mails about later jobs and for logging in."""
    from sottovoce.service.identity import users as store

    with refusals(), control(flags) as database, database.writing() as connection:
        user = store.set_email(connection, user_of(connection, who), store.normal(email))
        _record(connection, user, "e-mail address set")
    click.echo(f"address of user {user.id} set to {user.email}")


@users.command("password")
@click.argument("who")
@_from_stdin
@data_dir
def users_password(who: str, password_stdin: bool, **flags: object) -> None:
    """Set a new password for WHO and end all sessions."""
    from sottovoce.service.identity import login_throttle
    from sottovoce.service.identity import users as store
    from sottovoce.service.identity.registration import login_allowances

    with refusals(), control(flags) as database:
        with database.reading() as reading:
            user = user_of(reading, who)
        if user.email is None:
            raise click.ClickException(f"user {user.id} has no e-mail address to log in with; `users email` sets one")
        kept = _hashed(user.email, password_stdin, flags)
        with database.writing() as connection:
            store.set_password(connection, user, kept)
            login_throttle.forget(connection, login_allowances(user.email, "")[0])
            _record(connection, user, "password set")
    click.echo(f"password of {user.id} set")


def _record(connection: "sa.Connection", user: "User", action: str, **details: str | int | bool) -> None:
    from sottovoce.service.identity import audit_log

    made = entry(action, str(user.id), of=user.workspace_id, workspace=user.workspace_id, **details)
    audit_log.record(connection, made)


def _hashed(email: str, from_stdin: bool, flags: dict[str, object]) -> str:
    """The hash of a password, read from standard input, or typed twice without echo."""
    from sottovoce.service.identity import passwords

    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    hasher = passwords.Hasher(settings_of(**flags).password_memory_kib)
    return hasher.hashed(passwords.checked(password, email))

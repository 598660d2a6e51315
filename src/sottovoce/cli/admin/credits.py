"""`credits`: adds and removes credits, and shows and checks the ledger."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from sottovoce.cli.admin.keys import refusals
from sottovoce.cli.common import control, data_dir
from sottovoce.cli.tables import as_json, clock, show

if TYPE_CHECKING:
    import sqlalchemy as sa

    from sottovoce.service.identity.audit_log import Entry

MOST = 10**12
"""Credits that one command may add or remove, at most."""

_amount = click.argument("amount", type=click.IntRange(1, MOST))


@click.group("credits")
def credits_() -> None:
    """Add and remove credits, and show the ledger. WHO is a user's id or e-mail address."""


@credits_.command("add")
@click.argument("who")
@_amount
@data_dir
def credits_add(who: str, amount: int, **flags: object) -> None:
    """Add AMOUNT credits to the workspace of WHO."""
    from sottovoce.service.billing import ledger
    from sottovoce.service.identity import audit_log

    with refusals(), control(flags) as database, database.writing() as connection:
        workspace_id = _workspace(connection, who)
        balance = ledger.add(connection, workspace_id, amount)
        audit_log.record(connection, _entry("credits added", workspace_id, amount))
    click.echo(f"the balance is {balance}")


@credits_.command("remove")
@click.argument("who")
@_amount
@data_dir
def credits_remove(who: str, amount: int, **flags: object) -> None:
    """Remove AMOUNT credits from the workspace of WHO; fails if the balance is lower."""
    from sottovoce.service.billing import ledger
    from sottovoce.service.identity import audit_log

    with refusals(), control(flags) as database, database.writing() as connection:
        workspace_id = _workspace(connection, who)
        balance = ledger.remove(connection, workspace_id, amount)
        audit_log.record(connection, _entry("credits removed", workspace_id, amount))
    click.echo(f"the balance is {balance}")


@credits_.command("list")
@click.argument("who")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@as_json
@data_dir
def credits_list(who: str, limit: int, *, machine: bool, **flags: object) -> None:
    """Show the balance of WHO's workspace and its ledger entries, newest first."""
    from sottovoce.service.billing import ledger
    from sottovoce.wire.timestamps import milliseconds

    with control(flags) as database, database.reading() as connection:
        workspace_id = _workspace(connection, who)
        balance = ledger.balance(connection, workspace_id)
        entries = ledger.newest(connection, workspace_id, limit)
    if machine:
        rows = [{**asdict(entry), "at": milliseconds(entry.at)} for entry in entries]
        click.echo(json.dumps({"workspace": workspace_id, "balance": balance, "entries": rows}, indent=2))
        return
    click.echo(f"balance {balance:,}")
    show(
        [],
        machine=False,
        headings=("AT", "CREDITS>", "KIND", "REGION", "JOB"),
        cells=[
            (clock(entry.at), f"{entry.amount:+,}", str(entry.kind), entry.region or "", entry.job_id or "")
            for entry in entries
        ],
    )


@credits_.command("check")
@as_json
@data_dir
def credits_check(*, machine: bool, **flags: object) -> None:
    """Check that every balance is the sum of its ledger entries; fails if not."""
    from sottovoce.service.billing import ledger

    with control(flags) as database, database.reading() as connection:
        accounts = ledger.accounts(connection)
    wrong = [account for account in accounts if not account.right]
    if machine:
        click.echo(json.dumps([{**asdict(account), "right": account.right} for account in accounts], indent=2))
    for account in () if machine else wrong:
        click.echo(f"workspace {account.workspace_id}: balance {account.balance}, entries {account.entries}")
    if wrong:
        raise click.ClickException(f"{len(wrong)} of {len(accounts)} balances are wrong")
    if not machine:
        click.echo(f"every balance is right ({len(accounts)})")


def _entry(action: str, workspace_id: int, amount: int) -> "Entry":
    from sottovoce.service.identity.audit_log import OPERATOR, Entry

    target = str(workspace_id)
    return Entry(actor=OPERATOR, action=action, target=target, workspace_id=workspace_id, details={"credits": amount})


def _workspace(connection: "sa.Connection", who: str) -> int:
    """The workspace of the user with the id or e-mail address *who*. Raises `ClickException`."""
    from sottovoce.service.identity import users

    found = users.find(connection, who)
    if found is None:
        raise click.ClickException(f"no user {who}; `sottovoce users list` shows them")
    return found.workspace_id

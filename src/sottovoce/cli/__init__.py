"""The command `sottovoce`. Slow modules are imported inside the commands that need them, so that `--help` is fast.

Every option of `serve` has an environment variable `SOTTOVOCE_…`; `docs/settings.md` lists them.
"""

import click

from sottovoce import __version__
from sottovoce.cli.admin.audit import audit
from sottovoce.cli.admin.credits import credits_
from sottovoce.cli.admin.deliveries import deliveries
from sottovoce.cli.admin.jobs import jobs
from sottovoce.cli.admin.keys import keys
from sottovoce.cli.admin.projects import projects
from sottovoce.cli.admin.retention import retention
from sottovoce.cli.admin.secrets import secrets
from sottovoce.cli.admin.status import status
from sottovoce.cli.admin.storage import backup, migrate
from sottovoce.cli.admin.usage import usage
from sottovoce.cli.admin.users import users
from sottovoce.cli.admin.workspaces import workspaces
from sottovoce.cli.completion import completion
from sottovoce.cli.files.transcribe import transcribe
from sottovoce.cli.files.watch import watch
from sottovoce.cli.local.align import align
from sottovoce.cli.local.doctor import doctor
from sottovoce.cli.local.live import live
from sottovoce.cli.local.models import models
from sottovoce.cli.server.serve import serve, worker
from sottovoce.cli.wyoming.command import wyoming


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sottovoce")
def main() -> None:
    """Self-hosted speech-to-text with the API of Speechmatics."""


for _command in (
    serve,
    worker,
    transcribe,
    watch,
    live,
    wyoming,
    align,
    models,
    doctor,
    keys,
    users,
    projects,
    workspaces,
    secrets,
    audit,
    credits_,
    status,
    jobs,
    deliveries,
    usage,
    retention,
    migrate,
    backup,
    completion,
):
    main.add_command(_command)

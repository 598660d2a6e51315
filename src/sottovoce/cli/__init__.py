"""The command `sottovoce`. Heavy parts are imported inside the commands that need them: `--help` is instant.

Every option of `serve` has an environment variable `SOTTOVOCE_…`; `docs/settings.md` lists them.
"""

import click

from sottovoce import __version__
from sottovoce.cli.align import align
from sottovoce.cli.audit import audit
from sottovoce.cli.credits import credits_
from sottovoce.cli.deliveries import deliveries
from sottovoce.cli.doctor import doctor
from sottovoce.cli.jobs import jobs
from sottovoce.cli.keys import keys
from sottovoce.cli.models import models
from sottovoce.cli.projects import projects
from sottovoce.cli.retention import retention
from sottovoce.cli.secrets import secrets
from sottovoce.cli.serve import serve, worker
from sottovoce.cli.status import status
from sottovoce.cli.storage import backup, migrate
from sottovoce.cli.transcribe import transcribe
from sottovoce.cli.usage import usage
from sottovoce.cli.users import users
from sottovoce.cli.workspaces import workspaces


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sottovoce")
def main() -> None:
    """Speech-to-text on your own machines, behind the API that your clients speak already."""


for _command in (
    serve,
    worker,
    transcribe,
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
):
    main.add_command(_command)

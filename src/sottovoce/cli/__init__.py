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

SECTIONS: tuple[tuple[str, dict[click.Command, str]], ...] = (
    (
        "Transcribe on this machine",
        {
            transcribe: "Transcribe files and folders, here or by a server",
            watch: "Transcribe each file that appears in a folder",
            live: "Show captions while a file or a microphone is heard",
            align: "Put the times of a recording into its text",
        },
    ),
    (
        "Run a server",
        {
            serve: "Run the server with its API and its portal",
            worker: "Process the jobs of servers on PostgreSQL",
            wyoming: "Serve Home Assistant's Wyoming protocol",
            doctor: "Show what is ready, and what to do about the rest",
            models: "List, fetch, check and remove models",
        },
    ),
    (
        "Work on a server's data",
        {
            keys: "Create, list and revoke API keys",
            users: "Create, list, disable and enable users",
            projects: "Create and list projects",
            workspaces: "List workspaces, and bind them to regions",
            jobs: "Show jobs, and retry rejected ones",
            deliveries: "Show notifications, and send failed ones again",
            usage: "Show the hours of media that were transcribed",
            credits_: "Add and remove credits, and show the ledger",
            audit: "Show who created, revoked or deleted what",
            status: "Show the queue and the speed of a region",
            retention: "Show and remove jobs whose time is over",
            secrets: "Rotate the key that encrypts stored configs",
            backup: "Copy the data folder of an embedded server",
            migrate: "Migrate the databases to this release",
        },
    ),
    ("Other", {completion: "Print a script that completes commands in a shell"}),
)
"""The commands with a line about each; `sottovoce COMMAND --help` has the whole text."""


class Sections(click.Group):
    """A group whose help lists the commands by what they are for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click gives it
        """Write the sections."""
        for title, commands in SECTIONS:
            with formatter.section(title):
                formatter.write_dl([(str(command.name), line) for command, line in commands.items()])


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sottovoce")
def main() -> None:
    """Self-hosted speech-to-text with the API of Speechmatics.

    `sottovoce transcribe talk.mp3` prints the text of a recording. `sottovoce serve` starts a server. `sottovoce COMMAND --help`
    describes a command.
    """


for _, _commands in SECTIONS:
    for _command in _commands:
        main.add_command(_command)

"""The help of the command without words: what a newcomer sees first."""

import re

from click.testing import CliRunner

from sottovoce.cli import SECTIONS, main


def test_every_command_has_a_whole_line_in_one_section() -> None:
    shown = CliRunner().invoke(main, ["--help"], terminal_width=80).output
    listed = [(str(command.name), line) for _, commands in SECTIONS for command, line in commands.items()]
    assert sorted(name for name, _ in listed) == sorted(main.commands)
    for name, line in listed:
        assert re.search(rf"(?m)^  {name} +{re.escape(line)}$", shown), "on 80 columns no line is broken"


def test_the_help_names_the_first_commands() -> None:
    shown = " ".join(CliRunner().invoke(main, []).output.split())
    assert "`sottovoce transcribe talk.mp3` prints the text of a recording" in shown
    assert shown.index("Transcribe on this machine") < shown.index("Run a server")

"""`completion`: a script that completes commands and options in a shell."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, /, shell: str) -> None:
    """Print a script that completes `sottovoce` in SHELL.

    bash: eval "$(sottovoce completion bash)". zsh: the same with zsh. fish: sottovoce completion fish | source.
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.ClickException(f"there is no completion for {shell}")
    click.echo(made(context.find_root().command, {}, "sottovoce", "_SOTTOVOCE_COMPLETE").source())

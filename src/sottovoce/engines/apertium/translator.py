"""Runs Apertium once for all sentences of a transcript, one sentence in a line.

Apertium reads HTML with every sentence in a paragraph, because its plain text format may join lines.
"""

import html
import re
import subprocess
from collections.abc import Mapping, Sequence

from sottovoce.intelligence.protocols import Scene

PROGRAM = "apertium"
_PARAGRAPH = re.compile(r'<p id="(\d+)">(.*?)</p>', re.DOTALL)


class ApertiumTranslator:
    """Translates from *source* by *modes*, the names of Apertium's modes by pair of languages."""

    def __init__(self, source: str, modes: Mapping[tuple[str, str], str], program: str = PROGRAM) -> None:
        self._modes = {target: mode for (other, target), mode in modes.items() if other == source}
        self._program = program
        self.languages = frozenset({source})
        self.targets = frozenset(self._modes)

    def translate(self, scene: Scene, target: str) -> Sequence[str]:
        """Return each sentence in *target*. Raises ChildProcessError if Apertium fails, ValueError for a lost sentence."""
        sent = "\n".join(f'<p id="{each.id}">{html.escape(each.text, quote=False)}</p>' for each in scene.sentences)
        # -u: unknown words are not marked with an asterisk. The deadline of the stage ends the program, which is in its group.
        command = [self._program, "-u", "-f", "html", self._modes[target]]
        done = subprocess.run(command, input=sent.encode(), capture_output=True, check=False)
        if done.returncode:
            raise ChildProcessError(
                f"apertium ended with {done.returncode}: {done.stderr.decode(errors='replace')[:500]}"
            )
        found = {int(number): html.unescape(text) for number, text in _PARAGRAPH.findall(done.stdout.decode())}
        if missing := [each.id for each in scene.sentences if each.id not in found]:
            raise ValueError(f"apertium lost {len(missing)} of {len(scene.sentences)} sentences")
        return [found[each.id].strip() for each in scene.sentences]

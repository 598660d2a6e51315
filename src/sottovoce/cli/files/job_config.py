"""The JobConfig that the options of `transcribe` stand for, the same for this machine and for a server."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The options that become members of the JobConfig. *language*: `None` if the command chooses it."""

    language: str | None
    operating_point: str
    diarization: str
    entities: bool
    locale: str | None
    vocab: tuple[str, ...]
    max_line_length: int | None
    max_lines: int | None
    summary: bool
    translate: tuple[tuple[str, ...], ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The languages of translations."""
        return tuple(dict.fromkeys(language for languages in self.translate for language in languages))

    @property
    def named_language(self) -> str | None:
        """The language of the options: the named one, or that of the locale."""
        return self.language or (self.locale.partition("-")[0] if self.locale else None)

    def config(self, language: str) -> dict[str, Any]:
        """The JobConfig for *language*. Raises `click.UsageError` for a list of words that cannot be read."""
        options: dict[str, Any] = {
            "language": language,
            "operating_point": self.operating_point,
            "diarization": self.diarization,
            "enable_entities": self.entities,
        }
        if self.locale:
            options["output_locale"] = self.locale
        if words := vocabulary(self.vocab):
            options["additional_vocab"] = words
        config: dict[str, Any] = {"type": "transcription", "transcription_config": options}
        limits = {"max_line_length": self.max_line_length, "max_lines": self.max_lines}
        if given := {name: value for name, value in limits.items() if value is not None}:
            config["output_config"] = {"srt_overrides": given}
        if self.summary:
            config["summarization_config"] = {}
        if self.targets:
            config["translation_config"] = {"target_languages": list(self.targets)}
        return config


def vocabulary(values: Sequence[str]) -> list[Any]:
    """The custom words of `--vocab`: each value is a file of words, or a word itself. Raises `click.UsageError`."""
    words: list[Any] = []
    for value in values:
        path = Path(value)
        if path.is_file():
            words += _of_file(path)
        elif path.suffix in {".txt", ".json"}:
            raise click.UsageError(f"--vocab: there is no file {value}; name an existing file, or a word")
        else:
            words.append(_of_line(value))
    return words


def _of_file(path: Path) -> list[Any]:
    """A JSON list as in `additional_vocab`, or lines `word` or `word: sounds like, sounds like`; `#` begins a comment line."""
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix == ".json":
            found = json.loads(text)
            if not isinstance(found, list):
                raise click.UsageError(f"--vocab: {path} is not a JSON list of words")
            return found
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--vocab: {path} cannot be read as words: {error}") from error
    return [_of_line(line) for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def _of_line(line: str) -> Any:
    content, _, sounds = line.partition(":")
    spoken = [sound.strip() for sound in sounds.split(",") if sound.strip()]
    return {"content": content.strip(), "sounds_like": spoken} if spoken else line.strip()

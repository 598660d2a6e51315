"""Metadata in a model's folder: `manifest.json`, written by a pull, and `sottovoce.json`, written by the operator."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from sottovoce.engines.models.catalogue import ENGINES, ModelFault
from sottovoce.request import OperatingPoint
from sottovoce.transcript.languages import PACKS

MANIFEST, NOTE = "manifest.json", "sottovoce.json"
OURS = frozenset({MANIFEST, NOTE})
MAX_BYTES = 1 << 20
"""Most bytes of either file (1 MiB)."""

T = TypeVar("T")
_STRICT = ConfigDict(extra="forbid")


def checked_languages(codes: frozenset[str]) -> frozenset[str]:
    """*codes*, if all are language codes of the contract. Raises ValueError if not."""
    if unknown := sorted(codes - PACKS.keys()):
        raise ValueError(f"{', '.join(unknown)}: no such language code; there are {', '.join(sorted(PACKS))}")
    return codes


_Languages = Annotated[frozenset[str], AfterValidator(checked_languages), Field(min_length=1)]
_Engine = Annotated[str, Field(pattern=f"^({'|'.join(ENGINES)})$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file of a model as it was fetched: *size* in bytes, *sha256* in hex."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The record of a pull: repository, *commit*, and size and checksum of every file.

    *revision* is the one that was requested. Repository, revision and commit are empty for an operator's own model that
    was imported from files. *quantization* is None if the files are not quantized in advance (Whisper).
    """

    __pydantic_config__ = _STRICT

    version: Literal[1] = 1
    name: str
    engine: _Engine
    repository: str
    revision: str
    # of a model without a repository: the version of its package
    commit: Annotated[str, Field(pattern=r"^([0-9a-f]{40}|\d+(\.\d+)*)?$")]
    quantization: str | None
    languages: _Languages | None
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOverrides:
    """The operator's settings for a model; None keeps the model's own value."""

    __pydantic_config__ = _STRICT

    engine: _Engine | None = None
    languages: _Languages | None = None
    grade: Annotated[int, Field(ge=1, le=99)] | None = None
    suits: OperatingPoint | None = None
    licence: Annotated[str, Field(max_length=100)] | None = None


_MANIFESTS, _NOTES = TypeAdapter(Manifest), TypeAdapter(ModelOverrides)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in *folder*; None if there is none. Raises `ModelFault` for an invalid one."""
    return _read(folder / MANIFEST, _MANIFESTS)


def read_overrides(folder: Path) -> ModelOverrides:
    """The operator's settings in *folder*; all None if there are none. Raises `ModelFault` for an invalid file."""
    return _read(folder / NOTE, _NOTES) or ModelOverrides()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write *manifest* into *folder* atomically, because a server may read the folder meanwhile. Raises OSError."""
    arriving = folder / f".{MANIFEST}.{os.getpid()}"
    try:
        arriving.write_bytes(_MANIFESTS.dump_json(manifest, indent=2) + b"\n")
        arriving.replace(folder / MANIFEST)
    finally:
        arriving.unlink(missing_ok=True)


def _read(file: Path, adapter: TypeAdapter[T]) -> T | None:
    """The validated content of *file*; None if it does not exist. Raises `ModelFault`."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelFault(f"{file.name} cannot be read: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise ModelFault(f"{file.name} cannot be used: it is too large")
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        at = ".".join(str(part) for part in fault["loc"])
        raise ModelFault(f"{file.name} cannot be used: {at + ': ' if at else ''}{fault['msg']}") from error

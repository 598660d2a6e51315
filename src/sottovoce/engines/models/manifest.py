"""What stands beside the files of a model: `manifest.json` of the pull, and the operator's own `sottovoce.json`."""

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

T = TypeVar("T")
_STRICT = ConfigDict(extra="forbid")


def checked_languages(codes: frozenset[str]) -> frozenset[str]:
    """*codes* when all are the contract's. Raises ValueError."""
    if unknown := sorted(codes - PACKS.keys()):
        raise ValueError(f"{', '.join(unknown)}: no such language code; there are {', '.join(sorted(PACKS))}")
    return codes


_Languages = Annotated[frozenset[str], AfterValidator(checked_languages), Field(min_length=1)]
_Engine = Annotated[str, Field(pattern=f"^({'|'.join(ENGINES)})$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file of a model as it was fetched."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a pull brought: from which repository at which *commit*, and every file's checksum.

    *revision* is what was asked for. All three are empty for an operator's own model that was imported from files.
    *quantization* is None where files are not quantized ahead (Whisper).
    """

    __pydantic_config__ = _STRICT

    version: Literal[1] = 1
    name: str
    engine: _Engine
    repository: str
    revision: str
    commit: Annotated[str, Field(pattern="^([0-9a-f]{40})?$")]
    quantization: str | None
    languages: _Languages | None
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOverrides:
    """What an operator says about a model; what is left out stays as it was."""

    __pydantic_config__ = _STRICT

    engine: _Engine | None = None
    languages: _Languages | None = None
    grade: Annotated[int, Field(ge=1, le=99)] | None = None
    suits: OperatingPoint | None = None
    licence: Annotated[str, Field(max_length=100)] | None = None


_MANIFESTS, _NOTES = TypeAdapter(Manifest), TypeAdapter(ModelOverrides)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in *folder*; None without one. Raises `ModelFault` for one that cannot be used."""
    return _read(folder / MANIFEST, _MANIFESTS)


def read_overrides(folder: Path) -> ModelOverrides:
    """The operator's note in *folder*, an empty one without. Raises `ModelFault` for one that cannot be used."""
    return _read(folder / NOTE, _NOTES) or ModelOverrides()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put *manifest* into *folder* in one step, since a server may read the folder at this moment. Raises OSError."""
    arriving = folder / f".{MANIFEST}.{os.getpid()}"
    try:
        arriving.write_bytes(_MANIFESTS.dump_json(manifest, indent=2) + b"\n")
        arriving.replace(folder / MANIFEST)
    finally:
        arriving.unlink(missing_ok=True)


def _read(file: Path, adapter: TypeAdapter[T]) -> T | None:
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

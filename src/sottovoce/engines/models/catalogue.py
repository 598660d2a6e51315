"""The models that can be fetched by name, and the files that make a model complete.

Grades order models by accuracy. They follow the figures that the models' authors publish, not measurements of this
project; `docs/models.md` gives the figures and says what to do when your own measurement differs. A model has one grade
for all of its languages.

The repositories are those that faster-whisper 1.2 (`utils.py`) and onnx-asr 0.12 (`resolver.py`) use; the repository of
`ctc-en` has the ONNX files of facebook/wav2vec2-base-960h. Commits are pinned, so a later change to a repository cannot
change what is fetched. Moonshine has no repository: its maker publishes these files in a package, whose version is pinned.

Parts, in order: constants and `Model`; the catalogue's tables; names (`canonical`, `find`); an operator's own models;
checks of names and revisions; the files that each engine loads (`engine_of`, `wanted`, `local`, `quantization_of`).
"""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType

from sottovoce.request import OperatingPoint

WHISPER = "whisper"
ONNX_ASR = "onnx-asr"
CTC = "ctc"
VOICE_ENCODER = "voice-encoder"
MINILM = "minilm"
MOONSHINE = "moonshine"
ENGINES = (WHISPER, ONNX_ASR, CTC, VOICE_ENCODER, MINILM, MOONSHINE)
"""Engines whose models are folders of the model store."""

SILENT = frozenset({ONNX_ASR, CTC, MINILM, MOONSHINE})
"""Engines whose model files do not name their languages: the operator names them in `sottovoce.json`."""

OWN_GRADE = 50
"""Grade (1..99) of an operator's own model, unless its `sottovoce.json` sets one."""

SMALL, FULL = QUANTIZATIONS = ("int8", "fp32")
"""Quantizations of ONNX files; fp32 means not quantized."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"(?=.{1,128}\Z)[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class ModelFault(Exception):
    """A model is faulty or cannot be fetched. The message is one line for the operator, without secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model that an engine can load.

    *name* is also the name of its folder. *repository* on the hub is empty for an operator's own model, and for one that only a
    package carries, whose version is its *revision*. *languages* are
    the contract's codes, None = all that the engine supports. *grade* 1..99 orders models by accuracy; *suits* is the
    operating point that a model of this cost is meant for. *size*: bytes of the download (ONNX: of int8), rounded.
    """

    name: str
    engine: str
    repository: str
    revision: str
    languages: frozenset[str] | None
    grade: int
    suits: OperatingPoint
    size: int
    licence: str


# The model cards of Parakeet v3 and Canary v2 list the same languages.
_EUROPE = "bg cs da de el en es et fi fr hr hu it lt lv mt nl pl pt ro ru sk sl sv uk"
_LANGUAGES: Mapping[str, frozenset[str] | None] = {
    "all": None,
    "en": frozenset({"en"}),
    "europe": frozenset(_EUROPE.split()),
}

# name, repository, commit, languages, grade, operating point, MB
_WHISPERS = """
tiny               Systran/faster-whisper-tiny                  d90ca5fe260221311c53c58e660288d3deb8d356 all 10 standard   78
tiny.en            Systran/faster-whisper-tiny.en               0d3d19a32d3338f10357c0889762bd8d64bbdeba en  12 standard   78
base               Systran/faster-whisper-base                  ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66 all 20 standard  148
base.en            Systran/faster-whisper-base.en               3d3d5dee26484f91867d81cb899cfcf72b96be6c en  22 standard  148
small              Systran/faster-whisper-small                 536b0662742c02347bc0e980a01041f333bce120 all 40 standard  486
small.en           Systran/faster-whisper-small.en              d1d751a5f8271d482d14ca55d9e2deeebbae577f en  42 standard  486
medium             Systran/faster-whisper-medium                08e178d48790749d25932bbc082711ddcfdfbc4f all 55 enhanced 1531
medium.en          Systran/faster-whisper-medium.en             a29b04bd15381511a9af671baec01072039215e3 en  57 enhanced 1530
large-v2           Systran/faster-whisper-large-v2              f0fe81560cb8b68660e564f55dd99207059c092e all 70 enhanced 3090
large-v3           Systran/faster-whisper-large-v3              edaa852ec7e145841d8ffdb056a99866b5f0a478 all 75 enhanced 3091
large-v3-turbo     mobiuslabsgmbh/faster-whisper-large-v3-turbo 0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf all 66 standard 1622
distil-large-v3    Systran/faster-distil-whisper-large-v3       c3058b475261292e64a0412df1d2681c06260fab en  62 standard 1516
distil-large-v3.5  distil-whisper/distil-large-v3.5-ct2         9793ccc07920e0f830e1dba0343efcdf0ef8c903 en  64 standard 1516
"""
_NEMOS = """
parakeet-tdt-0.6b-v2  istupakov/parakeet-tdt-0.6b-v2-onnx  0bbb45a3365852604aef28b538a8f066f4ccaa85 en     76 standard  661
parakeet-tdt-0.6b-v3  istupakov/parakeet-tdt-0.6b-v3-onnx  8f23f0c03c8761650bdb5b40aaf3e40d2c15f1ce europe 68 standard  670
canary-1b-v2          istupakov/canary-1b-v2-onnx          5ebc1520cef7b6b318b3526ad17adbfe00bc1bfc europe 77 enhanced 1029
"""
_CTCS = """
en  Xenova/wav2vec2-base-960h  a19f851b3d42865797e410752b4c570c871e4825 en 30 standard 95
"""

_ENCODERS = """
minilm  sentence-transformers/all-MiniLM-L6-v2  1110a243fdf4706b3f48f1d95db1a4f5529b4d41 en 32 standard  91
"""


_PACKAGED = "-"  # in place of a repository: only a package carries the model
_MOONSHINES = """
tiny-en  -  0.0.73 en 11 standard  44
"""


def _rows(table: str, engine: str, prefix: str, licence: str) -> Iterable[tuple[str, Model]]:
    """Name and model for each row of *table*; the name gets *prefix*, and the size in MB becomes bytes."""
    for row in table.strip().splitlines():
        name, repository, commit, languages, grade, point, megabytes = row.split()
        yield (
            prefix + name,
            Model(
                name=prefix + name,
                engine=engine,
                repository="" if repository == _PACKAGED else repository,
                revision=commit,
                languages=_LANGUAGES[languages],
                grade=int(grade),
                suits=OperatingPoint(point),
                size=int(megabytes) * 1_000_000,
                licence=licence,
            ),
        )


CATALOGUE: Mapping[str, Model] = MappingProxyType(
    dict(
        [
            *_rows(_WHISPERS, WHISPER, "whisper-", "MIT"),
            *_rows(_NEMOS, ONNX_ASR, "", "CC-BY-4.0"),
            *_rows(_CTCS, CTC, "ctc-", "Apache-2.0"),
            *_rows(_ENCODERS, MINILM, "", "Apache-2.0"),
            *_rows(_MOONSHINES, MOONSHINE, "moonshine-", "MIT"),
        ]
    )
)
"""Every model that `sottovoce models pull` knows by name."""


_ALIASES: Mapping[str, str] = {"large": "whisper-large-v3", "turbo": "whisper-large-v3-turbo"}
"""Names that OpenAI's command `whisper` uses, and the models of the catalogue that they mean."""


def canonical(name: str, present: Container[str] = ()) -> str:
    """The full name for a short one: `base` → `whisper-base`, `large-v3` → `whisper-large-v3`; any other name unchanged.

    A name in *present* (models on this machine, such as an operator's own `base`) is returned unchanged too.
    """
    if name in present or name in CATALOGUE:
        return name
    long = f"{WHISPER}-{name}"
    return long if long in CATALOGUE else _ALIASES.get(name, name)


def find(name: str) -> Model:
    """The catalogue's model called *name*, full or short. Raises `ModelFault` with suggestions for an unknown name."""
    known = CATALOGUE.get(canonical(name))
    if known:
        return known
    if name == VOICE_ENCODER:
        raise ModelFault(
            f"this release pins no repository for {name}: `sottovoce models pull owner/repository "
            f"--engine {name} --name {name}` fetches it from one of your choice, see docs/models.md"
        )
    meant = [each for each in CATALOGUE if name and each.endswith(f"-{name}")] or get_close_matches(name, CATALOGUE)
    hint = f"did you mean {' or '.join(meant)}?" if meant else "`sottovoce models list` lists the models"
    raise ModelFault(f"no model {name!r} in the catalogue; {hint}")


def of_repository(repository: str, name: str, engine: str, revision: str, languages: frozenset[str]) -> Model:
    """A model from a *repository* that the operator chose, stored as *name*. Raises `ModelFault` for an invalid argument."""
    if not _REPOSITORY.fullmatch(repository):
        raise ModelFault(f"{repository!r} is not a repository of the hub: use owner/name")
    if checked_name(name) in CATALOGUE:
        raise ModelFault(f"{name} is a model of the catalogue; choose another name")
    if engine in SILENT and not languages:
        raise ModelFault(f"the files of a model for {engine} do not name its languages: give them (--language)")
    return replace(own(name, engine, languages), repository=repository, revision=checked_revision(revision))


def own(name: str, engine: str, languages: frozenset[str]) -> Model:
    """The operator's own model, from no repository. Without *languages* it has all that its files support."""
    return Model(
        name=name,
        engine=engine,
        repository="",
        revision="",
        languages=languages or None,
        grade=OWN_GRADE,
        suits=OperatingPoint.STANDARD,
        size=0,
        licence="",
    )


def checked_name(name: str) -> str:
    """*name*, if it is a safe name for a folder inside the model store. Raises `ModelFault` if not."""
    if not _NAME.fullmatch(name):
        raise ModelFault(
            f"{name[:100]!r} is not a model name: use letters, digits, dots, dashes and underscores, a letter or digit first"
        )
    return name


def checked_revision(revision: str) -> str:
    """*revision*, if it can be a commit, branch or tag. Raises `ModelFault` if not."""
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise ModelFault(f"{revision[:100]!r} is not a revision: use a commit, branch or tag")
    return revision


# ── files ──

_WHISPER_NEEDS = ("config.json", "model.bin", "tokenizer.json")
_WHISPER_WORDS = ("vocabulary.json", "vocabulary.txt")  # CTranslate2 reads either
_WHISPER_MAY = ("preprocessor_config.json",)

_NEMO_NEEDS = ("config.json", "vocab.txt")
# Files that onnx-asr's NeMo loaders open, and the weights that a large graph stores in a file of their own.
_NEMO_PARTS = ({"encoder-model", "decoder_joint-model"}, {"encoder-model", "decoder-model"})
_GRAPH = re.compile(
    r"(?P<part>encoder-model|decoder_joint-model|decoder-model)(?P<small>[._-]int8)?\.onnx(?P<data>[._]data)?"
)

VOICE_FILES = ("encoder.pt", "pretrained.pt")
"""File names of a voice encoder's weights; the first one present is loaded."""

CTC_WORDS, CTC_TOKENIZER = "vocab.json", "tokenizer_config.json"
CTC_CONFIG, CTC_FEATURES = "config.json", "preprocessor_config.json"
_CTC_MAY = (CTC_TOKENIZER, CTC_CONFIG, CTC_FEATURES)
# File names that transformers' exporters use; the first one present is loaded.
_CTC_GRAPHS = {SMALL: ("model_quantized.onnx", "model_int8.onnx", "model.int8.onnx"), FULL: ("model.onnx",)}
_EXPORTS = "onnx/"  # the folder in which a repository stores the ONNX export of a model


ENCODER_FILES = ("config.json", "model.safetensors", "tokenizer.json")
"""The files of an encoder of sentences."""

MOONSHINE_FILES = ("decoder_model_merged.ort", "encoder_model.ort", "tokenizer.bin")
"""The files of a Moonshine model."""

_FIXED: Mapping[str, tuple[str, ...]] = {MINILM: ENCODER_FILES, MOONSHINE: MOONSHINE_FILES}
"""The files of a model of the engines whose models all have the same."""


def engine_of(names: Iterable[str]) -> str | None:
    """The engine that loads files of these *names*; None if they are not a model."""
    names = set(names)
    if "model.bin" in names:
        return WHISPER
    if CTC_WORDS in names and ctc_graphs(names):
        return CTC
    if any(name.endswith(".onnx") for name in names):
        return ONNX_ASR
    if names.issuperset(ENCODER_FILES):
        return MINILM
    if names.issuperset(MOONSHINE_FILES):
        return MOONSHINE
    return None if names.isdisjoint(VOICE_FILES) else VOICE_ENCODER


def wanted(engine: str, names: Iterable[str], quantization: str | None = None) -> frozenset[str]:
    """The files among *names* that *engine* loads, in *quantization* (int8, fp32; None: int8 if present, else fp32).

    Raises `ModelFault` that names the missing files. Only known file names are returned. None contains a folder, except
    that a CTC model's files may be in `onnx/`; `local` gives their name in the model's folder.
    """
    names = frozenset(names)
    if engine == CTC:
        return _wanted_ctc(names, quantization)
    if engine == VOICE_ENCODER:
        return _wanted_voice(names)
    if needed := _FIXED.get(engine):
        _require(needed, names)
        return names.intersection(needed)
    return _wanted_whisper(names) if engine == WHISPER else _wanted_nemo(names, quantization)


def local(name: str) -> str:
    """The name in the model's folder, which is flat, of a `wanted` file of a repository."""
    return name.removeprefix(_EXPORTS)


def quantization_of(engine: str, names: Iterable[str]) -> str | None:
    """The quantization that `wanted` chooses by default among *names*.

    None for Whisper, which is quantized at load time, for encoders, which are never quantized, and for Moonshine, which has one
    form.
    """
    if engine == CTC:
        return _best(ctc_graphs(map(local, names)))
    return None if engine in (WHISPER, VOICE_ENCODER, *_FIXED) else _best(_quantizations(frozenset(names)))


def ctc_graphs(names: Iterable[str]) -> dict[str, str]:
    """The ONNX files of a CTC model among *names*, by quantization."""
    names = frozenset(names)
    found = {each: next((file for file in files if file in names), None) for each, files in _CTC_GRAPHS.items()}
    return {quantization: file for quantization, file in found.items() if file}


def _wanted_whisper(names: frozenset[str]) -> frozenset[str]:
    _require(_WHISPER_NEEDS, names)
    if names.isdisjoint(_WHISPER_WORDS):
        raise ModelFault("it lacks vocabulary.json (or .txt)")
    return names.intersection((*_WHISPER_NEEDS, *_WHISPER_WORDS, *_WHISPER_MAY))


def _wanted_voice(names: frozenset[str]) -> frozenset[str]:
    """The encoder's one file: a repository may hold a whole speech synthesis system as well."""
    for name in VOICE_FILES:
        if name in names:
            return frozenset({name})
    raise ModelFault(f"it lacks {' or '.join(VOICE_FILES)}")


def _wanted_nemo(names: frozenset[str], quantization: str | None) -> frozenset[str]:
    _require(_NEMO_NEEDS, names)
    offered = _quantizations(names)
    if not offered:
        raise ModelFault(
            "it lacks the ONNX files: encoder-model and decoder_joint-model or decoder-model, int8 or fp32"
        )
    return offered[_chosen(quantization, offered)].union(_NEMO_NEEDS)


def _wanted_ctc(names: frozenset[str], quantization: str | None) -> frozenset[str]:
    """The files of a CTC model; a file in the top folder takes precedence over one of the same name in `onnx/`."""
    exported = {local(name): name for name in names if name.startswith(_EXPORTS)}
    here = exported | {name: name for name in names if "/" not in name}
    _require([CTC_WORDS], frozenset(here))
    graphs = ctc_graphs(here)
    if not graphs:
        raise ModelFault("it lacks the ONNX file: model_quantized.onnx (int8) or model.onnx (fp32)")
    graph = here[graphs[_chosen(quantization, graphs)]]
    weights = {f"{graph}_data", f"{graph}.data"}  # a large graph stores its weights in a file of their own
    return frozenset({graph, here[CTC_WORDS], *(weights & names), *(here[name] for name in _CTC_MAY if name in here)})


def _chosen(quantization: str | None, offered: Mapping[str, object]) -> str:
    chosen = quantization or _best(offered)
    if chosen not in offered:
        raise ModelFault(f"it has no {chosen} files, only {', '.join(sorted(offered))}")
    return chosen


def _require(needed: Iterable[str], names: frozenset[str]) -> None:
    if missing := [name for name in needed if name not in names]:
        raise ModelFault(f"it lacks {', '.join(missing)}")


def _best(offered: Mapping[str, object]) -> str:
    """The default quantization: int8, which takes a quarter of the disk and memory, else fp32."""
    return SMALL if SMALL in offered else FULL


def _quantizations(names: frozenset[str]) -> dict[str, frozenset[str]]:
    """Files by quantization, for each quantization of which every part is present."""
    graphs = [match for name in names if (match := _GRAPH.fullmatch(name))]
    found = {}
    for quantization in (SMALL, FULL):
        ours = [match for match in graphs if bool(match["small"]) is (quantization == SMALL)]
        parts = {match["part"] for match in ours if not match["data"]}
        if any(needed <= parts for needed in _NEMO_PARTS):
            found[quantization] = frozenset(match.string for match in ours)
    return found

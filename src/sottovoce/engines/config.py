"""The operator's settings for engines: the model folder, the models to use, and the devices to run them on."""

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sottovoce.intelligence.backends.chat.config import ChatConfig
from sottovoce.intelligence.stages import STAGES
from sottovoce.request import OperatingPoint
from sottovoce.transcript.languages import PACKS

BUILTIN, CHAT, OFF = BACKENDS = ("builtin", "chat", "off")
"""What may run a stage of speech intelligence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Settings of the engines. They are passed to every engine process unchanged, so they must not contain a secret.

    *models*: the model store's folder. *pinned*: name of the model that an operating point must use. *devices*: assigned
    to engine processes in turn: `cpu`, or GPUs by number (`cuda:0`, `cuda:1`). *compute_type*: a CTranslate2 type; `auto`
    is int8 on a CPU and float16 on a GPU. *threads*: CPU threads of one decode. *workers*: decodes that one process may
    run at once on a CPU, while other slots are idle. *batch*: stretches of at most 30 s that a GPU recognises together.
    *beam*: beam size, the hypotheses kept during the search. *max_media*: samples at 16 kHz of the longest media.
    *stages*: stage of speech intelligence, or `stage.language` → `builtin`, `chat` or `off`; a stage without an entry is `builtin`.
    *stage_timeout*: seconds that one stage may take. *translators*: pair of languages (`en-de`), `nllb` or `madlad`, and the
    folder of the CTranslate2 model. *chat*: the endpoint of the chat backend. *tagger*: the folder of a tagger of audio events.
    *track*: number of the audio track to read of files that have it, from 1; None: the best one of each file.
    """

    models: Path = Path("data/models")
    pinned: dict[OperatingPoint, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ("cpu",)
    compute_type: str = "auto"
    threads: int = 1
    workers: int = 1
    batch: int = 8
    beam: int = 5
    max_media: int | None = None
    track: int | None = None
    stages: dict[str, str] = field(default_factory=dict)
    stage_timeout: float = 120.0
    translators: tuple[tuple[str, Path], ...] = ()
    chat: ChatConfig | None = None
    tagger: Path | None = None

    def backend(self, stage: str, language: str = "") -> str:
        """What runs *stage*, in *language* if one is given: one of `BACKENDS`."""
        return self.stages.get(f"{stage}.{language}", self.stages.get(stage, BUILTIN))

    def runs(self, stage: str) -> bool:
        """True if the operator has not switched off *stage* for all languages."""
        return self.backend(stage) != OFF or any(
            name.startswith(f"{stage}.") and value != OFF for name, value in self.stages.items()
        )

    @property
    def kind_of_device(self) -> str:
        """`cpu` or `cuda`, without the number of the GPU."""
        return self.devices[0].partition(":")[0]


def parsed_stages(pairs: Iterable[str]) -> dict[str, str]:
    """Return `EngineConfig.stages` from *pairs* of the form `stage=backend`. Raises ValueError for an unknown stage or backend."""
    found = {}
    for pair in pairs:
        name, _, backend = (part.strip() for part in pair.partition("="))
        stage, _, language = name.partition(".")
        if stage not in {each.name for each in STAGES}:
            known = ", ".join(each.name for each in STAGES)
            raise ValueError(f"there is no stage {stage!r} (known: {known})")
        if backend not in BACKENDS:
            raise ValueError(f"{stage} has no backend {backend!r} (known: {', '.join(BACKENDS)})")
        if backend == CHAT and stage == "audio_events":
            raise ValueError(f"{stage} has no backend {CHAT}: a language model hears nothing")
        if "." in name and language not in PACKS:
            raise ValueError(f"{language!r} is not the code of a language")
        found[name] = backend
    return found


def visible_devices(wanted: str) -> tuple[str, ...]:
    """The devices that the setting *wanted* names: `auto`, `cpu`, `cuda`, or `cuda:0,2`.

    `auto` is every GPU that the driver reports, or the CPU if there is none. Raises ValueError for an absent GPU.
    """
    if wanted == "cpu":
        return ("cpu",)
    count = _gpus()
    if wanted == "auto":
        return tuple(f"cuda:{number}" for number in range(count)) or ("cpu",)
    _, _, numbers = wanted.partition(":")
    asked = [int(number) for number in numbers.split(",")] if numbers else list(range(count))
    if not asked or max(asked) >= count:
        raise ValueError(f"device {wanted}: the driver reports {count} GPU(s); use `cpu`, or repair the driver")
    return tuple(f"cuda:{number}" for number in dict.fromkeys(asked))


def _gpus() -> int:
    """The number of GPUs that the driver reports to this process; 0 without a driver.

    Calls the driver library directly, which is cheap where there is none.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value

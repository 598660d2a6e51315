"""Silero VAD v6, the ONNX model inside faster-whisper's wheel: streaming speech probability of 32 ms frames.

The model hears level-normalised audio, because it misses quiet speech.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sottovoce.audio.normalisation import RunningGain
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.model import Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_STATE = (1, 1, 128)  # shape of each of the two recurrent states of the model, `h` and `c`
_CONTEXT = 64  # samples of the previous frame that the model takes as input with each frame
_AT_ONCE = 157  # frames per run of the model: 5 s of audio

QUIET = 0.15
"""Speech probability below which a frame counts as silent."""
FORGET = 157
"""Silent frames in a row (5 s) after which the model's state is reset to zeros.

The state drifts over a minute of silence or steady noise, and the speech that follows is missed (Silero v6: `sil_jfk.flac`,
`silence_then_speech.flac`; with the reset, ten of ten such clips are detected: research `whisper-real.md`).
"""


def model_path() -> Path:
    """The path of the model file. faster-whisper is not imported, because that would load CTranslate2.

    Errors: EngineUnavailable if the wheel or the file in it is missing.
    """
    spec = find_spec("faster_whisper")
    for folder in spec.submodule_search_locations or () if spec else ():
        path = Path(folder) / "assets" / "silero_vad_v6.onnx"
        if path.is_file():
            return path
    raise EngineUnavailable("speech activity needs the Silero model that comes with faster-whisper", at=None)


@lru_cache(maxsize=1)
def _session() -> Any:
    """The loaded model. It is stateless, so every `SileroVad` of the process shares it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # as in faster-whisper: the arena would keep the memory of the largest run
    options.log_severity_level = 4  # fatal only: errors are raised as exceptions
    try:
        return onnxruntime.InferenceSession(str(model_path()), options, providers=["CPUExecutionProvider"])
    except EngineUnavailable:
        raise
    except Exception as error:
        raise EngineUnavailable(f"the Silero model cannot be loaded: {type(error).__name__}", at=None) from error


class SileroVad:
    """`SpeechProbability` of one stream of 16 kHz audio. The first instance of a process loads the model (0.1 s).

    Errors: EngineUnavailable if the model is missing or cannot be loaded.
    """

    frame: Samples = 512

    def __init__(self) -> None:
        import numpy as np

        self._session = _session()
        self._h = self._c = np.zeros(_STATE, np.float32)
        self._quiet = 0  # silent frames in a row
        self._context = np.zeros(_CONTEXT, np.float32)
        self._gain = RunningGain()

    def __call__(self, audio: "Floats") -> "Floats":
        """Probabilities float32[k] of the k frames in *audio* (float32[k * 512]). The next call continues with the state.

        Errors: ValueError for a length that is not a multiple of 512 samples.
        """
        import numpy as np

        if len(audio) % self.frame:
            raise ValueError(f"{len(audio)} samples are not whole frames of {self.frame}")
        runs: list[Floats] = []
        frames = audio.reshape(-1, self.frame)
        frames = np.clip(frames * self._gain.gains(frames)[:, None], -1.0, 1.0)
        at = 0
        while at < len(frames):
            # A run ends at a reset of the state; the frames after it run again with the new state.
            run = self._until_quiet(self._run(frames[at : at + _AT_ONCE]))
            if len(run) < len(frames[at : at + _AT_ONCE]):
                self._context = frames[at + len(run) - 1, -_CONTEXT:].copy()
            at += len(run)
            runs.append(run)
        return np.concatenate(runs) if runs else np.zeros(0, np.float32)

    def _until_quiet(self, probabilities: "Floats") -> "Floats":
        """*probabilities* up to the frame after which the state is reset, or all of them. Resets the state."""
        import numpy as np

        for number, quiet in enumerate(probabilities < QUIET, start=1):
            self._quiet = self._quiet + 1 if quiet else 0
            if self._quiet == FORGET:
                self._quiet = 0
                self._h = self._c = np.zeros(_STATE, np.float32)
                return probabilities[:number]
        return probabilities

    def _run(self, frames: "Floats") -> "Floats":
        import numpy as np

        before = np.concatenate([self._context[None], frames[:-1, -_CONTEXT:]])
        self._context = frames[-1, -_CONTEXT:].copy()
        inputs = {"input": np.concatenate([before, frames], axis=1), "h": self._h, "c": self._c}
        probabilities, self._h, self._c = self._session.run(None, inputs)
        return np.asarray(probabilities, np.float32).reshape(-1)

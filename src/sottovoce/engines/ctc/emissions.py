"""What a CTC model hears: audio to the logarithms of the probabilities of its outputs, frame by frame.

The model is an ONNX file of a wav2vec2 or one of its kin as transformers exports it: `input_values`, float32[1, n] of audio
at 16 kHz, to `logits`, float32[1, T, V]. A frame's length is measured, since n / T is a little more than it: the last part
of a frame is lost.
"""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sottovoce.engines.common import onnx_session
from sottovoce.engines.ctc.vocabulary import Vocabulary
from sottovoce.engines.models.catalogue import FULL, SMALL, ctc_graphs
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MOST: Samples = 30 * RATE
"""Heard in one run; attention takes memory with its square."""
MARGIN: Samples = RATE
"""What is heard before and behind a part of something longer, and thrown away: a model hears worse at an edge."""
_MEASURED: Samples = 2 * RATE  # in which every usual frame goes a whole number of times
_SHORTEST: Samples = RATE // 5  # more than the frames and filters of any of these models
_FLOOR = -30.0  # logarithm of a probability: what is less likely makes no difference any more
_UNNAMED = 64  # outputs more than tokens: added ones, and filling up to a multiple
_AUDIO, _MASK, _LOGITS = "input_values", "attention_mask", "logits"


class Emissions:
    """One loaded network; making one runs it twice, so that a broken one is known at once and its frames are measured.

    *device*: `cpu`, `cuda` or `cuda:N`. *threads* of one run, 0 = as onnxruntime likes. Raises `EngineUnavailable` for a
    device that cannot be used and outputs that are not the vocabulary's, and whatever onnxruntime raises.
    """

    def __init__(self, folder: Path, vocabulary: Vocabulary, *, device: str, threads: int) -> None:
        import numpy as np

        self._vocabulary = vocabulary
        self._session = _session(folder, device, threads)
        inputs = {each.name: each.type for each in self._session.get_inputs()}
        if inputs.get(_AUDIO) != "tensor(float)" or not inputs.keys() <= {_AUDIO, _MASK}:
            raise EngineUnavailable(f"its network does not take {_AUDIO} alone, which is audio itself", at=None)
        self._masked = _MASK in inputs
        names = [each.name for each in self._session.get_outputs()]
        self._output = _LOGITS if _LOGITS in names else names[0]
        short, long = (len(self._run(np.zeros(length, np.float32))) for length in (RATE, RATE + _MEASURED))
        if long <= short or _MEASURED % (long - short):
            raise EngineUnavailable(
                f"its network makes {long - short} more frames of {_MEASURED} more samples: they are of no fixed length",
                at=None,
            )
        self.frame: Samples = _MEASURED // (long - short)
        """Length of a frame."""

    def __call__(self, audio: "Floats") -> "Floats":
        """Natural logarithms of probabilities, float32[T, V], of *audio*, float32[n]; frame t begins at t * `frame`."""
        import numpy as np

        clean = np.clip(np.nan_to_num(audio), -1.0, 1.0).astype(np.float32, copy=False)
        if len(clean) <= MOST:
            return self._frames(clean, 0, len(clean))
        edges = [*range(0, len(clean) - RATE, MOST), len(clean)]  # no part under a second
        return np.concatenate([self._frames(clean, begin, end) for begin, end in pairwise(edges)])

    def _frames(self, audio: "Floats", begin: Samples, end: Samples) -> "Floats":
        """The frames that begin in samples *begin* … *end* of *audio*, heard with what is around them."""
        import numpy as np

        first = max(0, begin - MARGIN) // self.frame  # what is heard begins where a frame does
        wanted = np.arange(-(-begin // self.frame), -(-end // self.frame), dtype=np.intp) - first  # rounded up
        heard = self._run(audio[first * self.frame : end + MARGIN])
        return heard[
            np.minimum(wanted, len(heard) - 1)
        ]  # the audio's last part of a frame is heard with the one before

    def _run(self, audio: "Floats") -> "Floats":
        """The network on *audio*, float32[n]. Raises `EngineUnavailable` for an answer that is none."""
        import numpy as np

        if self._vocabulary.normalizes and len(audio):
            audio = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
        values = np.zeros((1, max(len(audio), _SHORTEST)), np.float32)
        values[0, : len(audio)] = audio
        inputs = {_AUDIO: values} | ({_MASK: np.ones(values.shape, np.int64)} if self._masked else {})
        logits = np.asarray(self._session.run([self._output], inputs)[0])
        least = max(self._vocabulary.top, self._vocabulary.blank) + 1
        if logits.ndim != 3 or len(logits) != 1 or not logits.shape[1]:  # noqa: PLR2004 - [1, T, V]
            raise EngineUnavailable("its network does not answer with logits of frames", at=None)
        if not least <= logits.shape[2] <= self._vocabulary.size + _UNNAMED:
            raise EngineUnavailable(
                f"its network has {logits.shape[2]} outputs, and its vocabulary {self._vocabulary.size} tokens up to number "
                f"{least - 1}: they are not of one model",
                at=None,
            )
        return _log_softmax(logits[0].astype(np.float32, copy=False))


def _log_softmax(logits: "Floats") -> "Floats":
    """Of each row; what is no number counts as impossible. The result is at least -30."""
    import numpy as np

    clean = np.nan_to_num(logits, nan=-1e4, posinf=1e4, neginf=-1e4)
    scaled = clean - clean.max(axis=1, keepdims=True)
    result: Floats = np.maximum(scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)), np.float32(_FLOOR))
    return result


# ── loading ──


def _session(folder: Path, device: str, threads: int) -> Any:
    """The network of *folder* on *device*: int8 on a CPU where it is there, the full one on a GPU."""
    import onnxruntime

    gpu = onnx_session.gpu_of(device, "a CTC model")
    providers = onnx_session.providers(gpu)
    graphs = ctc_graphs(file.name for file in folder.iterdir())
    if not graphs:
        raise EngineUnavailable("its ONNX file is missing", at=None)
    quantization = next(each for each in ((SMALL, FULL) if gpu is None else (FULL, SMALL)) if each in graphs)
    options = onnx_session.options(threads)
    options.enable_cpu_mem_arena = False  # the arena would keep the longest run's memory
    session = onnxruntime.InferenceSession(str(folder / graphs[quantization]), options, providers=providers)
    onnx_session.check([session], gpu)
    return session

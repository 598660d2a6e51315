"""Emissions of a CTC model: audio to log probabilities of its outputs, frame by frame.

The model is an ONNX file of wav2vec2 or a similar model as transformers exports it: `input_values`, float32[1, n] of audio
at 16 kHz, to `logits`, float32[1, T, V]. The frame length is measured at load time, because n / T is a little larger: the
model drops the last partial frame.
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
"""Most audio in one run: 30 s; the memory of attention grows with its square."""
MARGIN: Samples = RATE
"""Context of 1 s on both sides of a part of longer audio, whose frames are discarded: models are worse at an edge."""
_MEASURED: Samples = 2 * RATE  # a multiple of every usual frame length
_SHORTEST: Samples = RATE // 5  # shorter audio is padded; longer than the frames and filters of any of these models
_FLOOR = -30.0  # natural logarithm: lower probabilities make no difference
_UNNAMED = 64  # outputs in excess of the tokens that are accepted: added tokens, padding to a multiple
_AUDIO, _MASK, _LOGITS = "input_values", "attention_mask", "logits"


class Emissions:
    """One loaded network. The constructor runs it twice, to measure its frames and to detect a broken model early.

    *device*: `cpu`, `cuda` or `cuda:N`. *threads*: of one run, 0 = onnxruntime's default. Raises `EngineUnavailable` for
    a device that cannot be used and for outputs that do not match the vocabulary; errors of onnxruntime pass through.
    """

    def __init__(self, folder: Path, vocabulary: Vocabulary, *, device: str, threads: int) -> None:
        import numpy as np

        self._vocabulary = vocabulary
        self._session = _session(folder, device, threads)
        inputs = {each.name: each.type for each in self._session.get_inputs()}
        if inputs.get(_AUDIO) != "tensor(float)" or not inputs.keys() <= {_AUDIO, _MASK}:
            raise EngineUnavailable(f"its network does not take {_AUDIO} (float32 audio) alone", at=None)
        self._masked = _MASK in inputs
        names = [each.name for each in self._session.get_outputs()]
        self._output = _LOGITS if _LOGITS in names else names[0]
        short, long = (len(self._run(np.zeros(length, np.float32))) for length in (RATE, RATE + _MEASURED))
        if long <= short or _MEASURED % (long - short):
            raise EngineUnavailable(
                f"its network returns {long - short} more frames for {_MEASURED} more samples: they are of no fixed length",
                at=None,
            )
        self.frame: Samples = _MEASURED // (long - short)
        """Length of a frame in samples."""

    def __call__(self, audio: "Floats") -> "Floats":
        """Return natural log probabilities, float32[T, V], of *audio*, float32[n]; frame t begins at sample t * `frame`."""
        import numpy as np

        clean = np.clip(np.nan_to_num(audio), -1.0, 1.0).astype(np.float32, copy=False)
        if len(clean) <= MOST:
            return self._frames(clean, 0, len(clean))
        edges = [*range(0, len(clean) - RATE, MOST), len(clean)]  # no part under a second
        return np.concatenate([self._frames(clean, begin, end) for begin, end in pairwise(edges)])

    def _frames(self, audio: "Floats", begin: Samples, end: Samples) -> "Floats":
        """Return the frames that begin in samples *begin* … *end* of *audio*, computed with `MARGIN` of context."""
        import numpy as np

        first = max(0, begin - MARGIN) // self.frame  # the input starts at a frame border
        wanted = np.arange(-(-begin // self.frame), -(-end // self.frame), dtype=np.intp) - first  # rounded up
        heard = self._run(audio[first * self.frame : end + MARGIN])
        # a partial frame at the end of the audio has no output of its own: it gets that of the frame before
        return heard[np.minimum(wanted, len(heard) - 1)]

    def _run(self, audio: "Floats") -> "Floats":
        """Run the network on *audio*, float32[n]; return log probabilities float32[T, V].

        Raises `EngineUnavailable` for outputs of another shape.
        """
        import numpy as np

        if self._vocabulary.normalizes and len(audio):
            audio = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
        values = np.zeros((1, max(len(audio), _SHORTEST)), np.float32)
        values[0, : len(audio)] = audio
        inputs = {_AUDIO: values} | ({_MASK: np.ones(values.shape, np.int64)} if self._masked else {})
        logits = np.asarray(self._session.run([self._output], inputs)[0])
        least = max(self._vocabulary.top, self._vocabulary.blank) + 1
        if logits.ndim != 3 or len(logits) != 1 or not logits.shape[1]:  # noqa: PLR2004 - [1, T, V]
            raise EngineUnavailable("its network does not return logits of frames", at=None)
        if not least <= logits.shape[2] <= self._vocabulary.size + _UNNAMED:
            raise EngineUnavailable(
                f"its network has {logits.shape[2]} outputs, but its vocabulary has {self._vocabulary.size} tokens up to "
                f"number {least - 1}: the files are of different models",
                at=None,
            )
        return _log_softmax(logits[0].astype(np.float32, copy=False))


def _log_softmax(logits: "Floats") -> "Floats":
    """Return the log softmax of each row, at least -30; NaN counts as impossible."""
    import numpy as np

    clean = np.nan_to_num(logits, nan=-1e4, posinf=1e4, neginf=-1e4)
    scaled = clean - clean.max(axis=1, keepdims=True)
    result: Floats = np.maximum(scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)), np.float32(_FLOOR))
    return result


# ── loading ──


def _session(folder: Path, device: str, threads: int) -> Any:
    """Load the network in *folder* on *device*: the int8 file on a CPU, the full one on a GPU, the other if only that exists."""
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

"""Moonshine's two graphs on onnxruntime: the encoder hears samples without features, the decoder writes tokens after each other.

The decoder takes any number of tokens at once, so the tokens of known words cost one run together. Guessing the tokens of the last
hypothesis, which one run confirms or refutes, would save a seventh of the time, but is not done: the graphs are quantized by the
largest value of a run, so a run of many tokens is less exact than runs of one (31 of 319 words wrong in place of 27).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sottovoce.engines.common import onnx_session
from sottovoce.engines.moonshine.tokenizer import END, START, Tokenizer
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SHORTEST: Samples = RATE // 10
"""Audio shorter than this (0.1 s) is not decoded: no word is that short, and the encoder needs 56 ms."""

PAD: Samples = RATE // 2
"""Zeros to append to audio that is cut within speech (0.5 s), as it is live: without them the model goes on writing.

At 80 cuts it wrote 42 words after the end without zeros, and 11 with them; 65 and 49 of 852 words were replaced by others.
"""

_PAST, _PRESENT, _OWN = "past_key_values", "present", ".decoder."
_PER_SECOND = 6.5  # most tokens per second of audio (Moonshine's own limit); a longer text is a loop
_ALWAYS = 4  # additional tokens of every decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the decoder wrote: *tokens* with their *probabilities* 0..1. *whole*: it ended by itself, with *ending* 0..1."""

    tokens: tuple[int, ...] = ()
    probabilities: tuple[float, ...] = ()
    whole: bool = True
    ending: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The encoder's output, float32[1, frames, width], for audio of *length* samples, without the *pad* zeros after them."""

    states: "Floats"
    length: Samples
    pad: Samples


class Model:
    """The model in *folder*; *threads* of one run, 0 = onnxruntime's default. Thread-safe.

    Raises ValueError for files of another form, OSError, and onnxruntime's own errors.
    """

    def __init__(self, folder: Path, *, threads: int) -> None:
        import onnxruntime

        self.tokenizer = Tokenizer(folder / "tokenizer.bin")
        options = onnx_session.options(threads)
        # The decoder runs for milliseconds at a time; threads that wait in a loop for the next run would take most of the cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(str(folder / name), options, providers=[onnx_session.CPU])
            for name in ("encoder_model.ort", "decoder_model_merged.ort")
        )
        self._inputs = [each.name for each in self._decoder.get_inputs()]
        self._outputs = [each.name for each in self._decoder.get_outputs()]
        self._caches = {each.name: each.shape for each in self._decoder.get_inputs() if each.name.startswith(_PAST)}
        if not self._caches or self._decoder.get_outputs()[0].shape[-1] != len(self.tokenizer):
            raise ValueError("the decoder is not Moonshine's, or not that of its tokenizer")

    def encode(self, audio: "Floats", *, pad: Samples = 0) -> Encoded:
        """The encoder's output for *audio* (float32[n] at 16 kHz, n >= `SHORTEST`) and *pad* zeros after it."""
        import numpy as np

        heard = np.pad(audio, (0, pad))[None].astype(np.float32)
        (found,) = self._encoder.run(None, {"input_values": heard, "attention_mask": np.ones(heard.shape, np.int64)})
        return Encoded(states=np.asarray(found, np.float32), length=len(audio), pad=pad)

    def write(self, encoded: Encoded, forced: Sequence[int] = ()) -> Written:
        """The tokens of the audio that was *encoded*, after the *forced* ones, which the result does not contain."""
        most = int(encoded.length / RATE * _PER_SECOND) + _ALWAYS
        run = _Run(self, encoded)
        logits = run.step([START, *forced])
        tokens: list[int] = []
        probabilities: list[float] = []
        while len(tokens) < most:
            token, probability = _best(logits)
            if token == END:
                return Written(tokens=tuple(tokens), probabilities=tuple(probabilities), ending=probability)
            tokens.append(token)
            probabilities.append(probability)
            logits = run.step([token])
        return Written(tokens=tuple(tokens), probabilities=tuple(probabilities), whole=False)

    def empty_caches(self) -> "dict[str, Floats]":
        """The decoder's caches before the first token."""
        import numpy as np

        return {name: np.zeros((1, shape[1], 0, shape[3]), np.float32) for name, shape in self._caches.items()}

    def run(self, feeds: dict[str, Any]) -> dict[str, Any]:
        """One run of the decoder; outputs by name."""
        return dict(
            zip(self._outputs, self._decoder.run(None, {name: feeds[name] for name in self._inputs}), strict=True)
        )


class _Run:
    """One text in progress: the decoder's caches for the tokens so far."""

    def __init__(self, model: Model, encoded: Encoded) -> None:
        import numpy as np

        self._model = model
        self._caches = model.empty_caches()
        self._fixed = {
            "encoder_hidden_states": encoded.states,
            "encoder_attention_mask": np.ones((1, encoded.length + encoded.pad), np.int64),
        }
        self._begun = False

    def step(self, tokens: Sequence[int]) -> "Floats":
        """Add *tokens*; the logits after the last of them, float32[vocabulary]."""
        import numpy as np

        found = self._model.run(
            {
                "input_ids": np.array([tokens], np.int64),
                "use_cache_branch": np.array([self._begun]),
                **self._fixed,
                **self._caches,
            }
        )
        for name in self._caches:
            if not self._begun or _OWN in name:  # the caches of the encoder are complete after the first run
                self._caches[name] = found[_PRESENT + name.removeprefix(_PAST)]
        self._begun = True
        return np.asarray(found["logits"][0, -1], np.float32)


def _best(logits: "Floats") -> tuple[int, float]:
    """The most probable token and its probability 0..1."""
    import numpy as np

    token = int(logits.argmax())
    return token, float(1.0 / np.exp(logits - logits[token]).sum())

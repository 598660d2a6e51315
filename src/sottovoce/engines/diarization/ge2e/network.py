"""The voice encoder's network in numpy: three LSTM layers, a linear layer with ReLU, normalisation to length 1.

It is the GE2E encoder (Wan and others 2018, arXiv 1710.10467) in the shape that Real-Time-Voice-Cloning and Resemblyzer
trained and published; `mel` computes its input.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.engines.diarization.ge2e.mel import BANDS
from sottovoce.engines.diarization.ge2e.torch_weights import read_tensors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SIZE = 256
"""Dimensions of an embedding, and of each layer's state."""

LAYERS = 3

AT_ONCE = 64
"""Windows per run: enough to fill a core's caches, in 50 MB."""

_LEAST = 1e-12  # floor of the ReLU, so that an all-zero output can be normalised


def _shapes() -> dict[str, tuple[int, ...]]:
    """Return the shapes of the file's tensors by PyTorch's names; the four gates of a layer (in, forget, cell, out) share one."""
    shapes: dict[str, tuple[int, ...]] = {"linear.weight": (SIZE, SIZE), "linear.bias": (SIZE,)}
    for layer in range(LAYERS):
        shapes[f"lstm.weight_ih_l{layer}"] = (4 * SIZE, SIZE if layer else BANDS)
        shapes[f"lstm.weight_hh_l{layer}"] = (4 * SIZE, SIZE)
        shapes[f"lstm.bias_ih_l{layer}"] = shapes[f"lstm.bias_hh_l{layer}"] = (4 * SIZE,)
    return shapes


SHAPES = _shapes()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layer:
    """An LSTM layer's weights: *heard* float32[n, 1024] of the input, *before* float32[256, 1024] of the previous state."""

    heard: "Floats"
    before: "Floats"
    bias: "Floats"


class VoiceNet:
    """The network with the weights in *file*. Errors: `NotWeights`, OSError."""

    def __init__(self, file: Path) -> None:
        import numpy as np

        weights = read_tensors(file, SHAPES)
        self._layers = tuple(
            _Layer(
                heard=np.ascontiguousarray(weights[f"lstm.weight_ih_l{layer}"].T),
                before=np.ascontiguousarray(weights[f"lstm.weight_hh_l{layer}"].T),
                bias=weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"],
            )
            for layer in range(LAYERS)
        )
        self._weight, self._bias = np.ascontiguousarray(weights["linear.weight"].T), weights["linear.bias"]

    def embed(self, mels: "Floats") -> "Floats":
        """Return embeddings float32[n, 256], of length 1 with positive components, of windows float32[n, frames, 40]."""
        import numpy as np

        runs = [self._run(mels[at : at + AT_ONCE]) for at in range(0, len(mels), AT_ONCE)]
        return np.concatenate(runs) if runs else np.zeros((0, SIZE), np.float32)

    def _run(self, mels: "Floats") -> "Floats":
        import numpy as np

        steps = np.ascontiguousarray(mels.transpose(1, 0, 2))  # [frames, n, 40]
        for layer in self._layers:
            steps = _through(layer, steps)
        raw = np.maximum(steps[-1] @ self._weight + self._bias, _LEAST)
        found: Floats = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        return found


def _through(layer: _Layer, steps: "Floats") -> "Floats":
    """Return the states float32[frames, n, 256] of *layer* for the inputs float32[frames, n, m], from a zero state on."""
    import numpy as np

    frames, count, _ = steps.shape
    states = np.empty((frames, count, SIZE), np.float32)
    state = np.zeros((count, SIZE), np.float32)
    cell = np.zeros((count, SIZE), np.float32)
    gates = np.empty((count, 4 * SIZE), np.float32)
    for at in range(frames):
        np.matmul(state, layer.before, out=gates)
        gates += steps[at] @ layer.heard
        gates += layer.bias
        fresh = np.tanh(gates[:, 2 * SIZE : 3 * SIZE])
        _sigmoid(gates)
        cell *= gates[:, SIZE : 2 * SIZE]
        cell += gates[:, :SIZE] * fresh
        state = states[at]
        np.tanh(cell, out=state)
        state *= gates[:, 3 * SIZE :]
    return states


def _sigmoid(values: "Floats") -> None:
    """Compute 1 / (1 + exp(-x)) in place, by tanh, which cannot overflow."""
    import numpy as np

    values *= 0.5
    np.tanh(values, out=values)
    values *= 0.5
    values += 0.5

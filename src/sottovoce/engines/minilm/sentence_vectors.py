"""A loaded encoder: texts to vectors, in batches of similar length. Vectors are kept for the other stages of the same job."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sottovoce.engines.common import onnx_session
from sottovoce.engines.minilm import graph

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

BATCH = 16
"""Texts of one run."""
MOST_TOKENS = 128
"""Tokens of a text that are read; the model was trained with 128."""
KEPT = 20_000
"""Vectors that are kept: 30 MB with 384 numbers each."""


class EncoderVectors:
    """A `SentenceVectors` of the model in *folder*, for *languages*. Raises `EngineUnavailable` if it cannot be used."""

    def __init__(self, folder: Path, languages: frozenset[str], *, device: str, threads: int) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self.languages = languages
        self._tokenizer = Tokenizer.from_file(str(folder / graph.TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(min(MOST_TOKENS, graph.shape_of(folder).positions))
        gpu = onnx_session.gpu_of(device, "an encoder of sentences")
        options = onnx_session.options(threads)
        options.enable_cpu_mem_arena = False  # the arena would keep the largest batch's memory
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        self._session: Any = onnxruntime.InferenceSession(
            graph.encoder(folder), options, providers=onnx_session.providers(gpu)
        )
        onnx_session.check([self._session], gpu)
        self._kept: dict[str, Floats] = {}

    def vectors(self, texts: Sequence[str], alive: Callable[[], None]) -> "Floats":
        """Return float32[n, d], a row of length 1 for each of *texts*; *alive* is called before each batch."""
        import numpy as np

        if len(self._kept) > KEPT:
            self._kept.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._kept]
        tokens = [each.ids for each in self._tokenizer.encode_batch(new)]
        order = sorted(range(len(new)), key=lambda number: len(tokens[number]))  # little padding
        for begin in range(0, len(order), BATCH):
            alive()
            batch = order[begin : begin + BATCH]
            for number, row in zip(batch, self._run([tokens[each] for each in batch]), strict=True):
                self._kept[new[number]] = row
        found: Floats = np.array([self._kept[text] for text in texts], np.float32)
        return found

    def _run(self, tokens: Sequence[Sequence[int]]) -> "Floats":
        import numpy as np

        longest = max(1, *(len(each) for each in tokens))
        ids = np.zeros((len(tokens), longest), np.int64)
        mask = np.zeros_like(ids)
        for number, each in enumerate(tokens):
            ids[number, : len(each)] = each
            mask[number, : len(each)] = 1
        found: Floats = np.nan_to_num(self._session.run(["vectors"], {"ids": ids, "mask": mask})[0])
        return found

"""Speakers told apart by the GE2E voice encoder that Real-Time-Voice-Cloning and Resemblyzer published.

It runs on numpy alone, from the file of weights as it was published. Every 0.4 s of speech a window of 1.6 s becomes an
embedding; those are clustered, and the windows over a moment vote on who speaks in it. Where two speak at once it hears
one of them. What it was measured with, and how well it does, stands in `docs/models.md`.
"""

import contextlib
import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.engines.diarization.ge2e import voiceprint
from sottovoce.engines.diarization.ge2e.clustering import BLOCK, clusters
from sottovoce.engines.diarization.ge2e.mel import HOP
from sottovoce.engines.diarization.ge2e.network import VoiceNet
from sottovoce.engines.diarization.ge2e.torch_weights import NotWeights
from sottovoce.engines.diarization.ge2e.turns import turns
from sottovoce.engines.diarization.ge2e.voiceprint import FORM
from sottovoce.engines.diarization.ge2e.windows import FRAMES, Heard, hear
from sottovoce.engines.models.catalogue import VOICE_ENCODER, VOICE_FILES, Model
from sottovoce.engines.protocols import Capabilities, DiarizationHints, Diarized, Skill, SpeechSource, Turn, Voice
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Labels = NDArray[np.int64]

MOST_VOICES = 100
"""Of one medium."""

# Mean cosine distance up to which two clusters are one voice. Measured from 0.25 to 0.5: clear recordings come out right
# from 0.36 to 0.42, the same as by telephone best from 0.34 to 0.38; two much alike on the telephone need 0.31 or less.
_LIMIT = 0.36
_SPAN = 0.12  # from the least sensitivity to the most
_LEAST: Samples = 2 * RATE  # a voice that speaks for less is taken for a slip,
_AT_ONCE: Samples = FRAMES * HOP  # and so is one that never has a window for itself: it is two others' changes
_SURE: Samples = RATE * 6 // 5  # shorter windows have no say in how many voices there are
_RELUCTANCE, _RELUCTANT = 1.0, 5.0  # votes of cells: 0.05 s, 0.25 s


def offer(model: Model) -> Capabilities:
    """What a voice encoder on the shelf can do: it needs no language."""
    return _capabilities(model.name, model.grade)


def _capabilities(name: str, grade: int) -> Capabilities:
    return Capabilities(
        engine=VOICE_ENCODER,
        model=name,
        languages=frozenset(),
        skills=frozenset({Skill.DIARIZATION}),
        grade=grade,
        voiceprints=FORM,
    )


class Ge2eDiarizer:
    """A `Diarizer` with the weights in *folder* (`encoder.pt` or `pretrained.pt`); making one takes 10 ms and 10 MB.

    *threads* of numpy's linear algebra in this process, 0 = as it likes.
    Errors: EngineUnavailable when there is no such file, or it is not the encoder's.
    """

    def __init__(self, folder: Path, capabilities: Capabilities | None = None, *, threads: int = 1) -> None:
        self._capabilities = capabilities or _capabilities(folder.name, 0)
        name = self._capabilities.model
        file = next((folder / each for each in VOICE_FILES if (folder / each).is_file()), None)
        if file is None:
            raise EngineUnavailable(f"{name} lacks {' or '.join(VOICE_FILES)}", at=None)
        try:
            self._net = VoiceNet(file)
        except (NotWeights, OSError) as error:
            why = str(error) if isinstance(error, NotWeights) else "it cannot be read"
            raise EngineUnavailable(f"{file.name} of {name} is no voice encoder: {why}", at=None) from error
        _limit_threads(threads)

    @property
    def capabilities(self) -> Capabilities:
        """Diarization, and the form of the prints."""
        return self._capabilities

    def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
        """Turns that cover the speech without overlap, and a voice for each speaker in order of appearance.

        *listen* is called once. Of the speech about 2 kB a second are held.
        """
        heard = hear(self._net, listen())
        if not len(heard):
            return Diarized()
        labels = _voices(heard, _LIMIT + _SPAN * (0.5 - hints.sensitivity))
        found = turns(heard, labels, _RELUCTANT if hints.prefer_current else _RELUCTANCE)
        order = {voice: number for number, voice in enumerate(dict.fromkeys(turn.voice for turn in found))}
        return Diarized(
            turns=tuple(Turn(start=turn.start, end=turn.end, voice=order[turn.voice]) for turn in found),
            voices=tuple(
                _voice(heard, labels == voice, sum(turn.end - turn.start for turn in found if turn.voice == voice))
                for voice in order
            ),
        )

    def similarity(self, one: bytes, other: bytes) -> float:
        """How likely two prints are one speaker's, 0..1: calibrated for prints from different lines as well as from one.

        Raises ValueError for what is no print of this form.
        """
        return voiceprint.similarity(voiceprint.read(one), voiceprint.read(other))


def _voices(heard: Heard, limit: float) -> "Labels":
    """The voice of each window, int64[n]: clusters of the long ones, of which the small are dissolved."""
    import numpy as np

    long = heard.bounds[:, 1] - heard.bounds[:, 0] >= _SURE
    if not long.any():
        long[:] = True
    sure = heard.embeddings[long]
    labels = clusters(sure, limit, MOST_VOICES)
    speech, longest = _spoken(labels, heard.stretch[long], heard.shares[long])
    kept = np.flatnonzero((speech >= _LEAST) & (longest >= _AT_ONCE))
    if not len(kept):
        kept = np.flatnonzero(speech == speech.max())[:1]
    middles = np.stack([_direction(sure[labels == each]) for each in kept])
    blocks = (heard.embeddings[at : at + BLOCK].astype(np.float32) for at in range(0, len(heard), BLOCK))
    return np.concatenate([(block @ middles.T).argmax(axis=1) for block in blocks])


def _spoken(labels: "Labels", stretch: "Labels", shares: "Labels") -> "tuple[Labels, Labels]":
    """Samples that each label has in all, and without another in between, of windows with these *shares*."""
    import numpy as np

    fresh = np.concatenate([[True], (np.diff(labels) != 0) | (np.diff(stretch) != 0)])
    begins = np.flatnonzero(fresh)
    runs = np.add.reduceat(shares, begins)
    speech, longest = np.zeros((2, labels.max() + 1), np.int64)
    np.add.at(speech, labels[begins], runs)
    np.maximum.at(longest, labels[begins], runs)
    return speech, longest


def _voice(heard: Heard, mine: "NDArray[np.bool_]", speech: Samples) -> Voice:
    import numpy as np

    pitch = heard.pitch[mine & ~np.isnan(heard.pitch)]
    return Voice(
        voiceprint=voiceprint.written(_direction(heard.embeddings[mine]), speech),
        pitch=float(np.median(pitch)) if len(pitch) else None,
    )


def _direction(embeddings: "NDArray[np.float16]") -> "Floats":
    """The mean of float16[n, d], scaled to length 1: float32[d]."""
    import numpy as np

    total = embeddings.sum(axis=0, dtype=np.float32)
    found: Floats = total / np.linalg.norm(total)
    return found


def _limit_threads(threads: int) -> None:
    """Of OpenBLAS as numpy's wheels bring it: it has no other switch once it is loaded. Another one is left alone."""
    import numpy as np

    if threads < 1:
        return
    for library in (Path(np.__file__).parent.parent / "numpy.libs").glob("libscipy_openblas*"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(str(library)).scipy_openblas_set_num_threads64_(threads)

"""A speaker diarizer with the GE2E voice encoder that Real-Time-Voice-Cloning and Resemblyzer published.

It needs numpy and the published file of weights. Every 0.4 s a window of 1.6 s of speech becomes an embedding; the
embeddings are clustered, and the windows over a moment vote on its speaker. Overlapping speech gets one of its speakers.
`docs/models.md` has the measurements and the recordings they were made with.
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
"""Largest number of voices in one recording."""

# Mean cosine distance up to which two clusters are one voice. Measured from 0.25 to 0.5: clear recordings come out right
# from 0.36 to 0.42, the same in telephone quality best from 0.34 to 0.38; two similar voices on the telephone need 0.31
# or less.
_LIMIT = 0.36
_SPAN = 0.12  # by which the limit falls from sensitivity 0 to 1
_LEAST: Samples = 2 * RATE  # least speech of a voice in all; shorter clusters are taken for errors
_AT_ONCE: Samples = FRAMES * HOP  # least run of a voice, one window: a cluster without one consists of speaker changes
_SURE: Samples = RATE * 6 // 5  # shorter windows do not enter the clustering
_RELUCTANCE, _RELUCTANT = 1.0, 5.0  # cost of a change in cells of 0.05 s: 0.05 s; with `prefer_current` 0.25 s


def offer(model: Model) -> Capabilities:
    """Return the capabilities of the stored voice encoder *model*; diarization needs no language."""
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
    """A `Diarizer` with the weights in *folder* (`encoder.pt` or `pretrained.pt`); loading takes 10 ms and 10 MB.

    *threads*: of numpy's linear algebra in this process, 0 = numpy's default.
    Errors: EngineUnavailable when the file is missing or has no weights of the encoder.
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
            why = str(error) if isinstance(error, NotWeights) else "the file cannot be read"
            raise EngineUnavailable(f"{file.name} of {name} is no voice encoder: {why}", at=None) from error
        _limit_threads(threads)

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities: diarization, and the form of the voice prints."""
        return self._capabilities

    def diarize(self, listen: SpeechSource, hints: DiarizationHints) -> Diarized:
        """Return turns that cover the speech without overlap, and a voice for each speaker in order of appearance.

        Calls *listen* once. Memory: about 2 kB per second of speech.
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
        """Return the likelihood that two prints are of one speaker, 0..1, calibrated for prints from one line and from two.

        Raises ValueError for bytes that are no print of this form.
        """
        return voiceprint.similarity(voiceprint.read(one), voiceprint.read(other))


def _voices(heard: Heard, limit: float) -> "Labels":
    """Return the voice of each window, int64[n].

    The long windows are clustered, clusters with too little speech are dropped, and each window gets the nearest of the others.
    """
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
    """Sum the windows' *shares* (samples) by label: in all, and in the longest run within a stretch; int64[k] each."""
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
    """Return the mean of float16[n, d], scaled to length 1: float32[d]."""
    import numpy as np

    total = embeddings.sum(axis=0, dtype=np.float32)
    found: Floats = total / np.linalg.norm(total)
    return found


def _limit_threads(threads: int) -> None:
    """Set the threads of the OpenBLAS in numpy's wheels, which has no other switch once loaded. Other libraries keep theirs."""
    import numpy as np

    if threads < 1:
        return
    for library in (Path(np.__file__).parent.parent / "numpy.libs").glob("libscipy_openblas*"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(str(library)).scipy_openblas_set_num_threads64_(threads)

"""When a live channel decodes, and how long words may wait before they are final: constants of research `streaming.md` §5."""

from dataclasses import dataclass

from sottovoce.request import LiveRequest, MaxDelayMode
from sottovoce.transcript.model import RATE, Samples, samples

PREROLL: Samples = 3 * RATE // 10
"""Audio (0.3 s) before the first speech of an utterance and after its last that is decoded with it."""

LEAST: Samples = 3 * RATE // 10
"""Least audio (0.3 s) that is decoded while speech goes on."""

SPOKEN: Samples = RATE // 10
"""Least speech (0.1 s) of an utterance that is decoded; no word is shorter, but clicks are."""

EDGE: Samples = 15 * RATE // 100
"""A word that ends within this time (0.15 s) of the newest audio may be cut and is not final yet."""

KEEP: Samples = 3 * RATE // 2
"""Final audio (1.5 s) that stays in the window as context when its beginning is cut off."""

CONTEXT_GAP: Samples = 3 * RATE
"""Longest pause (3 s) over which the last words of an utterance are the context of the next one.

Short utterances need it: `Ask not` alone (1.3 s) is decoded as `S`, `It's not` or nothing; after the audio of the words before
it, 26 of 32 tries with base and tiny.en wrote it (`jfk.flac`, docs/decisions/0012).
"""

DEAF: Samples = 6 * RATE // 5
"""Speech (1.2 s) after the last final word in which two decodes find nothing: the window starts anew (§3, "fix")."""

MUTE: Samples = 3 * RATE // 5
"""The same time (0.6 s) where all words in the window are those of the utterance before, after whose full stop the model often
writes nothing for long. Two decodes here, too: `Ask not` is heard with these words, not without."""

UNHEARD: Samples = 3 * RATE // 10
"""Speech (0.3 s) after the last word of an utterance that is decoded again; the detector hears speech some tenths longer."""

ENTITY: Samples = 3 * RATE // 2
"""Additional time (1.5 s) that a number may wait for its end with `max_delay_mode` `flexible`, without tables of entities."""

ENTITY_MOST: Samples = 10 * RATE
"""Additional time (10 s) that an entity may wait for its last word in `flexible` mode: the 16 digits of a card take 8 s. With
`max_delay` it is less than the longest window, whose end makes everything final."""

DIGITS: Samples = RATE
"""Pause (1 s) that ends an utterance after a number in `flexible` mode: people pause between the groups of a telephone number."""

LARGEST_STEP: Samples = RATE
"""Most audio (1 s) between two decodes when decodes take longer than planned."""

BEHIND_STEP: Samples = 4 * RATE
"""Most audio (4 s) between two decodes when the client sends faster than decodes are possible."""

_SHORT = samples(1.5)  # below this max_delay, agreement of two decodes makes words final too
_LONG = samples(4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePolicy:
    """Times in samples. *step*: audio between two decodes. *window*: longest window. *silence*: pause that ends an utterance.

    *max_delay*: from the end of a word to its final. *agreement*: words that two decodes agree on are final. *flexible*: numbers
    may wait longer. *utterance*: silence after which the end of an utterance is reported, 0: never.
    """

    step: Samples
    window: Samples
    silence: Samples
    max_delay: Samples
    agreement: bool
    flexible: bool
    utterance: Samples


def policy_of(request: LiveRequest) -> LivePolicy:
    """Return the policy for *request*."""
    delay = samples(request.max_delay)
    trigger = samples(request.end_of_utterance_silence_trigger)
    silence = RATE // 2 if delay >= RATE else max(min(RATE // 2, delay - 3 * RATE // 10), RATE // 5)
    if trigger:
        silence = min(silence, trigger)
    return LivePolicy(
        step=_step(delay),
        window=6 * RATE,
        silence=silence,
        max_delay=delay,
        agreement=delay < _SHORT,
        flexible=request.max_delay_mode is MaxDelayMode.FLEXIBLE,
        utterance=trigger,
    )


def _step(delay: Samples) -> Samples:
    if delay < _SHORT:
        return samples(0.35)
    return samples(0.6) if delay >= _LONG else samples(0.5)

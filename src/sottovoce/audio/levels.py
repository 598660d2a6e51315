"""Levels of audio in dBFS: a meter for the channels of a stream, and the mix of channels.

The mix is the average of all channels: a sum would clip, and the weights of cinema downmixing would suppress channels that
a recorder used. Channels of opposite phase cancel each other in an average; there the loudest channel is taken.
"""

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

NOTHING = -120.0
"""dBFS of digital silence in reports."""

CANCELLED = 10.0
"""Factor (10 dB) by which a mix is weaker than a mix of unrelated channels with the same power, where channels cancel."""

_LOUDER = 2.0  # factor of power by which another channel must be louder to be taken instead of the last one
_FADE = 100  # a change of the choice is faded over 1/100 s


def decibels(power: float) -> float:
    """Return *power* (1.0 = that of a full-scale square wave) in dBFS, at least `NOTHING`."""
    return max(10 * math.log10(power), NOTHING) if power > 0 else NOTHING


class LevelMeter:
    """The level of every channel of a stream, and of what is heard of it."""

    def __init__(self) -> None:
        self._sums: list[float] = []
        self._peaks: list[float] = []
        self._samples = 0
        self._mix_sum = 0.0
        self._mix_samples = 0
        self.cancelled = 0
        """Windows in which channels of opposite phase were found."""

    def push(self, audio: "Floats") -> list[float]:
        """Add float32[channels, n]; return the power of each channel, summed over *n*."""
        import numpy as np

        powers = [float(np.vdot(row, row)) for row in audio]
        for index, (row, power) in enumerate(zip(audio, powers, strict=True)):
            peak = max(float(row.max(initial=0.0)), -float(row.min(initial=0.0)))
            if index == len(self._sums):
                self._sums.append(0.0)
                self._peaks.append(0.0)
            self._sums[index] += power
            self._peaks[index] = max(self._peaks[index], peak)
        self._samples += audio.shape[1]
        return powers

    def push_mix(self, power: float, samples: int) -> None:
        """Add *samples* of the mix with the summed *power*."""
        self._mix_sum += power
        self._mix_samples += samples

    @property
    def peak(self) -> float:
        """The largest magnitude in any channel, 0..1."""
        return max(self._peaks, default=0.0)

    @property
    def channels(self) -> tuple[float, ...]:
        """The mean level of each channel in dBFS."""
        return tuple(decibels(total / max(self._samples, 1)) for total in self._sums)

    @property
    def peaks(self) -> tuple[float, ...]:
        """The peak of each channel in dBFS."""
        return tuple(decibels(peak * peak) for peak in self._peaks)

    @property
    def mix(self) -> float | None:
        """The mean level of the mix in dBFS; None if the channels were not mixed."""
        return decibels(self._mix_sum / self._mix_samples) if self._mix_samples else None

    def __str__(self) -> str:
        """One line for a log."""
        each = zip(self.channels, self.peaks, strict=True)
        found = ", ".join(f"channel {n} {mean:.0f} (peak {peak:.0f})" for n, (mean, peak) in enumerate(each, 1))
        mix = f", mix {self.mix:.0f}" if self.mix is not None and len(self._sums) > 1 else ""
        return f"levels in dBFS: {found or 'no audio'}{mix}"


def mixed(windows: "Iterable[Floats]", rate: int, meter: LevelMeter) -> "Iterator[Floats]":
    """Yield float32[1, n] for each of *windows* (float32[channels, n] at *rate* Hz), and measure both."""
    import numpy as np

    last: int | None = None  # the channel taken instead of the mix
    for window in windows:
        powers = meter.push(window)
        if len(powers) == 1:
            meter.push_mix(powers[0], window.shape[1])
            yield window
            continue
        mix = window.mean(axis=0)
        power = float(np.vdot(mix, mix))
        taken = _taken(powers, power, last)
        audio = mix if taken is None else window[taken]
        if taken != last:
            audio = _faded(mix if last is None or last >= len(powers) else window[last], audio, rate // _FADE)
        meter.cancelled += taken is not None
        meter.push_mix(power, window.shape[1])
        last = taken
        yield audio[None]


def _taken(powers: list[float], mix: float, last: int | None) -> int | None:
    """Return the channel to take instead of a mix of the power *mix*; None for the mix."""
    if mix * len(powers) ** 2 * CANCELLED >= sum(powers):
        return None
    loudest = max(range(len(powers)), key=lambda channel: powers[channel])
    return last if last is not None and last < len(powers) and powers[loudest] < _LOUDER * powers[last] else loudest


def _faded(one: "Floats", other: "Floats", length: int) -> "Floats":
    """Return *other*, which begins with a fade of *length* samples from *one*."""
    import numpy as np

    ramp = np.linspace(0, 1, min(length, len(one)), dtype=np.float32)
    start = one[: len(ramp)] * (1 - ramp) + other[: len(ramp)] * ramp
    return np.concatenate([start, other[len(ramp) :]])

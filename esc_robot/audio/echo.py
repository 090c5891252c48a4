"""The robot's own voice taken out of what its microphone hears (WebRTC's AEC3, through pywebrtc-audio)."""

from collections import deque

import numpy as np
from pywebrtc_audio import EchoCanceller as Aec3

RATE = 16_000
BLOCK = 160             # AEC3 works on 10 ms
LATE = RATE // 10       # how long the microphone's sound waits for what was played at that time
GONE = RATE             # the player has been silent for so long that nothing waits for it
AHEAD = RATE // 2       # more of the player's sound than this in store: the microphone has been away
FRAME = RATE // 50      # in which the treble is looked at
TREBLE_HZ = 4000
ROOM = 15               # frames in which a sound of the player may come back
LEARNT = 750            # frames from which it is learnt how loud it comes back
UNEXPLAINED = 4.0       # times the power that the player explains (6 dB)
SILENCE = 10 ** ((90.3 - 60) / 10)      # power of a treble that nobody minds, -60 dB of full scale
LASTING = 3             # frames: clicks and knocks are shorter


class EchoCanceller:
    """Pairs two streams of 16 kHz sound sample by sample; AEC3 estimates the delay between them itself.

    A sound must reach ``played`` before it comes back through ``clean``: hand it over when the device asks for it.
    hiss: whether there is one in what was cleaned last that the player does not explain.
    """

    def __init__(self):
        self._aec, self._treble, self.hiss = Aec3(RATE), Treble(), False
        self._near = self._far = np.zeros(0, np.int16)
        self._owed = GONE       # samples that were taken as silence because the player's sound was late

    def played(self, pcm: np.ndarray) -> None:
        """int16 [n] that the loudspeaker is given, silence too: the stream must not have holes."""
        late = 0 if self._owed >= GONE else min(self._owed, len(pcm))
        self._owed = max(self._owed - late, 0) if self._owed < GONE else 0
        self._far = np.concatenate([self._far, pcm[late:]])
        if len(self._far) - len(self._near) > AHEAD:
            self._far = self._far[len(self._far) - len(self._near):]

    def clean(self, pcm: np.ndarray) -> np.ndarray:
        """int16 [n] from the microphone in, what is ready of it without the echo out; as it came while nobody plays."""
        if self._owed >= GONE:
            ready = np.concatenate([self._near, pcm])
            self._near = self._far = ready[:0]
            self.hiss = False
            return ready
        self._near = np.concatenate([self._near, pcm])
        missing = len(self._near) - len(self._far) - LATE
        if missing > 0:
            self._far = np.concatenate([self._far, np.zeros(missing, np.int16)])
            self._owed += missing
        count = min(len(self._near), len(self._far)) // BLOCK * BLOCK
        near, self._near = self._near[:count], self._near[count:]
        far, self._far = self._far[:count], self._far[count:]
        self.hiss = self._treble.hisses(near, far)
        return self._aec.process(near, far) if count else near


class Treble:
    """Hears an "s" in the microphone's sound while the loudspeaker plays: AEC3 takes it out with the echo, being much
    like noise. It is what lasts above TREBLE_HZ and is louder than anything played just before can have come back."""

    def __init__(self):
        self._near = self._far = np.zeros(0, np.int16)
        self._played = deque([0.0] * ROOM, ROOM)        # power of the treble played in the last frames
        self._gains = deque([1.0], LEARNT)              # of the echo, in power
        self._lasted = 0                                # frames of the hiss so far

    def hisses(self, near: np.ndarray, far: np.ndarray) -> bool:
        """int16 [n] of the microphone, and what was played meanwhile, int16 [n]."""
        self._near, self._far = np.concatenate([self._near, near]), np.concatenate([self._far, far])
        found = False
        while len(self._near) >= FRAME:
            heard, played = treble(self._near[:FRAME]), treble(self._far[:FRAME])
            self._near, self._far = self._near[FRAME:], self._far[FRAME:]
            self._played.append(played)
            loudest = max(self._played)
            odd = heard > UNEXPLAINED * (np.percentile(self._gains, 95) * loudest + SILENCE)
            if loudest > 10 * SILENCE:
                self._gains.append(heard / loudest)
            self._lasted = self._lasted + 1 if odd else 0
            found = found or self._lasted >= LASTING
        return found


def treble(pcm: np.ndarray) -> float:
    """Power above TREBLE_HZ of int16 [FRAME]."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(FRAME))) ** 2
    return float(spectrum[FRAME * TREBLE_HZ // RATE:].sum()) / (FRAME * 0.375 * FRAME / 2)


class EchoPath:
    """A room for tests: what of the robot's sound reaches its microphone. gain: a factor; delay: s."""

    def __init__(self, gain: float, delay: float):
        self._gain = gain
        self._waiting = np.zeros(int(delay * RATE), np.int16)

    def through(self, pcm: np.ndarray) -> np.ndarray:
        """int16 [n] at 16 kHz out of the loudspeaker, int16 [n] that comes back at the same time."""
        sound = np.concatenate([self._waiting, pcm])
        back, self._waiting = sound[:len(pcm)], sound[len(pcm):]
        return (back * self._gain).clip(-32768, 32767).astype(np.int16)

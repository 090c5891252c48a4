"""The robot's own voice taken out of what its microphone hears (WebRTC's AEC3, through pywebrtc-audio)."""

import numpy as np
from pywebrtc_audio import EchoCanceller as Aec3

RATE = 16_000
BLOCK = 160             # AEC3 works on 10 ms
LATE = RATE // 10       # how long the microphone's sound waits for what was played at that time
GONE = RATE             # the player has been silent for so long that nothing waits for it
AHEAD = RATE // 2       # more of the player's sound than this in store: the microphone has been away


class EchoCanceller:
    """Pairs two streams of 16 kHz sound sample by sample; AEC3 estimates the delay between them itself.

    A sound must reach ``played`` before it comes back through ``clean``: hand it over when the device asks for it.
    """

    def __init__(self):
        self._aec = Aec3(RATE)
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
            return ready
        self._near = np.concatenate([self._near, pcm])
        missing = len(self._near) - len(self._far) - LATE
        if missing > 0:
            self._far = np.concatenate([self._far, np.zeros(missing, np.int16)])
            self._owed += missing
        count = min(len(self._near), len(self._far)) // BLOCK * BLOCK
        near, self._near = self._near[:count], self._near[count:]
        far, self._far = self._far[:count], self._far[count:]
        return self._aec.process(near, far) if count else near


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

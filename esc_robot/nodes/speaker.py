"""Sound to a real output device, and the moments at which each sentence begins and each turn ends."""

import sys
import time

import numpy as np

from esc_robot.audio.devices import KeptOpen, open_output
from esc_robot.audio.playback import Playback
from esc_robot.audio.resample import StreamResampler
from esc_robot.nodes.base import Node, Sound, decode_sound, encode_sound, run, tell_playback

RATE = 24000
#: The rate of the ears, which take what is played out of what they hear, Hz.
EARS_RATE = 16000


class Speaker(Node):
    """The device's own thread pulls the samples; events are stamped with the time at which they leave the device."""

    def __init__(self):
        super().__init__("speaker")
        device = self.parameter("device", "", "output device, by name, part of a name, or index; empty: the system's")
        self.playback = Playback(RATE)
        self._played = self.publisher("/audio/played")
        self._to_ears = StreamResampler(RATE, EARS_RATE)
        self._output = None
        self._output = KeptOpen(lambda: open_output(device, RATE, self._pull))
        self.listen("/audio/speaker", self._on_sound, decode_sound)
        self.listen("/conversation/interrupt", lambda message: self.playback.interrupt(message.key))
        self.listen("/conversation/hold", lambda message: self.playback.hold(message.data))
        self.keep_open(self._output)

    def _on_sound(self, sound: Sound) -> None:
        if sound.last:
            self.playback.end(sound.turn)
        else:
            self.playback.push(sound.turn, sound.sentence, sound.pcm, sound.rate)

    def _pull(self, samples: int) -> np.ndarray:
        pcm, events = self.playback.pull(samples)
        self._played.publish(encode_sound(Sound(self._to_ears.feed(pcm), EARS_RATE)))
        device = self._output.device if self._output else None      # it may pull before it is known here
        tell_playback(self, events, time.time() + (device.latency if device else 0.0), RATE)
        return pcm

    def close(self) -> None:
        self._output.close()


def main() -> int:
    return run(Speaker)


if __name__ == "__main__":
    sys.exit(main())

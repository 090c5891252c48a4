"""Sound from a real input device, 16 kHz mono, towards the ears."""

import sys

import numpy as np

from esc_robot.audio.devices import KeptOpen, open_input
from esc_robot.nodes.base import Node, Sound, encode_sound, run

RATE = 16000


class Microphone(Node):
    def __init__(self):
        super().__init__("microphone")
        device = self.parameter("device", "", "input device, by name, part of a name, or index; empty: the system's")
        self._sound = self.publisher("/audio/microphone")
        self._input = KeptOpen(lambda: open_input(device, RATE, self._on_pcm))
        self.keep_open(self._input)

    def _on_pcm(self, pcm: np.ndarray) -> None:
        self._sound.publish(encode_sound(Sound(pcm, RATE)))

    def close(self) -> None:
        self._input.close()


def main() -> int:
    return run(Microphone)


if __name__ == "__main__":
    sys.exit(main())

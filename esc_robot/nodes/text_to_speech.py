"""Sentences to sound, one after the other, each as soon as it is there; and when each word sounds."""

import queue
import sys
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from esc_robot.nodes.base import BadMessage, Node, Sound, decode_event, decode_pair, encode_sound, run, stamped
from esc_robot.speaking.voice import VOICES, Word, make_voice

#: Silence after each sentence, s: voices end at once, and a listener needs a breath.
BREATH_S = 0.2


@dataclass(frozen=True)
class Made:
    """A sentence as sound: its words, and its length with the breath after it, s."""

    words: tuple[Word, ...]
    seconds: float


class TextToSpeech(Node):
    """Synthesis runs in a thread of its own, so that an interruption is heard while a sentence is made."""

    def __init__(self):
        super().__init__("text_to_speech")
        self.voice = make_voice(
            self.parameter("voice", "hibari", "synthesiser", choices=VOICES),
            self.parameter("rate", 0.8, "speaking rate, a factor of the voice's own", 0.5, 2.0),
            self.parameter("pitch", 0.94, "pitch, a factor of the voice's own", 0.7, 1.4))
        self._sound = self.publisher("/audio/speaker")
        self._word_times = self.publisher("/speech/words")
        self._word_times_ahead = self.publisher("/speech/words_ahead")
        self._queue: queue.Queue = queue.Queue()
        self._made: dict[tuple[str, int], Made] = {}
        self._sounding: tuple[str, int, float] | None = None     # turn, sentence, when it began
        self._sentences: dict[str, int] = {}
        self._expected: dict[str, int] = {}
        self._interrupted: set[str] = set()
        self.listen("/dialogue/reply", self._on_reply, decode_pair)
        self.listen("/dialogue/end", self._on_end, decode_count)
        self.listen("/conversation/event", self._on_event, decode_event)
        self.listen("/conversation/interrupt", self._on_interrupt)
        self._thread = self.work(self._synthesise)
        self.ready()

    def _on_reply(self, pair) -> None:
        turn, sentence = pair
        index = self._sentences.get(turn, 0)
        self._sentences[turn] = index + 1
        self._queue.put((turn, sentence, index))
        self._end_if_whole(turn)

    def _on_end(self, pair) -> None:
        turn, count = pair
        self._expected[turn] = count
        self._end_if_whole(turn)

    def _end_if_whole(self, turn: str) -> None:
        """Two topics keep no order between them: the end of a turn may be heard before its last sentence."""
        if self._sentences.get(turn, 0) >= self._expected.get(turn, sys.maxsize):
            self._queue.put((turn, None, 0))

    def _on_interrupt(self, message) -> None:
        self._interrupted |= {message.key} if message.key else set(self._sentences)

    def _synthesise(self) -> None:
        while (job := self._queue.get()) is not None:
            turn, sentence, index = job
            if turn in self._interrupted:
                continue
            if sentence is None:
                self._sound.publish(encode_sound(Sound(np.zeros(0, np.int16), 16000, turn, last=True)))
                continue
            speech = self.voice.speak(sentence)
            pcm = np.concatenate([speech.pcm, np.zeros(int(BREATH_S * speech.rate), np.int16)])
            # Kept before the sound is sent: it may begin to play before this thread comes to run again.
            self._made[turn, index] = Made(speech.words, len(pcm) / speech.rate)
            if turn not in self._interrupted and len(speech.pcm):
                self._sound.publish(encode_sound(Sound(pcm, speech.rate, turn, index)))
                if (sounding := self._sounding) and sounding[:2] == (turn, index - 1):
                    self._tell_ahead(*sounding)

    def _on_event(self, event) -> None:
        if event.name in ("sentence_started", "sentence_resumed"):
            # What sounds after a hold sounds as in a sentence that began so much later.
            began = event.stamp - float(event.values.get("sounded", 0))
            self._sounding = (event.turn, int(event.values.get("sentence", 0)), began)
            self._tell(self._word_times, *self._sounding)
            self._tell_ahead(*self._sounding)
        elif event.name in ("turn_finished", "turn_interrupted"):
            self._sentences.pop(event.turn, None)
            self._expected.pop(event.turn, None)
            self._interrupted.discard(event.turn)
            for key in [key for key in list(self._made) if key[0] == event.turn]:
                del self._made[key]

    def _tell(self, publisher, turn: str, index: int, began: float) -> None:
        if (turn, index) in self._made:
            status = DiagnosticStatus(name="words", hardware_id=turn, message=str(index))
            status.values = [KeyValue(key=word.text, value=f"{word.start:.3f} {word.end:.3f}")
                             for word in self._made[turn, index].words]
            publisher.publish(stamped(began, status))

    def _tell_ahead(self, turn: str, index: int, began: float) -> None:
        """The sentence after the one that sounds begins as that one ends: a large gesture wants to know so early."""
        if (turn, index) in self._made:
            self._tell(self._word_times_ahead, turn, index + 1, began + self._made[turn, index].seconds)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(timeout=2)


def decode_count(message) -> tuple[str, int]:
    """(turn id, number of sentences)."""
    turn, value = decode_pair(message)
    if not value.isdigit():
        raise BadMessage("its value, the number of sentences, is no number")
    return turn, int(value)


def main() -> int:
    return run(TextToSpeech)


if __name__ == "__main__":
    sys.exit(main())

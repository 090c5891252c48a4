"""Voice activity, end of turn, recognition: sound in, the user's words out."""

import sys
from dataclasses import fields

from diagnostic_msgs.msg import KeyValue
from std_msgs.msg import Bool

from esc_robot.listening.ears import Ears, Heard, Partial, SpeechEnded, SpeechStarted
from esc_robot.listening.endpointing import Endpointer, EndpointerParameters
from esc_robot.listening.recognizer import WhisperRecognizer
from esc_robot.nodes.base import Node, Sound, decode_event, microphone_sound, run


class SpeechToText(Node):
    """Without echo cancelling the robot would hear itself: it does not listen while it speaks."""

    def __init__(self):
        super().__init__("speech_to_text")
        threads = self.parameter("threads", 2, "processor threads of the recogniser", 1, 16)
        self.ears = Ears(WhisperRecognizer(threads), Endpointer(EndpointerParameters(**{
            item.name: self.parameter(item.name, item.default, item.metadata["description"],
                                      item.metadata["low"], item.metadata["high"])
            for item in fields(EndpointerParameters)})))
        self._activity = self.publisher("/speech/activity")
        self._partial = self.publisher("/speech/partial")
        self._text = self.publisher("/speech/text")
        self._speaking: set[str] = set()
        self.listen("/audio/microphone", self._on_sound, microphone_sound)
        self.listen("/conversation/event", self._on_event, decode_event)
        self.create_timer(0.05, lambda: self._tell(self.ears.poll()))
        self.ready()

    def _on_event(self, event) -> None:
        if event.name == "sentence_started":
            self._speaking.add(event.turn)
        elif event.name in ("turn_finished", "turn_interrupted"):
            self._speaking.discard(event.turn)

    def _on_sound(self, sound: Sound) -> None:
        pcm = sound.pcm if not self._speaking else sound.pcm * 0
        self._tell(self.ears.feed(pcm))

    def _tell(self, events: list) -> None:
        for heard in events:
            self._tell_one(heard)

    def _tell_one(self, heard) -> None:
        if isinstance(heard, SpeechStarted):
            self._activity.publish(Bool(data=True))
            self.event("speech_started", heard.turn)
        elif isinstance(heard, SpeechEnded):
            self._activity.publish(Bool(data=False))
            self.event("speech_ended", heard.turn, silence=f"{heard.silence:.3f}")
        elif isinstance(heard, Partial):
            self._partial.publish(KeyValue(key=heard.turn, value=heard.text))
        elif isinstance(heard, Heard) and heard.text:
            self.event("text", heard.turn, confidence=f"{heard.confidence:.2f}")
            self._text.publish(KeyValue(key=heard.turn, value=heard.text))

    def close(self) -> None:
        self.ears.close()


def main() -> int:
    return run(SpeechToText)


if __name__ == "__main__":
    sys.exit(main())

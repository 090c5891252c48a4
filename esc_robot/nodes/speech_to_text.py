"""Echo cancelling, voice activity, turn taking, recognition: sound in, the user's words out."""

import sys
import time
from dataclasses import fields

from diagnostic_msgs.msg import KeyValue
from std_msgs.msg import Bool

from esc_robot.audio.echo import EchoCanceller
from esc_robot.listening.ears import (
    Backchannel,
    BargeIn,
    Ears,
    EarsEvent,
    Heard,
    Hold,
    Partial,
    SpeechEnded,
    SpeechStarted,
)
from esc_robot.listening.endpointing import EndpointerParameters
from esc_robot.listening.recognizer import RECOGNIZERS, make_recognizer
from esc_robot.nodes.base import Node, Sound, decode_event, microphone_sound, run

#: The timeline's events in which somebody is busy: no silence.
SOMEBODY = {"speech_started", "speech_ended", "text", "first_token", "sentence_started", "turn_finished",
            "turn_interrupted"}


class SpeechToText(Node):
    """Listens all the time: who speaks against the robot gets the floor, who says "mhm" leaves it to the robot."""

    def __init__(self):
        super().__init__("speech_to_text")
        recognizer = make_recognizer(
            self.parameter("recogniser", "whisper", "which recogniser listens", choices=RECOGNIZERS),
            self.parameter("threads", 2, "processor threads of whisper", 1, 16),
            self.parameter("vosk_model", "", "folder of a Vosk model; empty: the best that can be had"))
        self._prompt_after = self.parameter(
            "prompt_after", 45.0, "seconds in which nobody speaks before the robot says a word; 0: never", 0.0, 3600.0)
        self.ears = Ears(recognizer, EndpointerParameters(**{
            item.name: self.parameter(item.name, item.default, item.metadata["description"],
                                      item.metadata["low"], item.metadata["high"])
            for item in fields(EndpointerParameters)}))
        self.echo = EchoCanceller()
        self._activity = self.publisher("/speech/activity")
        self._partial = self.publisher("/speech/partial")
        self._text = self.publisher("/speech/text")
        self._hold = self.publisher("/conversation/hold")
        self._interrupt = self.publisher("/conversation/interrupt")
        self._speaking: set[str] = set()        # turns of the robot that sound
        self._silent_since: float | None = None     # None: nobody has spoken yet, or the robot has said its word
        self.listen("/audio/microphone", self._on_sound, microphone_sound)
        self.listen("/audio/played", lambda sound: self.echo.played(sound.pcm), microphone_sound)
        self.listen("/conversation/event", self._on_event, decode_event)
        self.create_timer(0.05, self._on_timer)
        self.get_logger().info(f"listening with {recognizer.name}")
        self.figures = {"recogniser": recognizer.name}
        self.ready()

    def _on_event(self, event) -> None:
        if event.name == "sentence_started":
            self._speaking.add(event.turn)
        elif event.name in ("turn_finished", "turn_interrupted"):
            self._speaking.discard(event.turn)
        if event.name == "speech_started" or event.name in SOMEBODY and self._silent_since is not None:
            self._silent_since = time.monotonic()
        self._tell(self.ears.robot(bool(self._speaking)))

    def _on_sound(self, sound: Sound) -> None:
        self._tell(self.ears.feed(self.echo.clean(sound.pcm), self.echo.hiss))

    def _on_timer(self) -> None:
        self._tell(self.ears.poll())
        silent = time.monotonic() - (self._silent_since or time.monotonic())
        if self._prompt_after and silent > self._prompt_after and not self._speaking and not self.ears.busy:
            self._silent_since = None
            self.event("long_silence", f"silence-{int(time.time())}", seconds=round(silent))

    def _tell(self, events: list[EarsEvent]) -> None:
        for event in events:
            self._tell_one(event)

    def _tell_one(self, heard: EarsEvent) -> None:
        match heard:
            case SpeechStarted():
                self._activity.publish(Bool(data=True))
                self.event("speech_started", heard.turn)
            case SpeechEnded():
                self._activity.publish(Bool(data=False))
                self.event("speech_ended", heard.turn, silence=f"{heard.silence:.3f}")
            case Partial():
                self._partial.publish(KeyValue(key=heard.turn, value=heard.text))
            case Hold():
                self._hold.publish(Bool(data=heard.held))
            case BargeIn():
                self.event("barge_in", heard.turn)
                for turn in self._speaking:
                    self._interrupt.publish(KeyValue(key=turn, value="barge-in"))
            case Backchannel():
                self.event("backchannel", heard.turn)
            case Heard() if heard.text:
                self.event("text", heard.turn, confidence=f"{heard.confidence:.2f}")
                self._text.publish(KeyValue(key=heard.turn, value=heard.text))
                self.figures |= {"decoding_ms": round(self.ears.decoding * 1000),
                                 "confidence": f"{heard.confidence:.2f}",
                                 "real_time_factor": f"{self.ears.real_time_factor:.2f}"}

    def close(self) -> None:
        self.ears.close()


def main() -> int:
    return run(SpeechToText)


if __name__ == "__main__":
    sys.exit(main())

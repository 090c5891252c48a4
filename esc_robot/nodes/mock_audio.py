"""A user and a sound card that are not there: speaks lines as the microphone, plays the robot, records both sides."""

import sys
import time
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

from esc_robot import assets
from esc_robot.audio.echo import EchoPath
from esc_robot.audio.playback import Playback
from esc_robot.audio.script import RATE, Recording, Script, State, recorded_lines, spoken_lines
from esc_robot.audio.wavefile import write_wav
from esc_robot.nodes.base import Node, Sound, decode_event, decode_sound, encode_sound, run, tell_playback

#: The user speaks when these nodes say that they run.
NEEDED = {"speech_to_text", "dialogue", "text_to_speech", "gesture"}
FRAME_S = 0.02


class MockAudio(Node):
    """Real time: each tick takes the samples that the clock owes, from the script and from the robot's playback."""

    def __init__(self):
        super().__init__("mock_audio")
        lines = self.parameter("lines", "", "text file, one line a turn; empty: the demonstration's")
        wav = self.parameter("wav", "", "recording of a person, 16 kHz mono wave, played in place of lines")
        voice = self.parameter("voice", "slt", "flite's voice that speaks the lines")
        pause = self.parameter("pause", 0.8, "seconds of silence before each line", 0.0, 60.0)
        timeout = self.parameter("answer_timeout", 60.0, "seconds to wait for an answer before the next line", 1.0,
                                 600.0)
        self.out = self.parameter("out", "", "folder for conversation.wav (left: user, right: robot); empty: none")
        self.echo = EchoPath(
            self.parameter("echo_gain", 0.0, "how much of the robot's sound its microphone hears", 0.0, 2.0),
            self.parameter("echo_delay", 0.08, "seconds until it does", 0.0, 0.5))
        spoken = recorded_lines(Path(wav)) if wav else spoken_lines(
            Path(lines) if lines else assets.config("demo_lines.txt"), voice)
        self.script = Script(spoken, pause, timeout)
        self.playback = Playback(RATE)
        self.recording = Recording()
        self._awake: set[str] = set()
        self._began = 0.0
        self._done = 0
        self._microphone = self.publisher("/audio/microphone")
        self._played = self.publisher("/audio/played")
        self.listen("/audio/speaker", self._on_sound, decode_sound)
        self.listen("/conversation/interrupt", lambda message: self.playback.interrupt(message.key))
        self.listen("/conversation/hold", lambda message: self.playback.hold(message.data))
        self.listen("/conversation/event", self._on_event, decode_event)
        self.listen("/diagnostics", self._on_diagnostics)
        self._timer = self.create_timer(FRAME_S, self._tick)
        self.ready("waiting for the robot to wake up")

    def _on_diagnostics(self, message) -> None:
        self._awake |= {status.name for status in message.status if status.level == DiagnosticStatus.OK}

    def _on_sound(self, sound: Sound) -> None:
        if sound.last:
            self.playback.end(sound.turn)
        else:
            self.playback.push(sound.turn, sound.sentence, sound.pcm, sound.rate)

    def _on_event(self, event) -> None:
        if event.name == "sentence_started":
            self.script.answering()
        elif event.name == "turn_finished":
            self.script.answered()

    def _tick(self) -> None:
        if not self._began:
            if not self._awake >= NEEDED:
                return
            self._began = time.time()
            self.ready("talking")
        due = int((time.time() - self._began) * RATE) - self._done
        if due <= 0:
            return
        at = self._began + self._done / RATE
        robot, events = self.playback.pull(due)
        if self.script.state is State.DONE:
            user = np.zeros(due, np.int16)
        else:
            user, line = self.script.pull(due)
            if line is not None:
                self.event("user_speaks", "", at, said=line.said, ends_at=at + line.speech_samples / RATE)
        self._done += due
        self._played.publish(encode_sound(Sound(robot, RATE)))
        heard = (user + self.echo.through(robot).astype(np.int32)).clip(-32768, 32767).astype(np.int16)
        self._microphone.publish(encode_sound(Sound(heard, RATE)))
        tell_playback(self, events, at, RATE)
        self._keep(user, robot)

    def _keep(self, user: np.ndarray, robot: np.ndarray) -> None:
        if self.recording is None:
            return
        self.recording.add(user, robot)
        if self.script.state is State.DONE:
            path = ""
            if self.out:
                path = Path(self.out) / "conversation.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_wav(path, self.recording.pcm(), RATE)
            self.recording = None       # what follows, typed on the page perhaps, is not recorded
            self.event("script_finished", recording=path)


def main() -> int:
    return run(MockAudio)


if __name__ == "__main__":
    sys.exit(main())

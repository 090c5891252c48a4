"""The page in the browser: shows the conversation and the robot, and takes the person's words, sound and Stop."""

import json
import math
import sys
import threading
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.callback_groups import CallbackGroup
from sensor_msgs.msg import JointState
from std_msgs.msg import Int64, String
from std_srvs.srv import SetBool, Trigger

from esc_robot.assets import wheel_files
from esc_robot.audio.playback import Playback
from esc_robot.audio.resample import StreamResampler
from esc_robot.body.profile import load_profile
from esc_robot.nodes.base import (
    BadMessage,
    Node,
    Sound,
    decode_event,
    decode_pair,
    decode_sound,
    encode_sound,
    run,
    tell_playback,
)
from esc_robot.web.help_lines import help_lines
from esc_robot.web.model import robot_drawing
from esc_robot.web.server import Actions, PageServer
from esc_robot.web.state import PageState

EARS_RATE = 16000
#: Poses go to the pages no faster than this, and only when a joint has moved by as much (rad).
POSE_S = 1 / 20
MOVED = 0.001
#: The clock of the sound that plays in the browser.
PLAYBACK_S = 0.02
#: After a page's microphone has ended, the ears get so much silence (s): they hear that the utterance is over.
SILENCE_S = 1.5


class Web(Node):
    """With ``audio`` the browser is the robot's microphone and loudspeaker. Without it the sound devices are, or
    mock audio: then a page can play the robot's voice too, but gives no sound to the ears, where two microphones
    would mix."""

    def __init__(self):
        super().__init__("web")
        profile = load_profile(self.parameter("robot", "talos", "robot profile: a name under config/robots"))
        host = self.parameter("host", "127.0.0.1", "address of the page; one that others can reach wants a token")
        port = self.parameter("port", 8080, "port of the page", 1, 65535)
        token = self.parameter("token", "", "what the page asks others for; 12 characters or more")
        country = self.parameter("country", "default", "whose crisis lines stand first: a key of care/lines.yaml")
        audio = self.parameter("audio", False, "the browser is the robot's microphone and loudspeaker")
        self.drawing = robot_drawing(profile)
        self.state, self._lock = PageState(), threading.Lock()
        self._chat, self._interrupt = self.publisher("/chat/text"), self.publisher("/conversation/interrupt")
        self._forget = self.publisher("/memory/forget")
        self._consent, self._memory_list = self.client("/memory/consent"), self.client("/memory/list")
        self._forget_all = self.client("/memory/forget_everything")
        self._memory: dict | None = None        # as /memory/list tells it; None: not known
        self._microphone = self.publisher("/audio/microphone") if audio else None
        self._resampler: StreamResampler | None = None
        self.playback = Playback(EARS_RATE) if audio else None
        self._clock = self.create_timer(PLAYBACK_S, self._play, autostart=False) if audio else None
        self._pulled_until = 0.0
        self._pose: list[float | None] = []
        self._closed, self._follower = threading.Event(), None
        actions = Actions(self._snapshot, self._say, self._stop, self._on_microphone if audio else None,
                          self._remember, self._forget_fact)
        about = {"robot": profile.title, "help": help_lines(country), "own_sound": audio}
        three_js = wheel_files("nicegui") / "index.js"
        self.server = PageServer(host, port, token, actions, about, self.drawing, three_js)
        self.server.start()
        self._listen()
        if self.drawing:
            self._joint_states = self.create_subscription(JointState, "/joint_states", lambda message: None, 1,
                                                          callback_group=Polled())
            self._follower = threading.Thread(target=self._follow, daemon=True)
            self._follower.start()
        self.get_logger().info(f"the page is on {self.server.address}")
        self.ready()

    def _listen(self) -> None:
        self.listen("/chat/text", self._shown(lambda text: self.state.typed(text, time.time())), decode_line)
        self.listen("/speech/activity", self._shown(lambda message: self.state.listening(message.data)))
        self.listen("/speech/partial", self._shown(lambda pair: self.state.partial(*pair)), decode_pair)
        self.listen("/speech/text", self._shown(lambda pair: self.state.heard(*pair)), decode_pair)
        self.listen("/dialogue/strategy", self._shown(lambda pair: self.state.strategy(*pair)), decode_pair)
        self.listen("/dialogue/reply", self._shown(lambda pair: self.state.reply(*pair)), decode_pair)
        self.listen("/dialogue/end", self._shown(lambda pair: self.state.written(pair[0])), decode_pair)
        self.listen("/speech/words", self._shown(lambda words: self.state.words(*words, time.time())), decode_words)
        self.listen("/conversation/event", self._shown(
            lambda event: self.state.event(event.name, event.turn, event.stamp, event.values)), decode_shown_event)
        self.listen("/conversation/interrupt", self._on_interrupt)
        self.listen("/conversation/hold", lambda message: self._on_hold(message.data))
        self.listen("/conversation/forget", self._shown(lambda gone: self.state.forgotten(gone.key, gone.value)))
        self.listen("/memory/state", lambda message: self._ask_memory())
        self.listen("/diagnostics", self._on_diagnostics)
        self.listen("/audio/speaker", self._on_sound, decode_sound)

    def _shown(self, change):
        """A callback that changes the page's state and tells the pages what came of it."""
        def callback(decoded):
            with self._lock:
                updates = change(decoded)
            self.server.tell(updates)
        return callback

    def _snapshot(self) -> dict:
        self._pose = []     # a new page wants the pose, moved or not
        with self._lock:
            return self.state.snapshot() | {"memory": self._memory}

    def _say(self, text: str) -> None:
        self._chat.publish(String(data=text))

    def _stop(self) -> None:
        self._interrupt.publish(KeyValue(key="", value="stopped on the page"))

    def _remember(self, agreed: bool) -> None:
        self._call(self._consent, SetBool.Request(data=agreed), self._on_memory_changed)

    def _forget_fact(self, number: int | None) -> None:
        """None: everything."""
        if number is None:
            self._call(self._forget_all, Trigger.Request(), self._on_memory_changed)
        else:
            self._forget.publish(Int64(data=number))

    def _ask_memory(self) -> None:
        self._call(self._memory_list, Trigger.Request(), self._on_memory)

    def _call(self, client, request, done) -> None:
        if client.service_is_ready():
            client.call_async(request).add_done_callback(lambda future: done(future.result()))
        elif client is not self._memory_list:
            self.server.tell([{"memory_failed": True}])

    def _on_memory_changed(self, response) -> None:
        if not response.success:
            self.server.tell([{"memory_failed": True}])

    def _on_memory(self, response) -> None:
        self._memory = json.loads(response.message)
        self.server.tell([{"memory": self._memory}])

    def _on_interrupt(self, message) -> None:
        if self.playback:
            self.playback.interrupt(message.key)
            self._wake_clock()
        with self._lock:
            updates = self.state.interrupted(message.key)
        self.server.tell(updates)

    def _on_hold(self, held: bool) -> None:
        if self.playback:
            self.playback.hold(held)
            self._wake_clock()
        self.server.tell([{"hold": held}])

    def _on_diagnostics(self, message) -> None:
        for status in message.status:
            if status.name == "dialogue" and self._memory is None:
                self._ask_memory()
            with self._lock:
                updates = self.state.alive(status.name, status.level == DiagnosticStatus.OK, time.time())
            self.server.tell(updates)

    def _follow(self) -> None:
        """In a thread of its own: while a page is open, the newest pose, if it is another, goes there."""
        while not self._closed.wait(POSE_S):
            if self.server.pages and (taken := self._joint_states.handle.take_message(JointState, False)):
                self._show_pose(taken[0])

    def _show_pose(self, message: JointState) -> None:
        known = {name: round(position, 4) for name, position in zip(message.name, message.position, strict=False)
                 if math.isfinite(position)}
        pose = [known.get(joint) for joint in self.drawing.joints]
        if len(pose) != len(self._pose) or any(map(_moved, pose, self._pose)):
            self.server.pose(pose)
            self._pose = pose

    def _on_sound(self, sound: Sound) -> None:
        if not sound.last:
            self.server.sound(sound.turn, sound.rate, sound.pcm.tobytes())
        if self.playback is None:
            return
        if sound.last:
            self.playback.end(sound.turn)
        else:
            self.playback.push(sound.turn, sound.sentence, sound.pcm, sound.rate)
        self._wake_clock()

    def _wake_clock(self) -> None:
        if self._clock.is_canceled():
            self._pulled_until = time.time()
            self._clock.reset()

    def _play(self) -> None:
        """The pages play a sentence as they get it; this is the clock that says when each begins and ends."""
        began = self._pulled_until
        samples = int((time.time() - began) * EARS_RATE)
        if samples <= 0:
            return
        _, events = self.playback.pull(samples)
        self._pulled_until = began + samples / EARS_RATE
        tell_playback(self, events, began, EARS_RATE)
        if self.playback.idle:
            self._clock.cancel()

    def _on_microphone(self, pcm: bytes | None, rate: int) -> None:
        if pcm is None:
            self._resampler = None
            heard = np.zeros(int(SILENCE_S * EARS_RATE), np.int16)
        else:
            self._resampler = self._resampler or StreamResampler(rate, EARS_RATE)
            heard = self._resampler.feed(np.frombuffer(pcm, np.int16))
        if len(heard):
            self._microphone.publish(encode_sound(Sound(heard, EARS_RATE)))

    def close(self) -> None:
        self._closed.set()
        if self._follower:
            self._follower.join(timeout=2)
        self.server.close()


class Polled(CallbackGroup):
    """Its subscriptions wake no executor, which costs more than 1 ms each time: 50 times a second for a pose that is
    drawn 20 times at most. Whoever wants a message takes it."""

    def can_execute(self, entity) -> bool:
        return False


def _moved(position: float | None, before: float | None) -> bool:
    if position is None or before is None:
        return position is not before
    return abs(position - before) > MOVED


def decode_line(message) -> str:
    if not message.data.strip():
        raise BadMessage("the line is empty")
    return message.data


def decode_shown_event(message):
    event = decode_event(message)
    try:
        float(event.values.get("silence", 0)), int(event.values.get("sentence", 0))
    except ValueError:
        raise BadMessage(f"a value of the event {event.name} is no number") from None
    return event


def decode_words(message) -> tuple:
    """(turn id, sentence index, stamp, [(word, start, end)]) with times in s after the stamp."""
    event = decode_event(message)
    try:
        words = [(value.key, *map(float, value.value.split())) for value in message.status[0].values]
        return event.turn, int(message.status[0].message), event.stamp, words
    except ValueError as error:
        raise BadMessage(f"words want a sentence index and \"start end\" ({error})") from None


def main() -> int:
    return run(Web)


if __name__ == "__main__":
    sys.exit(main())

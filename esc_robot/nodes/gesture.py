"""The body while the robot speaks, listens and waits: each stroke on the word it belongs to."""

import math
import sys
import time
from collections import deque
from dataclasses import dataclass, field, replace

from diagnostic_msgs.msg import KeyValue
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from esc_robot.body.gestures import library
from esc_robot.body.joint_angles import STREAM_HZ, AngleStream, JointAngles
from esc_robot.body.motion import Plan, State, Trajectory
from esc_robot.body.profile import load_profile
from esc_robot.body.scheduler import Scheduler, words_of
from esc_robot.body.simulation import Prediction
from esc_robot.care.crisis import recognise
from esc_robot.graph import TOPICS
from esc_robot.nodes.base import (
    BadMessage,
    Node,
    decode_event,
    decode_joint_states,
    decode_pair,
    encode_trajectory,
    finite,
    interface,
    run,
)

#: A turn's words are forgotten after so many turns.
TURNS_KEPT = 4
#: How often the body may move of itself, s.
TICK_S = 0.1
#: From choosing a movement to the robot's beginning it, s: planning, and the way there.
LEAD_S = 0.03
#: The same where a stroke has a time to meet: on a busy machine the way can be as long.
STROKE_LEAD_S = 0.1
#: A robot's clock is this one when of its last joint states one came so soon (s) by it.
SAME_CLOCK_S = 0.05
#: Nothing large moves for so long after words of suicide or self-harm, and after words of grief, s.
CRISIS_S = 3600.0
GRIEF_S = 120.0


@dataclass
class SpokenTurn:
    """What is known of a turn under way: the strategy, the robot's sentences in order."""

    strategy: str = ""
    sentences: list[str] = field(default_factory=list)
    over: bool = False


class Gesture(Node):
    """Sends the scheduler's plans to the robot's controllers."""

    def __init__(self):
        super().__init__("gesture")
        self.profile = load_profile(self.parameter("robot", "talos", "robot profile: a name or a path"))
        self.library = library()
        self.scheduler = Scheduler(self.profile, self.library)
        self.scheduler.prepare()
        self._body = Prediction(self.profile, open_loop=self.profile.interface == "joint_angles")
        self._send = self._stream() if self.profile.interface == "joint_angles" else self._trajectories()
        self._clock_offs: deque[float] = deque(maxlen=50)
        self._interrupt = self.publisher("/conversation/interrupt")
        self._turns: dict[str, SpokenTurn] = {}
        self._gentle_until = 0.0
        self._gestured: tuple[str, int] | None = None      # the sentence that the last stroke belongs to
        self._stroke_at = 0.0
        self.listen("/speech/activity", self._on_activity)
        self.listen("/speech/text", lambda pair: self._on_heard(pair[1]), decode_pair)
        self.listen("/chat/text", lambda line: self._on_heard(line.data))
        self.listen("/dialogue/strategy", self._on_strategy, decode_pair)
        self.listen("/dialogue/reply", self._on_reply, decode_pair)
        self.listen("/speech/words", self._on_words, decode_words)
        self.listen("/speech/words_ahead", self._on_words, decode_words)
        self.listen("/conversation/event", self._on_event, decode_event)
        self.listen("/conversation/hold", self._on_hold)
        self.listen("/joint_states", self._on_joint_states, decode_joint_states)
        self.create_service(Trigger, "/robot/stop", self._on_stop)
        self.create_timer(TICK_S, self._on_tick)
        self.ready()

    def _trajectories(self):
        """Sends what to play to each controller's topic."""
        depth = TOPICS["/<controller>/joint_trajectory"].depth
        controllers = {name: self.create_publisher(JointTrajectory, self.profile.topic.format(controller=name), depth)
                       for name in self.profile.controllers}

        def send(trajectories: dict[str, Trajectory]) -> None:
            for controller, trajectory in trajectories.items():
                controllers[controller].publish(encode_trajectory(trajectory))
        return send

    def _stream(self):
        """Sends nothing at once, and positions while the body moves."""
        message_type = interface("naoqi_bridge_msgs", "msg", "JointAnglesWithSpeed")
        publisher = self.create_publisher(message_type, self.profile.topic, STREAM_HZ)
        stream = AngleStream(self.profile, self._body)

        def tick() -> None:
            target = stream.next(time.time())
            if target is not None:
                publisher.publish(encode_angles(target, message_type))
        self.create_timer(1 / STREAM_HZ, tick)
        return lambda trajectories: None

    def _turn(self, turn_id: str) -> SpokenTurn:
        if turn_id not in self._turns:
            self._turns[turn_id] = SpokenTurn()
            while len(self._turns) > TURNS_KEPT:
                del self._turns[next(iter(self._turns))]
        return self._turns[turn_id]

    def _start(self, lead: float = LEAD_S) -> tuple[float, State]:
        """When a movement chosen now would begin, and where the joints will be then."""
        start = time.time() + lead
        return start, self._body.at(start)

    def _play(self, made: Plan | None, start: float) -> None:
        if made is not None:
            self._send(made.trajectories)
            self._body.told(made.trajectories, start)

    def _play_in_time(self, made: Plan, start: float) -> None:
        """Played as soon as it comes, and in time: every point's time counts from the start."""
        if min(self._clock_offs, default=math.inf) > SAME_CLOCK_S:
            self._play(made, start)
            return
        timed = {name: replace(trajectory, start=start) for name, trajectory in made.trajectories.items()}
        self._send(timed)
        self._body.told(timed, min(time.time(), start))

    def _on_activity(self, message) -> None:
        start, state = self._start()
        self._play(self.scheduler.listen(start, state, message.data), start)

    def _on_heard(self, words: str) -> None:
        """Kept is only until when the body stays gentle."""
        seconds_long = CRISIS_S if recognise(words) else GRIEF_S if self.library.is_gentle(words) else 0.0
        self._gentle_until = max(self._gentle_until, time.time() + seconds_long)

    def _on_strategy(self, pair) -> None:
        self._turn(pair[0]).strategy = pair[1]

    def _on_reply(self, pair) -> None:
        self._turn(pair[0]).sentences.append(pair[1])

    def _on_joint_states(self, measured: tuple[float, State]) -> None:
        stamp, state = measured
        self._clock_offs.append(abs(time.time() - stamp))
        # A robot whose clock is another one: its joint states then count from when they come.
        self._body.measured(state, stamp if abs(time.time() - stamp) < 0.5 else time.time())

    def _on_words(self, words: "SentenceWords") -> None:
        turn = self._turn(words.turn)
        told_again = (words.turn, words.sentence) == self._gestured
        if words.sentence >= len(turn.sentences) or told_again or turn.over:
            return
        sentence = turn.sentences[words.sentence]
        start, state = self._start(STROKE_LEAD_S)
        gentle = start < self._gentle_until or any(map(self.library.is_gentle, turn.sentences))
        spoken = words_of(sentence, [words.stamp + word_start for word_start in words.starts])
        scheduled = self.scheduler.speak(start, state, sentence, spoken, turn.strategy, gentle)
        if scheduled is not None:
            self._play_in_time(scheduled.plan, start)
            self._gestured, self._stroke_at = (words.turn, words.sentence), scheduled.stroke_at
            word = scheduled.word
            self.event("gesture", words.turn, name=scheduled.gesture, sentence=words.sentence,
                       word=word.text if word else "", word_at=f"{word.start:.3f}" if word else "",
                       stroke_at=f"{scheduled.stroke_at:.3f}")

    def _on_event(self, event) -> None:
        if event.name == "turn_interrupted":
            self._turn(event.turn).over = True
            self._stop()

    def _on_hold(self, message) -> None:
        """A stroke would come before its word, which waits: another one is planned when the sentence goes on."""
        if message.data and time.time() < self._stroke_at:
            self._gestured = None
            self._stop()

    def _stop(self) -> None:
        self._stroke_at = 0.0
        start, state = self._start()
        self._play(self.scheduler.stop(start, state), start)

    def _on_stop(self, _request, response):
        self._stop()
        self._interrupt.publish(KeyValue(key="", value="/robot/stop was called"))
        response.success = True
        response.message = "the body stands still and then rests; what was being said is dropped"
        return response

    def _on_tick(self) -> None:
        start, state = self._start()
        self._play(self.scheduler.tick(start, state), start)


@dataclass(frozen=True)
class SentenceWords:
    """A sentence that begins to sound at stamp (s of the system clock); starts: of its words, s after stamp."""

    turn: str
    sentence: int
    stamp: float
    starts: tuple[float, ...]


def decode_words(message) -> SentenceWords:
    event = decode_event(message)
    try:
        starts = tuple(float(value.value.split()[0]) for value in message.status[0].values)
        sentence = int(message.status[0].message)
    except (ValueError, IndexError) as error:
        raise BadMessage(f"words want a sentence index and \"start end\" ({error})") from None
    if not starts or not finite(starts):
        raise BadMessage("there are no words in it, or a time is no number")
    return SentenceWords(event.turn, sentence, event.stamp, starts)


def encode_angles(target: JointAngles, message_type):
    """naoqi_bridge_msgs/JointAnglesWithSpeed: absolute angles."""
    return message_type(joint_names=list(target.joints), joint_angles=list(target.angles), speed=target.speed,
                        relative=0)


def main() -> int:
    return run(Gesture)


if __name__ == "__main__":
    sys.exit(main())

"""The body while the robot speaks, listens and waits: each stroke on the word it belongs to."""

import sys
import time
from dataclasses import dataclass, field

from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import KeyValue
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from esc_robot.body.gestures import library
from esc_robot.body.motion import Plan, State, Trajectory
from esc_robot.body.profile import load_profile
from esc_robot.body.scheduler import Scheduler, words_of
from esc_robot.graph import TOPICS
from esc_robot.nodes.base import BadMessage, Node, decode_event, decode_pair, finite, run

#: A turn's words are forgotten after so many turns.
TURNS_KEPT = 4
#: How often the body may move of itself, s.
TICK_S = 0.1


@dataclass
class SpokenTurn:
    """What is known of a turn under way: the user's words, the strategy, the robot's sentences in order."""

    heard: str = ""
    strategy: str = ""
    sentences: list[str] = field(default_factory=list)


class Gesture(Node):
    """Sends the scheduler's plans to the robot's controllers."""

    def __init__(self):
        super().__init__("gesture")
        self.profile = load_profile(self.parameter("robot", "talos", "robot profile: a name under config/robots"))
        self.library = library()
        self.scheduler = Scheduler(self.profile, self.library)
        self.scheduler.prepare()
        depth = TOPICS["/<controller>/joint_trajectory"].depth
        self._controllers = {
            name: self.create_publisher(JointTrajectory, self.profile.topic.format(controller=name), depth)
            for name in self.profile.controllers}
        self._interrupt = self.publisher("/conversation/interrupt")
        self._turns: dict[str, SpokenTurn] = {}
        self._joints = State()
        self.listen("/speech/activity", self._on_activity)
        self.listen("/speech/text", self._on_text, decode_pair)
        self.listen("/dialogue/strategy", self._on_strategy, decode_pair)
        self.listen("/dialogue/reply", self._on_reply, decode_pair)
        self.listen("/speech/words", self._on_words, decode_words)
        self.listen("/conversation/event", self._on_event, decode_event)
        self.listen("/joint_states", self._on_joint_states, decode_joint_states)
        self.create_service(Trigger, "/robot/stop", self._on_stop)
        self.create_timer(TICK_S, self._on_tick)
        self.ready()

    def _turn(self, turn_id: str) -> SpokenTurn:
        if turn_id not in self._turns:
            self._turns[turn_id] = SpokenTurn()
            while len(self._turns) > TURNS_KEPT:
                del self._turns[next(iter(self._turns))]
        return self._turns[turn_id]

    def _on_activity(self, message) -> None:
        self._play(self.scheduler.listen(time.time(), self._joints, message.data))

    def _on_text(self, pair) -> None:
        self._turn(pair[0]).heard = pair[1]

    def _on_strategy(self, pair) -> None:
        self._turn(pair[0]).strategy = pair[1]

    def _on_reply(self, pair) -> None:
        self._turn(pair[0]).sentences.append(pair[1])

    def _on_joint_states(self, joints: State) -> None:
        self._joints = joints

    def _on_words(self, words: "SentenceWords") -> None:
        turn, now = self._turn(words.turn), time.time()
        if words.sentence >= len(turn.sentences):
            return
        sentence = turn.sentences[words.sentence]
        gentle = any(self.library.is_gentle(said) for said in (turn.heard, *turn.sentences))
        spoken = words_of(sentence, [words.stamp + start for start in words.starts])
        scheduled = self.scheduler.speak(now, self._joints, sentence, spoken, turn.strategy, gentle)
        if scheduled is not None:
            self._play(scheduled.plan)
            self.event("gesture", words.turn, name=scheduled.gesture, sentence=words.sentence, word=scheduled.word,
                       stroke_at=f"{scheduled.stroke_at:.3f}")

    def _on_event(self, event) -> None:
        if event.name == "turn_interrupted":
            self._play(self.scheduler.stop(time.time(), self._joints))

    def _on_stop(self, _request, response):
        self._play(self.scheduler.stop(time.time(), self._joints))
        self._interrupt.publish(KeyValue(key="", value="/robot/stop was called"))
        response.success = True
        response.message = "the body stands still and then rests; what was being said is dropped"
        return response

    def _on_tick(self) -> None:
        self._play(self.scheduler.tick(time.time(), self._joints))

    def _play(self, made: Plan | None) -> None:
        for controller, trajectory in made.trajectories.items() if made else ():
            self._controllers[controller].publish(encode_trajectory(trajectory))


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


def decode_joint_states(message) -> State:
    if len(message.position) != len(message.name) or not finite(message.position):
        raise BadMessage("wants one finite position for each name")
    moving = len(message.velocity) == len(message.name) and finite(message.velocity)
    return State(dict(zip(message.name, message.position, strict=True)),
                 dict(zip(message.name, message.velocity, strict=True)) if moving else {})


def encode_trajectory(trajectory: Trajectory) -> JointTrajectory:
    message = JointTrajectory(joint_names=list(trajectory.joints))
    for point in trajectory.points:
        sec, nanosec = divmod(round(point.time * 1e9), 10**9)
        message.points.append(JointTrajectoryPoint(
            positions=list(point.positions), velocities=list(point.velocities), accelerations=list(point.accelerations),
            time_from_start=Duration(sec=sec, nanosec=nanosec)))
    return message


def main() -> int:
    return run(Gesture)


if __name__ == "__main__":
    sys.exit(main())

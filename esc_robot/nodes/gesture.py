"""A gesture that fits the words, its stroke on the word it belongs to."""

import sys
import time
from dataclasses import dataclass, field

from builtin_interfaces.msg import Duration
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from esc_robot.body.gestures import library
from esc_robot.body.motion import Plan, State, Trajectory, plan, soft_stop
from esc_robot.body.profile import load_profile
from esc_robot.graph import TOPICS
from esc_robot.nodes.base import BadMessage, Node, decode_event, decode_pair, finite, run

#: A turn's words are forgotten after so many turns.
TURNS_KEPT = 4


@dataclass
class SpokenTurn:
    """What is known of a turn under way: its strategy and its sentences in order."""

    strategy: str = ""
    sentences: list[str] = field(default_factory=list)


class Gesture(Node):
    """Chooses a gesture as a sentence begins to sound, and sends it to the robot's controllers."""

    def __init__(self):
        super().__init__("gesture")
        self.profile = load_profile(self.parameter("robot", "talos", "robot profile: a name under config/robots"))
        self.library = library()
        depth = TOPICS["/<controller>/joint_trajectory"].depth
        self._controllers = {
            name: self.create_publisher(JointTrajectory, self.profile.topic.format(controller=name), depth)
            for name in self.profile.controllers}
        self._turns: dict[str, SpokenTurn] = {}
        self._joints = State()
        self._previous, self._busy_until = None, 0.0
        for gesture in self.library.gestures.values():      # solves the arms' poses now, not while somebody waits
            plan(gesture, self.profile, self._joints)
        self.listen("/dialogue/strategy", self._on_strategy, decode_pair)
        self.listen("/dialogue/reply", self._on_reply, decode_pair)
        self.listen("/speech/words", self._on_words, decode_words)
        self.listen("/conversation/event", self._on_event, decode_event)
        self.listen("/joint_states", self._on_joint_states, decode_joint_states)
        self.ready()

    def _turn(self, turn_id: str) -> SpokenTurn:
        if turn_id not in self._turns:
            self._turns[turn_id] = SpokenTurn()
            while len(self._turns) > TURNS_KEPT:
                del self._turns[next(iter(self._turns))]
        return self._turns[turn_id]

    def _on_strategy(self, pair) -> None:
        self._turn(pair[0]).strategy = pair[1]

    def _on_reply(self, pair) -> None:
        self._turn(pair[0]).sentences.append(pair[1])

    def _on_joint_states(self, state: State) -> None:
        self._joints = state

    def _on_words(self, words: "SentenceWords") -> None:
        turn, now = self._turn(words.turn), time.time()
        # A gesture is not broken off for the next one: a later sentence moves the body only when the body is free.
        if words.sentence >= len(turn.sentences) or (words.sentence > 0 and now < self._busy_until):
            return
        sentence = turn.sentences[words.sentence]
        gentle = any(self.library.is_gentle(said) for said in turn.sentences)
        gesture = self.library.choose(turn.strategy, sentence, self._previous, gentle)
        cue = gesture.cue_in(sentence)
        word = words.at(sentence, cue.start()) if cue else words.middle()
        made = plan(gesture, self.profile, self._joints, max(0.0, words.stamp + word[1] - now))
        self._play(made)
        self._previous, self._busy_until = gesture.name, now + made.seconds
        self.event("gesture", words.turn, name=gesture.name, sentence=words.sentence, word=word[0],
                   stroke_at=f"{now + made.stroke:.3f}")

    def _on_event(self, event) -> None:
        if event.name == "turn_interrupted":
            self._play(soft_stop(self.profile, self._joints))
            self._busy_until = 0.0

    def _play(self, made: Plan) -> None:
        for controller, trajectory in made.trajectories.items():
            self._controllers[controller].publish(encode_trajectory(trajectory))


@dataclass(frozen=True)
class SentenceWords:
    """The words of a sentence that begins to sound at stamp (s): (word, start in s after stamp)."""

    turn: str
    sentence: int
    stamp: float
    words: tuple[tuple[str, float], ...]

    def at(self, sentence: str, character: int) -> tuple[str, float]:
        """The word at a character of the sentence."""
        number = len(sentence[:character].split())
        return self.words[min(number, len(self.words) - 1)]

    def middle(self) -> tuple[str, float]:
        """A stroke that belongs to no word in particular falls on the sentence's middle one."""
        return self.words[len(self.words) // 2]


def decode_words(message) -> SentenceWords:
    event = decode_event(message)
    try:
        words = tuple((value.key, float(value.value.split()[0])) for value in message.status[0].values)
        sentence = int(message.status[0].message)
    except (ValueError, IndexError) as error:
        raise BadMessage(f"words want a sentence index and \"start end\" ({error})") from None
    if not words or not finite(start for _, start in words):
        raise BadMessage("there are no words in it, or a time is no number")
    return SentenceWords(event.turn, sentence, event.stamp, words)


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

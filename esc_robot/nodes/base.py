"""What every node is made of: parameters, topics of the table, the timeline, diagnostics, a clean end."""

import array
import importlib
import math
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node as RosNode
from std_msgs.msg import Int16MultiArray, MultiArrayDimension
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from esc_robot.body.motion import Point, State, Trajectory
from esc_robot.errors import Problem
from esc_robot.graph import EVENTS, SERVICES, TOPICS


@dataclass(frozen=True)
class Event:
    """A point of the conversation's timeline (names and values: graph.EVENTS). stamp: s of the system clock."""

    name: str
    turn: str
    stamp: float
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sound:
    """PCM of a sentence (turn, sentence index), of the microphone (no turn), or the mark that a turn ends (last)."""

    pcm: np.ndarray
    rate: int
    turn: str = ""
    sentence: int = 0
    last: bool = False


class BadMessage(ValueError):
    """A message that cannot be used; it is dropped with a warning."""


class Node(RosNode):
    """A ROS node that takes its topics from the table, and says on /diagnostics once a second how it is."""

    def __init__(self, name: str):
        super().__init__(name)
        self.figures: dict[str, object] = {}
        self._health, self._health_text = DiagnosticStatus.WARN, "starting"
        self._dropped = 0
        self._diagnostics = self.publisher("/diagnostics")
        self._events = self.publisher("/conversation/event")
        self.create_timer(1.0, self._diagnose)

    def parameter(self, name: str, default, description: str, low=None, high=None, choices: tuple = ()):
        """Declare a parameter that is read once, at start, and return its value.

        low, high: range, both or neither. choices: the allowed values. Raises Problem for a value outside them.
        """
        descriptor = ParameterDescriptor(description=description, read_only=True)
        if choices:
            descriptor.additional_constraints = f"one of: {', '.join(map(str, choices))}"
        if low is not None and isinstance(default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
        elif low is not None:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
        bounds = f"between {low} and {high}" if low is not None else descriptor.additional_constraints or "of its kind"
        try:
            value = self.declare_parameter(name, default, descriptor).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            given = self._parameter_overrides.get(name)
            raise Problem(f"parameter {self.get_name()}.{name}", given.value if given else "",
                          f"must be a {type(default).__name__} {bounds}") from error
        if choices and value not in choices:
            raise Problem(f"parameter {self.get_name()}.{name}", value, f"must be {bounds}")
        return value

    def publisher(self, topic: str):
        return self.create_publisher(_message(topic), topic, TOPICS[topic].depth)

    def listen(self, topic: str, callback, decode=lambda message: message) -> None:
        """Call ``callback(decode(message))`` for each message; one that cannot be used is dropped with a warning."""
        self.create_subscription(_message(topic), topic, self.guarded(topic, callback, decode), TOPICS[topic].depth)

    def serve(self, service: str, answer) -> None:
        """``answer(request, response)`` fills the response in."""
        def on_request(request, response):
            answer(request, response)
            return response
        self.create_service(_service(service), service, on_request)

    def client(self, service: str):
        return self.create_client(_service(service), service)

    def guarded(self, topic, callback, decode):
        def on_message(message):
            try:
                decoded = decode(message)
            except BadMessage as error:
                self._dropped += 1
                self.get_logger().warning(f"dropped a message on {topic}: {error}")
                return
            callback(decoded)
        return on_message

    def event(self, name: str, turn: str = "", stamp: float | None = None, /, **values) -> None:
        """Put a point on the conversation's timeline; stamp: s of the system clock, now when left out."""
        if name not in EVENTS:
            raise KeyError(name)
        status = DiagnosticStatus(name=name, hardware_id=turn)
        status.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        self._events.publish(stamped(time.time() if stamp is None else stamp, status))

    def ready(self, state: str = "running") -> None:
        """Everything is loaded: from now on the node's diagnostics are OK."""
        self._health, self._health_text = DiagnosticStatus.OK, state
        self._diagnose()

    def warn(self, state: str) -> None:
        """The node lives, and something is wrong: said in the log once and on /diagnostics until ready() is called."""
        if state != self._health_text:
            self.get_logger().warning(state)
        self._health, self._health_text = DiagnosticStatus.WARN, state

    def keep_open(self, kept) -> None:
        """Look after a sound device (audio.devices.KeptOpen): how it is stands on /diagnostics."""
        def check() -> None:
            problem = kept.check()
            self.figures = kept.figures
            if problem:
                self.warn(problem)
            elif self._health != DiagnosticStatus.OK:
                self.ready()
        self.create_timer(0.5, check)
        check()

    def work(self, target) -> threading.Thread:
        """Run ``target`` in a thread of its own. When it fails, the node ends, and so is started again."""
        def guarded() -> None:
            try:
                target()
            except Exception:
                if rclpy.ok():      # else it only met the end of the node in the middle of a message
                    traceback.print_exc()
                    os.kill(os.getpid(), signal.SIGTERM)
        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    def _diagnose(self) -> None:
        figures = self.figures | ({"messages dropped": self._dropped} if self._dropped else {})
        status = DiagnosticStatus(level=self._health, name=self.get_name(), message=self._health_text)
        status.values = [KeyValue(key=str(key), value=str(value)) for key, value in figures.items()]
        self._diagnostics.publish(stamped(time.time(), status))

    def close(self) -> None:
        """Release what the node holds (threads, devices, files); called once at the end."""


def _message(topic: str):
    package, name = TOPICS[topic].type.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def _service(name: str):
    package, kind = SERVICES[name].type.split("/")
    return getattr(importlib.import_module(f"{package}.srv"), kind)


def interface(package: str, kind: str, name: str):
    """A message or action type that does not come with every ROS 2. Raises Problem where its package is missing."""
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), name)
    except ImportError:
        raise Problem("ROS package", package, "is not installed; apt install "
                      f"ros-$ROS_DISTRO-{package.replace('_', '-')}, and source ROS 2's setup.bash again") from None


def stamped(stamp: float, status: DiagnosticStatus) -> DiagnosticArray:
    """A DiagnosticArray of one status; stamp in s."""
    message = DiagnosticArray(status=[status])
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(stamp * 1e9), 10**9)
    return message


def seconds(stamp) -> float:
    return stamp.sec + stamp.nanosec * 1e-9


def decode_event(message: DiagnosticArray) -> Event:
    if len(message.status) != 1:
        raise BadMessage(f"{len(message.status)} statuses, an event has one")
    status = message.status[0]
    values = {value.key: value.value for value in status.values}
    return Event(status.name, status.hardware_id, seconds(message.header.stamp), values)


def decode_pair(message: KeyValue) -> tuple[str, str]:
    """(turn id, value)."""
    if not message.key.strip():
        raise BadMessage("its key, the turn id, is empty")
    return message.key, message.value


def encode_sound(sound: Sound) -> Int16MultiArray:
    """array.array, not numpy: rclpy copies it 300 times faster."""
    message = Int16MultiArray(data=array.array("h", sound.pcm.tobytes()))
    dimensions = [("samples", len(sound.pcm)), ("rate_hz", sound.rate)]
    if sound.last:
        dimensions.append((f"end:{sound.turn}", 0))
    elif sound.turn:
        dimensions.append((f"turn:{sound.turn}", sound.sentence))
    message.layout.dim = [MultiArrayDimension(label=label, size=size) for label, size in dimensions]
    return message


def decode_sound(message: Int16MultiArray) -> Sound:
    dimensions = [(dimension.label, dimension.size) for dimension in message.layout.dim]
    if len(dimensions) < 2 or dimensions[0][0] != "samples" or dimensions[1][0] != "rate_hz":
        raise BadMessage("layout.dim must be (samples, n), (rate_hz, rate)")
    rate = dimensions[1][1]
    if not 8000 <= rate <= 48000:
        raise BadMessage(f"rate_hz is {rate}; it must lie between 8000 and 48000")
    pcm = np.array(message.data, np.int16)
    if len(pcm) != dimensions[0][1]:
        raise BadMessage(f"{len(pcm)} samples, but layout.dim says {dimensions[0][1]}")
    kind, _, turn = dimensions[2][0].partition(":") if len(dimensions) > 2 else ("", "", "")
    return Sound(pcm, rate, turn, dimensions[2][1] if turn else 0, last=kind == "end")


def tell_playback(node: Node, events: list, began: float, rate: int) -> None:
    """Put what a pull from the playback caused on the timeline; began: s, when its first sample sounds."""
    for event in events:
        values = {"sentence_started": {"sentence": event.sentence}, "turn_interrupted": {"spoken": event.sentence},
                  "sentence_resumed": {"sentence": event.sentence, "sounded": f"{event.sounded / rate:.3f}"}}
        node.event(event.name, event.turn, began + event.offset / rate, **values.get(event.name, {}))


def microphone_sound(message: Int16MultiArray) -> Sound:
    sound = decode_sound(message)
    if sound.rate != 16000:
        raise BadMessage(f"rate_hz is {sound.rate}; the ears need 16000")
    return sound


def decode_joint_states(message) -> tuple[float, State]:
    """When (s), and where the joints were and how fast (at rest where no velocities are given)."""
    if len(message.position) != len(message.name) or not finite(message.position):
        raise BadMessage("wants one finite position for each name")
    moving = len(message.velocity) == len(message.name) and finite(message.velocity)
    return seconds(message.header.stamp), State(
        dict(zip(message.name, message.position, strict=True)),
        dict(zip(message.name, message.velocity, strict=True)) if moving else {})


def encode_trajectory(trajectory: Trajectory) -> JointTrajectory:
    """Its start is the system clock's."""
    message = JointTrajectory(joint_names=list(trajectory.joints))
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round((trajectory.start or 0.0) * 1e9), 10**9)
    for point in trajectory.points:
        sec, nanosec = divmod(round(point.time * 1e9), 10**9)
        message.points.append(JointTrajectoryPoint(
            positions=list(point.positions), velocities=list(point.velocities), accelerations=list(point.accelerations),
            time_from_start=Duration(sec=sec, nanosec=nanosec)))
    return message


def decode_trajectory(message: JointTrajectory) -> Trajectory:
    if not message.joint_names:
        raise BadMessage("it names no joints")
    return Trajectory(tuple(message.joint_names), tuple(
        Point(point.time_from_start.sec + point.time_from_start.nanosec * 1e-9, tuple(point.positions),
              tuple(point.velocities), tuple(point.accelerations)) for point in message.points),
        seconds(message.header.stamp) or None)


def finite(values) -> bool:
    return all(math.isfinite(value) for value in values)


def run(make_node, arguments: list[str] | None = None) -> int:
    """Spin one node until Ctrl-C, SIGTERM or SystemExit; a Problem is one line and exit code 2."""
    rclpy.init(args=arguments)
    node = None
    try:
        node = make_node()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except SystemExit as end:
        return end.code
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr, flush=True)
        return 2
    except Exception:
        # rclpy turns a shutdown that meets a publish into an error of its own; that is a clean end too.
        if not rclpy.ok():
            return 0
        traceback.print_exc()
        return 1
    finally:
        # A terminal's Ctrl-C and the launcher's come one after the other: the second must not break off the clean end.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0

"""The table of the robot: every topic, node and launch argument.

``launch/*.launch.py`` turn it into launch actions, ``python -m esc_robot`` starts it where there is no ``ros2``,
``nodes/base.py`` takes the topics' types from it, and the README's tables are printed from it
(``python -m esc_robot.graph``).
"""

from dataclasses import dataclass

from esc_robot.errors import Problem


@dataclass(frozen=True)
class Topic:
    """type: ``package/Message``; depth: how many messages a late reader may lag behind; meaning: its specification."""

    type: str
    depth: int
    meaning: str


@dataclass(frozen=True)
class Node:
    """A process: ``esc_robot.nodes.<name>``. on: the arguments that must be true ("!x": false); empty: it always runs."""

    about: str
    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()
    on: str = ""


@dataclass(frozen=True)
class Argument:
    """A launch argument. sets: the parameters it gives, as "node.parameter"; empty value: the parameters file decides."""

    default: str
    help: str
    sets: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Service:
    """type: ``package/Service``; node: who serves it; meaning: its specification."""

    type: str
    node: str
    meaning: str


PARAMETERS = "robot.yaml"
TRUTH = ("true", "false")

TOPICS = {
    "/audio/microphone": Topic("std_msgs/Int16MultiArray", 200,
        "what the ears hear: 16 kHz mono; layout.dim is (samples, n), (rate_hz, 16000)"),
    "/audio/speaker": Topic("std_msgs/Int16MultiArray", 50,
        "one sentence as sound; dim (samples, n), (rate_hz, rate), (turn:ID, sentence index); no data and (end:ID): the turn's last"),
    "/audio/played": Topic("std_msgs/Int16MultiArray", 200,
        "what the loudspeaker is given, without holes: 16 kHz mono, as /audio/microphone; the ears take it out of what they hear"),
    "/speech/activity": Topic("std_msgs/Bool", 10, "true while the user is heard speaking"),
    "/speech/partial": Topic("diagnostic_msgs/KeyValue", 10, "key: turn id; value: the user's words up to the last pause; the turn may go on"),
    "/speech/text": Topic("diagnostic_msgs/KeyValue", 10, "key: turn id; value: what the user said, final"),
    "/chat/text": Topic("std_msgs/String", 10, "a typed line; it takes the same way as a spoken one"),
    "/dialogue/reply": Topic("diagnostic_msgs/KeyValue", 50, "key: turn id; value: one sentence of the reply, as soon as it is written"),
    "/dialogue/strategy": Topic("diagnostic_msgs/KeyValue", 10, "key: turn id; value: the reply's ExTES strategy, before its first sentence"),
    "/dialogue/end": Topic("diagnostic_msgs/KeyValue", 10, "key: turn id; value: number of sentences; the reply is written"),
    "/dialogue/why": Topic("diagnostic_msgs/DiagnosticArray", 10,
        "with the parameter dialogue.explain only, as it holds the user's words; hardware_id: turn id; values: act, strategy, candidates, tokens"),
    "/speech/words": Topic("diagnostic_msgs/DiagnosticArray", 50,
        "stamp: when the sentence began to sound, after a hold so much later; hardware_id: turn id; message: sentence index; values: word, \"start end\" in s after the stamp"),
    "/speech/words_ahead": Topic("diagnostic_msgs/DiagnosticArray", 50, "as /speech/words, of the sentence after the one that sounds, once it is made"),
    "/conversation/event": Topic("diagnostic_msgs/DiagnosticArray", 200,
        "the timeline of each turn; stamp: when; name: the event; hardware_id: turn id; values: its details"),
    "/conversation/interrupt": Topic("diagnostic_msgs/KeyValue", 10,
        "key: turn id (empty: whatever runs); value: why; every stage drops what belongs to that turn"),
    "/conversation/hold": Topic("std_msgs/Bool", 10,
        "true: the user may be taking the floor, the loudspeaker falls silent at once; false: it goes on where it was"),
    "/<controller>/joint_trajectory": Topic("trajectory_msgs/JointTrajectory", 10,
        "a movement, in rad, for each controller of the robot's profile; stamp: when a stroke's times count from, 0: as it comes"),
    "/conversation/forget": Topic("diagnostic_msgs/KeyValue", 10,
        "key: a turn that is forgotten (empty: all, but the turn in value); nobody shows it any more"),
    "/memory/forget": Topic("std_msgs/Int64", 10, "number of a fact, as /memory/list gives it: it is erased"),
    "/memory/state": Topic("diagnostic_msgs/KeyValue", 10, "key: state of the memory of the person; value: number of facts; when either has changed"),
    "/joint_states": Topic("sensor_msgs/JointState", 10, "50 Hz: positions in rad, velocities in rad/s"),
    "/diagnostics": Topic("diagnostic_msgs/DiagnosticArray", 50, "1 Hz: how each node is"),
}

SERVICES = {
    "/robot/stop": Service("std_srvs/Trigger", "gesture", "body and voice stop softly"),
    "/memory/consent": Service("std_srvs/SetBool", "dialogue",
        "true: the person agrees to be remembered; false: no longer, what was kept lies unused until it is forgotten"),
    "/memory/list": Service("std_srvs/Trigger", "dialogue",
        "message: JSON with state (none, off, on, stopped or unreachable) and facts (number; source: the sentence; triples; told: s of the system clock)"),
    "/memory/forget_last": Service("std_srvs/Trigger", "dialogue", "what was told last is erased, in the memory and in the conversation"),
    "/memory/forget_everything": Service("std_srvs/Trigger", "dialogue", "all of the memory is erased with its key, and the conversation; it is off"),
}

EVENTS = {
    "user_speaks": "mock audio begins a line; values: said, ends_at (s: when its last sound is played)",
    "speech_started": "the ears hear the user",
    "speech_ended": "the ears decided that the user has finished; values: silence (s since the last speech)",
    "text": "the words of the user are known; values: confidence (0 to 1)",
    "backchannel": "the user said something like \"mhm\" while the robot spoke; the turn gets no answer",
    "barge_in": "the user took the floor while the robot spoke",
    "long_silence": "nobody has spoken for a while; values: seconds",
    "first_token": "the reply has begun: the model has written its first token, or a reply is chosen",
    "sentence_started": "a sentence begins to sound; values: sentence (index)",
    "sentence_resumed": "a sentence goes on after a hold; values: sentence (index), sounded (s of it that had sounded)",
    "turn_finished": "the last sentence has sounded",
    "turn_interrupted": "the turn was dropped; values: spoken (sentences that had sounded to their end)",
    "gesture": "a gesture begins; values: name, sentence (index), word (the one its stroke belongs on) and word_at (s; both empty: none can be met in time), stroke_at (s)",
    "script_finished": "mock audio has played its last line; values: recording (path)",
}

NODES = {
    "microphone": Node("sound from a real input device", ("/audio/microphone",), (), on="!mock_audio !page_audio"),
    "speech_to_text": Node(
        "echo cancelling, voice activity, turn taking, recognition",
        ("/speech/activity", "/speech/partial", "/speech/text", "/conversation/hold", "/conversation/interrupt"),
        ("/audio/microphone", "/audio/played", "/conversation/event")),
    "dialogue": Node(
        "what to say: the crisis protocol first, then the chooser, or the model itself; the memory of the person",
        ("/dialogue/reply", "/dialogue/strategy", "/dialogue/end", "/dialogue/why", "/conversation/interrupt", "/conversation/forget",
         "/memory/state"),
        ("/speech/text", "/chat/text", "/conversation/event", "/conversation/interrupt", "/memory/forget")),
    "text_to_speech": Node(
        "sentences to sound, and when each word sounds", ("/audio/speaker", "/speech/words", "/speech/words_ahead"),
        ("/dialogue/reply", "/dialogue/end", "/conversation/event", "/conversation/interrupt")),
    "speaker": Node("sound to a real output device", ("/audio/played",), ("/audio/speaker", "/conversation/hold", "/conversation/interrupt"), on="!mock_audio !page_audio"),
    "gesture": Node(
        "the body: strokes on their words, nods while listening, breath when idle",
        ("/<controller>/joint_trajectory", "/conversation/interrupt"),
        ("/speech/activity", "/speech/text", "/chat/text", "/dialogue/reply", "/dialogue/strategy", "/speech/words",
         "/speech/words_ahead", "/conversation/event", "/conversation/hold", "/joint_states")),
    "mock_robot": Node(
        "plays trajectories within the robot's limits", ("/joint_states",), ("/<controller>/joint_trajectory",), on="mock_robot"),
    "mock_audio": Node(
        "speaks lines or a recording into the microphone in real time and records both sides",
        ("/audio/microphone", "/audio/played"),
        ("/audio/speaker", "/conversation/event", "/conversation/hold", "/conversation/interrupt", "/diagnostics"), on="mock_audio !page_audio"),
    "observer": Node(
        "prints the conversation live with each turn's latency, writes the run folder, and ends when the script ends", (),
        ("/speech/text", "/dialogue/reply", "/dialogue/strategy", "/conversation/event", "/<controller>/joint_trajectory", "/joint_states",
         "/diagnostics"), on="observe"),
    "web": Node(
        "the page in the browser: robot in 3D, captions, conversation, typing, sound, stop, help lines, consent to be remembered",
        ("/chat/text", "/audio/microphone", "/conversation/interrupt", "/memory/forget"),
        ("/chat/text", "/speech/activity", "/speech/partial", "/speech/text", "/dialogue/strategy", "/dialogue/reply", "/dialogue/end",
         "/audio/speaker", "/speech/words", "/conversation/event", "/conversation/hold", "/conversation/interrupt", "/conversation/forget",
         "/memory/state", "/joint_states", "/diagnostics"),
        on="page"),
}

ARGUMENTS = {
    "robot": Argument("talos", "robot profile: a name under config/robots, or the path of one, ending in .yaml",
                      ("gesture.robot", "mock_robot.robot", "observer.robot", "web.robot")),
    "mock_robot": Argument("false", "true: no robot, a simulated one with the profile's limits", choices=TRUTH),
    "mock_audio": Argument("false", "true: no sound device, scripted lines as the microphone", choices=TRUTH),
    "observe": Argument("false", "true: print and record the conversation", choices=TRUTH),
    "model": Argument("", "dialogue model: a name of config/models.yaml, a Hugging Face folder or a hub name", ("dialogue.model",)),
    "replies": Argument("", "chosen: the reply is chosen among prepared ones; written: the model writes it", ("dialogue.replies",), ("", "auto", "chosen", "written")),
    "engine": Argument("", "what computes the model: auto, llama, transformers or server", ("dialogue.engine",)),
    "adapter": Argument("", "folder of a PEFT adapter for the dialogue model, or its name on the server; empty: the one that ships for the model; none: no adapter", ("dialogue.adapter",)),
    "server_url": Argument("", "an OpenAI-compatible server that computes the model, like http://gpu-host:8000/v1", ("dialogue.server_url",)),
    "country": Argument("", "whose crisis line is named: a key of config/care/lines.yaml", ("dialogue.country", "observer.country", "web.country")),
    "stt": Argument("", "recogniser: whisper, or vosk, which needs less computing and a model for people", ("speech_to_text.recogniser",), ("", "whisper", "vosk")),
    "vosk_model": Argument("", "folder of a Vosk model; empty: the best that can be had", ("speech_to_text.vosk_model",)),
    "tts": Argument("", "voice: hibari, or pyttsx3, which needs less computing", ("text_to_speech.voice",), ("", "hibari", "pyttsx3")),
    "microphone": Argument("", "input device, by name or index", ("microphone.device",)),
    "speaker": Argument("", "output device, by name or index", ("speaker.device",)),
    "lines": Argument("", "text file with the lines that mock audio speaks, one a line", ("mock_audio.lines",)),
    "wav": Argument("", "recording of a person (16 kHz mono wave) that mock audio plays instead of lines", ("mock_audio.wav",)),
    "page": Argument("true", "true: a page in the browser shows the robot and the conversation", choices=TRUTH),
    "page_audio": Argument("false", "true: the browser is the microphone and the loudspeaker, in place of sound devices or mock audio",
                           ("web.audio",), TRUTH),
    "web_host": Argument("", "address on which the page is served; empty: this machine only, any other wants web_token", ("web.host",)),
    "web_token": Argument("", "what the page asks for where other machines can reach it; 12 characters or more", ("web.token",)),
    "memory": Argument("", "folder of what is remembered of the person, where they agree", ("dialogue.memory",)),
    "out": Argument("", "folder for the record of the conversation", ("mock_audio.out", "observer.out")),
}

#: What each way of starting the robot changes in the arguments' defaults.
SETUPS = {
    "robot": {},
    "sim": {"mock_robot": "true", "mock_audio": "true"},
    "demo": {"mock_robot": "true", "mock_audio": "true", "observe": "true", "page": "false", "out": "runs/demo"},
}


def settings(setup: str, given: dict[str, str]) -> dict[str, str]:
    """Every argument's value for a setup. Raises Problem for an unknown setup, argument or choice."""
    if setup not in SETUPS:
        raise Problem("setup", setup, f"unknown; choose one of {', '.join(SETUPS)}")
    for name, value in given.items():
        if name not in ARGUMENTS:
            raise Problem("argument", name, f"unknown; there are {', '.join(ARGUMENTS)}")
        choices = ARGUMENTS[name].choices
        if choices and value not in choices:
            raise Problem(f"argument {name}", value, f"must be one of {', '.join(choices)}")
    return {name: argument.default for name, argument in ARGUMENTS.items()} | SETUPS[setup] | given


def switched_on(node: str, values: dict[str, str]) -> bool:
    """Whether these argument values start this node."""
    return all((values[on.lstrip("!")] == "true") != on.startswith("!") for on in NODES[node].on.split())


def parameters(node: str, values: dict[str, str]) -> dict[str, str | bool]:
    """The node's parameters that the arguments give (those left empty are the parameters file's)."""
    return {target.split(".")[1]: values[name] == "true" if argument.choices == TRUTH else values[name] for name, argument in ARGUMENTS.items() for target in argument.sets
            if values[name] and target.split(".")[0] == node}


def markdown() -> str:
    """The README's tables of topics, events, nodes and arguments."""
    who = {topic: ([n for n, node in NODES.items() if topic in node.publishes],
                   [n for n, node in NODES.items() if topic in node.subscribes]) for topic in TOPICS}
    who["/diagnostics"] = (["every node"], who["/diagnostics"][1])
    who["/conversation/event"] = (["every stage"], who["/conversation/event"][1])
    lines = ["| topic | type | from | to | meaning |", "|---|---|---|---|---|"]
    lines += [f"| `{name}` | `{topic.type}` | {', '.join(who[name][0]) or 'you'} | {', '.join(who[name][1]) or 'you'} | {topic.meaning} |"
              for name, topic in TOPICS.items()]
    lines += ["", "| service | type | node | meaning |", "|---|---|---|---|"]
    lines += [f"| `{name}` | `{service.type}` | {service.node} | {service.meaning} |" for name, service in SERVICES.items()]
    lines += ["", "| event | meaning |", "|---|---|", *(f"| `{name}` | {meaning} |" for name, meaning in EVENTS.items())]
    lines += ["", "| node | what it does | runs |", "|---|---|---|"]
    lines += [f"| `{name}` | {node.about} | {f'`{node.on}`' if node.on else 'always'} |" for name, node in NODES.items()]
    lines += ["", "| argument | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {f'`{argument.default}`' if argument.default else ''} | {argument.help} |" for name, argument in ARGUMENTS.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())

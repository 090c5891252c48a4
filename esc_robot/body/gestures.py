"""The gesture library of config/gestures/*.yaml, and which gesture fits what is being said.

Channels of a keyframe, in the speaker's own frame; what a keyframe leaves out stays as the keyframe before had
it, in a retraction as at rest:
    head_pitch, head_yaw, head_roll       degrees: down, to the left, towards the right shoulder
    torso_pitch, torso_yaw                degrees: forward, to the left
    left_, right_, both_ with
        shoulder, elbow, wrist            where the upper arm points, the forearm points, the palm faces:
                                          [forward, outward, up], of any length; null: whichever way it comes
        hand                              0 (shut) to 1 (open)
        touch                             a place the palm is laid on, named in the robot's profile; null: none any more
"""

import re
import zlib
from dataclasses import dataclass
from functools import lru_cache

import yaml

from esc_robot import assets
from esc_robot.body.profile import both_sides
from esc_robot.errors import Problem

PHASES = ("preparation", "stroke", "hold", "retraction")
SIZES = ("small", "medium", "large")
_PARTS = ("shoulder", "elbow", "wrist", "hand", "touch")
CHANNELS = ("head_pitch", "head_yaw", "head_roll", "torso_pitch", "torso_yaw",
            *(f"{side}_{part}" for side in ("left", "right") for part in _PARTS))


@dataclass(frozen=True)
class Keyframe:
    """phase: one of PHASES. seconds: wanted time from the keyframe before. pose: channel to value."""

    phase: str
    seconds: float
    pose: dict


@dataclass(frozen=True)
class Gesture:
    """One movement with a meaning. intensity: 0 to 1, how much it shows. scalable: it may be made smaller to be in
    time. cues: words of the sentence it goes with; the first one met is the word its stroke belongs on."""

    name: str
    when: str
    size: str
    intensity: float
    scalable: bool
    strategies: tuple[str, ...]
    cues: tuple[str, ...]
    keyframes: tuple[Keyframe, ...]

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(sorted({channel for keyframe in self.keyframes for channel in keyframe.pose}))

    @property
    def stroke_index(self) -> int:
        """Index of the keyframe at which the (first) stroke has arrived."""
        return next(index for index, keyframe in enumerate(self.keyframes) if keyframe.phase == "stroke")

    def cue_in(self, sentence: str) -> re.Match | None:
        """The earliest cue in the sentence."""
        if not self.cues:
            return None
        return re.search(rf"\b(?:{'|'.join(map(re.escape, self.cues))})\b", sentence, re.IGNORECASE)


@dataclass(frozen=True)
class Library:
    """gestures: name to Gesture. gentle_words: what makes a turn one of grief or crisis."""

    gestures: dict[str, Gesture]
    gentle_words: tuple[str, ...]

    def __getitem__(self, name: str) -> Gesture:
        if name not in self.gestures:
            raise Problem("gesture", name, f"unknown; config/gestures has {', '.join(sorted(self.gestures))}")
        return self.gestures[name]

    def is_gentle(self, words: str) -> bool:
        """Whether words of the user or the robot are of grief or crisis, where nothing big may move."""
        return bool(re.search(rf"\b(?:{'|'.join(map(re.escape, self.gentle_words))})\b", words, re.IGNORECASE))

    def choose(self, strategy: str, sentence: str, previous: str | None = None, gentle: bool = False) -> Gesture:
        """The gesture that fits one sentence of a turn best; see ``fitting``."""
        return self.fitting(strategy, sentence, previous, gentle)[0]

    def fitting(self, strategy: str, sentence: str, previous: str | None = None, gentle: bool = False) -> list[Gesture]:
        """The gestures that fit one sentence of a turn, best first; at least one.

        A cue in the sentence counts most, then the turn's strategy; among equals the sentence itself decides, so that
        the same words move alike. Never ``previous``. With ``gentle``, or when the sentence itself is of grief or
        crisis, nothing large, and of two equals the smaller.
        """
        gentle = gentle or self.is_gentle(sentence)
        wanted = _plain(strategy)
        ranked = []
        for gesture in self.gestures.values():
            fit = 2 * (gesture.cue_in(sentence) is not None) + (wanted in map(_plain, gesture.strategies))
            if fit and gesture.name != previous and not (gentle and gesture.size == "large"):
                chance = zlib.crc32(f"{gesture.name} {sentence}".encode())
                ranked.append((fit, -SIZES.index(gesture.size) if gentle else 0, chance, gesture))
        ranked.sort(key=lambda row: row[:3], reverse=True)
        return [gesture for *_, gesture in ranked] or [self["nod" if previous != "nod" else "head_tilt"]]


@lru_cache(maxsize=1)
def library() -> Library:
    """The library of config/gestures: every *.yaml, ``gestures`` by name, and ``gentle_words``. Raises Problem."""
    gestures, gentle_words = {}, []
    for path in sorted(assets.config("gestures").glob("*.yaml")):
        given = yaml.safe_load(path.read_text())
        gentle_words += given.get("gentle_words", [])
        for name, entry in given.get("gestures", {}).items():
            gestures[name] = read_gesture(name, entry)
    return Library(gestures, tuple(gentle_words))


def read_gesture(name: str, entry: dict) -> Gesture:
    """One gesture as it stands in the file. Raises Problem naming the gesture and what is wrong."""
    try:
        keyframes, pose = [], {}
        for given in entry["keyframes"]:
            given = dict(given)
            phase, seconds = given.pop("phase"), float(given.pop("seconds"))
            stated = both_sides(given)
            unknown = sorted(set(stated) - set(CHANNELS))
            if phase not in PHASES or unknown or seconds <= 0:
                raise Problem(f"keyframe of gesture {name}", unknown or phase, f"wants seconds above 0, a phase of "
                              f"{', '.join(PHASES)}, and channels of {', '.join(CHANNELS)}")
            pose = stated if phase == "retraction" else {**pose, **stated}
            keyframes.append(Keyframe(phase, seconds, pose))
        gesture = Gesture(name, entry["when"], entry["size"], float(entry["intensity"]), entry.get("scalable", True),
                          tuple(entry.get("strategies", ())), tuple(entry.get("cues", ())), tuple(keyframes))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Problem("gesture", name, f"malformed ({error}); compare it with config/gestures/head.yaml") from None
    order = [keyframe.phase for keyframe in keyframes]
    whole = "stroke" in order and order[-1] == "retraction"
    if gesture.size not in SIZES or not whole or not 0 <= gesture.intensity <= 1:
        raise Problem("gesture", name, f"wants a size of {', '.join(SIZES)}, an intensity of 0 to 1, a stroke, and a "
                      "retraction at the end")
    return gesture


def _plain(strategy: str) -> str:
    return re.sub(r"[^a-z]", "", strategy.lower())

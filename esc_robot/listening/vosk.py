"""Words while they are spoken: Vosk (Kaldi) with a model of the user's, Alpha Cephei's, or this package's own."""

import json
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import vosk

from esc_robot.errors import Problem
from esc_robot.listening.recognizer import Transcript, Word
from esc_robot.listening.vad import RATE

LANGUAGE = "en-us"
OWN_MODEL = Path(__file__).parent / "vosk-esc-en"
DOWNLOADS = ("alphacephei.com", 443)
CONNECT_S = 2.0         # a robot without a network must not wait for one
A_BETTER_ONE = ("made for tests and simulation, it understands people badly; for people start once with a network, "
                "or unpack an English model of alphacephei.com/vosk/models and give its folder as vosk_model:=FOLDER")


class VoskRecognizer:
    """folder: a model's; "": the best that can be had. Raises Problem for a folder that holds none."""

    streaming, lag = True, 0.5

    def __init__(self, folder: str = "", network: bool = True):
        vosk.SetLogLevel(-1)
        chosen = find_model(folder, network)
        self.name = f"Vosk with {chosen}" + (f" ({A_BETTER_ONE})" if chosen == OWN_MODEL else "")
        try:
            self._model = vosk.Model(str(chosen))
        except Exception:       # vosk raises no class of its own
            raise Problem("vosk model", chosen, "cannot be loaded; unpack it again, or give another folder") from None

    def utterance(self) -> "VoskUtterance":
        return VoskUtterance(self._model)


class VoskUtterance:
    """libvosk cuts an utterance at its longer pauses: what is finished, and what still grows, make the text."""

    def __init__(self, model: vosk.Model):
        self._decoder = vosk.KaldiRecognizer(model, RATE)
        self._decoder.SetWords(True)
        self._finished: list[dict] = []

    def feed(self, pcm: np.ndarray) -> None:
        if self._decoder.AcceptWaveform(pcm.tobytes()):
            self._finished += json.loads(self._decoder.Result()).get("result", [])

    def partial(self) -> Transcript:
        """`lag` behind; the words that still grow have no times yet."""
        finished, growing = _transcript(self._finished), json.loads(self._decoder.PartialResult()).get("partial", "")
        return replace(finished, text=f"{finished.text} {growing}".strip())

    def final(self) -> Transcript:
        return _transcript(self._finished + json.loads(self._decoder.FinalResult()).get("result", []))


def find_model(folder: str = "", network: bool = True) -> Path:
    """The model's folder: the given one, Alpha Cephei's in Vosk's cache, the one Vosk fetches, this package's own."""
    if folder:
        if not (Path(folder) / "am" / "final.mdl").is_file():
            raise Problem("vosk model", folder, "no model there; give the folder that holds am, conf and graph")
        return Path(folder)
    cached = [path for cache in vosk.MODEL_DIRS if cache and Path(cache).is_dir()
              for path in sorted(Path(cache).glob(f"vosk-model*-{LANGUAGE}*")) if (path / "am").is_dir()]
    if cached:
        return cached[0]
    if network and _reachable():
        print("fetching Alpha Cephei's small model with Vosk's downloader (40 MB)", file=sys.stderr, flush=True)
        try:
            return Path(vosk.Model.get_model_path(object.__new__(vosk.Model), None, LANGUAGE))
        except (Exception, SystemExit) as error:
            print(f"Vosk's downloader gave up ({type(error).__name__})", file=sys.stderr, flush=True)
    return OWN_MODEL


def _reachable() -> bool:
    try:
        socket.create_connection(DOWNLOADS, timeout=CONNECT_S).close()
    except OSError:
        return False
    return True


def _transcript(found: list[dict]) -> Transcript:
    words = tuple(Word(word["word"], word["start"], word["end"], word["conf"]) for word in found)
    confidence = float(np.mean([word.confidence for word in words])) if words else 0.0
    return Transcript(" ".join(word.text for word in words), confidence, words)

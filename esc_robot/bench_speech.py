"""The ears measured on speech in voices other than the robot's: words, ends of turns, silence, own voice.

The words are read by three synthetic voices and, where Debian's pocketsphinx-testdata is installed, by a person.
"""

import json
import re
import time
from pathlib import Path

import jiwer
import numpy as np

from esc_robot.audio.echo import EchoCanceller, EchoPath
from esc_robot.audio.resample import resample
from esc_robot.audio.wavefile import read_wav
from esc_robot.bench_conversation import percentiles, talk_over
from esc_robot.listening.ears import BargeIn, Ears, Heard, SpeechEnded, SpeechStarted
from esc_robot.listening.recognizer import RECOGNIZERS, Recognizer, make_recognizer, transcribe
from esc_robot.listening.vad import RATE
from esc_robot.speaking.flite import flite_line
from esc_robot.speaking.voice import make_voice

OUT = Path("runs/bench/speech.json")
#: Sentences of a novel read for LibriVox (public domain), 16 kHz, with their words.
RECORDED = Path("/usr/share/pocketsphinx/test/data/librivox")
VOICES = ("slt", "rms", "awb")
SENTENCES = (
    "I have not been sleeping well since my father passed away.",
    "My boss keeps giving me more work and I do not know how to say no.",
    "It has been three weeks since we broke up and I still cry every night.",
    "I lost my job in March and the bills keep coming.",
    "My dog died this morning and the house is so quiet.",
    "I moved to a new city and I feel very lonely here.",
    "My daughter does not talk to me anymore and I miss her.",
    "I failed my exam again and my parents are disappointed.",
    "Some days I can not get out of bed at all.",
    "My sister is in the hospital and nobody tells me anything.",
    "I had a fight with my best friend about money.",
    "I am afraid that my husband will leave me.",
    "The doctor said that I need to rest more.",
    "I used to play the piano but I stopped last year.",
    "Nobody at school wants to sit next to me.",
    "I feel better when I walk in the park.",
)
# A speaker who searches for words: the parts are spoken with pauses between them.
HALTING = (
    ("I wanted to tell you that", "my brother is ill."), ("I lost my job because", "they closed the shop."),
    ("It was my", "my mother's birthday."), ("I feel sad and", "I do not know why."),
    ("Um", "I have been very tired."), ("She told me that", "she is moving to", "another city."),
    ("I was thinking about", "calling him again."), ("We had a fight", "about the money."),
    ("Since the summer", "I am alone in the evenings."), ("I do not know", "how to say this."),
    ("My father died", "three weeks ago."), ("I would like to", "see my children."),
)
#: As a person would count errors: "3" is "three", "can't" is "can not", "ill-disposed" is "ill disposed".
NORMAL = jiwer.Compose([
    jiwer.ExpandCommonEnglishContractions(), jiwer.ToLowerCase(), jiwer.SubstituteRegexes({"-": " "}),
    jiwer.RemovePunctuation(), jiwer.SubstituteWords({"cannot": "can not", "3": "three", "mr": "mister"}),
    jiwer.RemoveMultipleSpaces(), jiwer.Strip(), jiwer.ReduceToListOfListOfWords()])
PAUSES_S = (0.5, 2.0)
NOISE_MINUTES = 10
OWN_VOICE_GAIN, OWN_VOICE_DELAY_S, ROOM_S = 0.2, 0.08, 0.1
REPLIES = (
    "I am here with you, and we can take all the time you need.",
    "That sounds really hard, and I am sorry you are going through it alone.",
    "What would help you the most right now?",
    "It makes sense that you feel tired after such a week.",
    "You did not have to tell me this, and I am glad that you did.",
    "Is there someone close to you whom you could call tonight?",
)


def bench_speech() -> None:
    """Writes runs/bench/speech.json; about ten minutes."""
    figures = {name: words(make_recognizer(name)) for name in RECOGNIZERS}
    whisper = make_recognizer("whisper")
    figures |= {"turn_end": turn_ends(whisper), "invented_words": invented_words(whisper),
                "own_voice_turns": own_voice_turns(whisper), "barge_in_ms": talk_over()}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def words(recognizer: Recognizer) -> dict:
    """Word error rate clean and in noise at 10 dB, and seconds of computing for a second of speech."""
    rng, figures, spent, spoken = np.random.default_rng(0), {}, 0.0, 0.0
    lines = [(line, flite_line(line, voice)) for line in SENTENCES for voice in VOICES]
    synthetic, lines = len(lines), lines + recorded()
    said = [line for line, _ in lines]
    for name, noise_db in (("wer_clean", None), ("wer_10db", 10)):
        heard = []
        for _, pcm in lines:
            sound = np.pad(pcm, RATE // 4)
            if noise_db is not None:
                sound = in_noise(sound, level(pcm) - noise_db, rng)
            began = time.perf_counter()
            heard.append(transcribe(recognizer, sound).text)
            spent, spoken = spent + time.perf_counter() - began, spoken + len(sound) / RATE
        figures[name] = word_errors(said, heard)
        print(f"{recognizer.name}: {name} of synthetic voices {word_errors(said[:synthetic], heard[:synthetic])}, "
              f"of a person {word_errors(said[synthetic:], heard[synthetic:])}", flush=True)
    return figures | {"rtf": round(spent / spoken, 3)}


def word_errors(said: list[str], heard: list[str]) -> float | None:
    """Word error rate; None where nothing was said."""
    return round(jiwer.wer(said, heard, NORMAL, NORMAL), 4) if said else None


def recorded() -> list[tuple[str, np.ndarray]]:
    """(words, int16 [n]) of sentences that a person read; none where they are not installed."""
    if not RECORDED.is_dir():
        print("no recorded speech of people; install it with: apt install pocketsphinx-testdata", flush=True)
        return []
    return [(line[1], read_wav(RECORDED / f"{line[2]}.wav"))
            for line in re.finditer(r"<s> (.+) </s> \((.+)\)", (RECORDED / "transcription").read_text())]


def turn_ends(recognizer: Recognizer) -> dict:
    """How often a halting speaker is cut off, and how long after a finished sentence its end is known.

    Each of the voices is a speaker of its own, whose pace the ears learn.
    """
    rng, cut_off, turns, delays = np.random.default_rng(0), 0, 0, []
    for voice in VOICES:
        ears = Ears(recognizer)
        for parts in HALTING:
            sound = flite_line(parts[0], voice)
            for part in parts[1:]:
                sound = np.concatenate([sound, silence(rng.uniform(*PAUSES_S)), flite_line(part, voice)])
            ended = [event for _, event in listen(ears, sound) if isinstance(event, SpeechEnded)]
            turns, cut_off = turns + 1, cut_off + (len(ended) > 1)
        ears.close()
        ears = Ears(recognizer)
        for line in SENTENCES:
            said = flite_line(line, voice)
            end = np.flatnonzero(np.abs(said) > 300)[-1] / RATE
            delays += [at - end for at, event in listen(ears, said) if isinstance(event, SpeechEnded)][-1:]
        ears.close()
    return {"cutoff_rate": round(cut_off / turns, 4),
            **{f"delay_ms_{name}": value for name, value in percentiles(delays).items()}}


def invented_words(recognizer: Recognizer) -> int:
    """Words heard in NOISE_MINUTES of silence, hiss, rumble, hum, clicks, beeps and breath."""
    rng, ears, heard = np.random.default_rng(0), Ears(recognizer), []
    seconds = NOISE_MINUTES * 60 // 8
    t = np.arange(seconds * RATE) / RATE
    white = rng.normal(0, 1, len(t))
    brown = np.cumsum(white) - np.convolve(np.cumsum(white), np.ones(400) / 400, "same")
    sounds = (0 * t, 20 * white, 1000 * white, 2000 * brown / brown.std(), 3000 * np.sin(2 * np.pi * 50 * t),
              15000.0 * (rng.random(len(t)) > 0.9995), 8000 * np.sin(2 * np.pi * 440 * t) * (np.sin(2 * np.pi * t) > 0),
              600 * white * np.sin(2 * np.pi * 0.3 * t) ** 2)
    for sound in sounds:
        heard += [event.text for _, event in listen(ears, as_pcm(sound)) if isinstance(event, Heard)]
    ears.close()
    return sum(len(text.split()) for text in heard)


def own_voice_turns(recognizer: Recognizer) -> int:
    """Turns that two minutes of the robot's voice in a room open, by chance or by taking its own floor."""
    voice, rng, ears, echo = make_voice("hibari"), np.random.default_rng(0), Ears(recognizer), EchoCanceller()
    room = rng.normal(0, 0.15, int(ROOM_S * RATE)) * np.exp(-np.linspace(0, 6, int(ROOM_S * RATE)))
    room[0] = 1
    path, opened = EchoPath(OWN_VOICE_GAIN, OWN_VOICE_DELAY_S), 0
    spoken = [voice.speak(line) for line in REPLIES * 6]
    far = np.concatenate([np.pad(resample(speech.pcm, speech.rate, RATE), (0, RATE // 5)) for speech in spoken])
    near = in_noise(path.through(as_pcm(np.convolve(far, room)[:len(far)])), -65, rng)
    ears.robot(speaks=True)
    for start in range(0, len(far), 320):
        echo.played(far[start:start + 320])
        events = ears.feed(echo.clean(near[start:start + 320]), echo.hiss)
        opened += sum(isinstance(event, SpeechStarted | BargeIn) for event in events)
    ears.close()
    return opened


def listen(ears: Ears, sound: np.ndarray) -> list[tuple[float, object]]:
    """(seconds of the sound, event). The sound runs in real time while words are on their way, else faster."""
    sound, events = np.concatenate([sound, silence(3.5)]), []
    for start in range(0, len(sound), 320):
        began = time.perf_counter()
        events += [((start + 320) / RATE, event) for event in ears.feed(sound[start:start + 320])]
        if ears.busy:
            time.sleep(max(0.0, 320 / RATE - (time.perf_counter() - began)))
    until = time.monotonic() + 30
    while ears.busy and time.monotonic() < until:
        time.sleep(0.01)
        events += [(len(sound) / RATE, event) for event in ears.poll()]
    return events


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.int16)


def level(pcm: np.ndarray) -> float:
    """dB of full scale over all of it."""
    return 20 * np.log10(np.sqrt(np.mean(np.square(pcm.astype(np.float64)))) / 32768)


def in_noise(pcm: np.ndarray, noise_db: float, rng: np.random.Generator) -> np.ndarray:
    """With pink-like noise of so many dB of full scale: half white, half low-passed, as a room has it."""
    white = rng.normal(0, 1, len(pcm))
    noise = white + 3 * np.convolve(rng.normal(0, 1, len(pcm)), np.ones(16) / 16, "same")
    return as_pcm(pcm + noise / noise.std() * 32768 * 10 ** (noise_db / 20))


def as_pcm(sound: np.ndarray) -> np.ndarray:
    return np.clip(sound, -32768, 32767).astype(np.int16)

"""Speak the corpus with free voices, perturb it, and write MFCC features with phone labels.

    python -m training.recogniser.speech [--passes 3] [--out runs/recogniser/features]

Needs the programs flite and espeak-ng. 200 utterances are kept apart in held.json and never spoken.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import wave
from functools import cache
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from esc_robot.audio.resample import resample
from esc_robot.errors import Problem
from training.datasets import CORPUS
from training.recogniser.phones import labels

RATE = 16_000
OUT = Path("runs/recogniser/features")
HELD_OUT = 200
SHARD_FRAMES = 1_000_000
VOICES = ([("hibari", "")] * 8 + [("flite", voice) for voice in ("kal16", "awb", "rms", "slt")] * 2
          + [("espeak-ng", voice) for voice in ("en-us", "en-us+f2", "en-us+m3", "en-gb+f4", "en-us+m7")])


@cache
def _hibari():
    from hibari import Hibari
    return Hibari()


def speak(text: str, voice: tuple[str, str], chance: random.Random) -> tuple[np.ndarray, int]:
    """(float [n] in -1..1, rate) of one utterance at a pace and pitch left to chance."""
    program, name = voice
    if program == "hibari":
        return np.asarray(_hibari()(text, speed=chance.uniform(0.8, 1.2)), np.float32), 24_000
    with tempfile.NamedTemporaryFile(suffix=".wav") as out:
        stretch, words, pitch = chance.uniform(0.85, 1.25), chance.randint(130, 190), chance.randint(30, 70)
        command = {"flite": ["-voice", name, "--setf", f"duration_stretch={stretch:.2f}", "-t", text, "-o", out.name],
                   "espeak-ng": ["-v", name, "-s", str(words), "-p", str(pitch), "-w", out.name, text]}[program]
        subprocess.run([program, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with wave.open(out.name) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            return pcm.astype(np.float32) / 32768, file.getframerate()


def perturbed(sound: np.ndarray, rate: int, chance: random.Random, rng: np.random.Generator) -> np.ndarray:
    """Another speaker (speed and pitch), level, room and noise, with silence around; float [m] at RATE."""
    loud = np.flatnonzero(np.abs(sound) > 0.01 * np.abs(sound).max(initial=1e-6))
    sound = sound[loud[0]:loud[-1] + rate // 50] if len(loud) else sound
    pcm = np.round(sound * 32767).clip(-32768, 32767).astype(np.int16)
    sound = resample(pcm, round(rate * chance.uniform(0.88, 1.14)), RATE) / 32768
    sound = sound / np.abs(sound).max(initial=1e-6) * chance.uniform(0.08, 0.9)
    sound = np.pad(sound, (int(RATE * chance.uniform(0.1, 0.8)), int(RATE * chance.uniform(0.3, 1.2))))
    if chance.random() < 0.3:
        length = int(RATE * chance.uniform(0.05, 0.25))
        room = rng.normal(size=length) * np.exp(-np.arange(length) * 6 / length) * 0.05
        room[0] = 1
        sound = np.convolve(sound, room)[:len(sound)]
    noise = rng.normal(size=len(sound))
    if chance.random() < 0.6:       # rumble instead of hiss
        noise = np.cumsum(noise)
        noise = noise - np.convolve(noise, np.ones(800) / 800, "same")
    power = np.square(sound).mean() / 10 ** (chance.uniform(5, 40) / 10)
    return sound + noise / (noise.std() + 1e-9) * np.sqrt(power) + rng.normal(size=len(sound)) * 1e-4


def mfcc(sound: np.ndarray) -> np.ndarray:
    """float [frames of 10 ms, 40], with the options of the model's conf/mfcc.conf."""
    import kaldi_native_fbank as fbank
    options = fbank.MfccOptions()
    options.frame_opts.dither, options.frame_opts.samp_freq, options.frame_opts.snip_edges = 0, RATE, True
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = 40, 20, -400
    options.num_ceps, options.use_energy = 40, False
    online = fbank.OnlineMfcc(options)
    online.accept_waveform(RATE, (np.clip(sound, -1, 1) * 32767).tolist())
    online.input_finished()
    return np.stack([online.get_frame(i) for i in range(online.num_frames_ready)])


def example(job: tuple[str, int]) -> tuple[np.ndarray, np.ndarray] | None:
    """(features, labels) of a text and a seed; None where it cannot be spoken or is too fast for its labels."""
    text, seed = job
    chance, rng, wanted = random.Random(seed), np.random.default_rng(seed), labels(text)
    if wanted is None:
        return None
    try:
        sound, rate = speak(text, chance.choice(VOICES), chance)
    except (subprocess.CalledProcessError, ValueError, RuntimeError):
        return None
    features = mfcc(perturbed(sound, rate, chance, rng))
    fits = len(features) / 3 >= 1.2 * len(wanted)
    return (features.astype(np.float16), np.array(wanted, np.uint8)) if fits else None


def write(out: Path, passes: int) -> None:
    texts = [turn["text"] for path in sorted(CORPUS.glob("*.jsonl")) for line in path.read_text().splitlines()
             for turn in json.loads(line).get("turns", ())]
    random.Random(0).shuffle(texts)
    out.mkdir(parents=True, exist_ok=True)
    (out / "held.json").write_text(json.dumps(texts[:HELD_OUT]))
    jobs = [(text, turn * 1_000_000 + i) for turn in range(passes) for i, text in enumerate(texts[HELD_OUT:])]
    random.Random(1).shuffle(jobs)
    kept, shard = [], 0
    with Pool(os.cpu_count()) as pool:
        for number, made in enumerate(pool.imap_unordered(example, jobs, chunksize=8), 1):
            kept += [made] if made else []
            if kept and (sum(len(features) for features, _ in kept) > SHARD_FRAMES or number == len(jobs)):
                features, wanted = zip(*kept, strict=True)
                np.savez_compressed(out / f"shard{shard}.npz", features=np.concatenate(features),
                                    labels=np.concatenate(wanted), frames=[len(one) for one in features],
                                    lengths=[len(one) for one in wanted])
                print(f"{number} of {len(jobs)} utterances", flush=True)
                kept, shard = [], shard + 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(arguments)
    try:
        write(given.out, given.passes)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

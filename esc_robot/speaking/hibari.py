"""The default voice: hibari, a small neural synthesiser, with the time of every word from its own phoneme durations."""

from pathlib import Path

import numpy as np
from hibari import Hibari, dsp
from hibari.g2p.normalize import normalize
from hibari.tts import MAX_PHONEMES
from hibari.voices import DEFAULT, voice_path

from esc_robot.errors import Problem
from esc_robot.speaking.loudness import finished
from esc_robot.speaking.text import as_written, speakable
from esc_robot.speaking.voice import Speech, Word

DURATIONS = b"/Cast_32_output_0"  # inside the network: units (25 ms) a phoneme lasts, int64 [phonemes]
ONSET_UNITS = 2
VOICED_HZ = 40
MARKS = frozenset(";:,.!?—…\"()“” ")


class HibariVoice:
    """rate and pitch are factors of the voice's own; one thread. Raises Problem for another version of hibari.

    Its phonemes last whole units of 25 ms, so the pace moves in steps: 0.8 is 19 % slower than 1, 0.9 only 4 %.
    """

    def __init__(self, rate: float, pitch: float):
        self._rate, self._pitch = np.array([rate], np.float32), pitch
        try:
            model = _with_output(Path(voice_path(DEFAULT)).read_bytes(), DURATIONS)
            self._hibari = Hibari(model=model, threads=1)
        except Exception as error:  # onnxruntime has no common class of its errors
            raise Problem("voice", "hibari", f"its network fails to load ({type(error).__name__}); "
                          "install hibari-tts==0.2.1") from None
        self.speak("Xylo.")  # a word of no dictionary, so that everything is loaded before the first sentence

    def speak(self, sentence: str) -> Speech:
        """See Voice; the same sentence always gives the same sound."""
        waves, words, start = [], [], 0.0
        for chunk in _chunks(self._words(speakable(sentence))):
            wave, starts = self._synthesise(" ".join(phonemes for _, phonemes in chunk))
            position = 0
            for text, phonemes in chunk:
                sounding = [i for i, phoneme in enumerate(phonemes, position) if phoneme not in MARKS]
                if sounding:
                    words.append(Word(text, start + starts[position], start + starts[sounding[-1] + 2]))
                position += len(phonemes) + 1
            waves.append(wave)
            start += len(wave) / dsp.SR
        spoken = finished(np.concatenate(waves or [np.zeros(0, np.float32)]), dsp.SR, words)
        return Speech(spoken.pcm, spoken.rate, as_written(sentence, spoken.words))

    def _words(self, text: str) -> list[tuple[str, str]]:
        """(word, phonemes with the punctuation that follows) as separated by spaces in the normalised text."""
        g2p, words, joined = self._hibari.g2p, [], False
        for token in g2p.phonemize_tokens(g2p.tokenize(normalize(text))):
            phonemes = "".join(phoneme for phoneme in token.phonemes or "" if phoneme in self._hibari.vocab)
            if joined:
                words[-1] = words[-1][0] + token.text, words[-1][1] + phonemes
            else:
                words.append((token.text, phonemes))
            joined = not token.whitespace
        return [word for word in words if word[1]]

    def _synthesise(self, phonemes: str) -> tuple[np.ndarray, np.ndarray]:
        """float32 wave [samples]; seconds [phonemes + 2] at which each phoneme starts, the lead-in first, the end last.

        Measured on words after a pause: the space before a word already sounds as its beginning, and the first word
        begins as long before its phoneme; so the lead-in is split in two, and entry i + 1 belongs to phoneme i.
        """
        inputs = {"ids": np.array([self._hibari.ids(phonemes)], np.int64), "speed": self._rate}
        *spectrum, f0, durations = self._hibari.sess.run(None, inputs)
        f0 = np.where(f0[0] > VOICED_HZ, np.maximum(f0[0] * self._pitch, VOICED_HZ + 1), f0[0])
        wave = dsp.synth(*(part[0] for part in spectrum), f0, np.random.default_rng(0))
        starts = np.cumsum(durations[:-1])
        return wave, np.concatenate(([starts[0] - ONSET_UNITS], starts)) * (len(wave) / dsp.SR / durations.sum())


def _chunks(words: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The words in runs the network can take at once; a long sentence is cut after punctuation where there is any."""
    chunks = []
    while words:
        sizes = np.cumsum([len(phonemes) + 1 for _, phonemes in words])
        fits = max(1, int(np.searchsorted(sizes, MAX_PHONEMES)))
        if fits < len(words):
            fits = next((i for i in range(fits, 0, -1) if words[i - 1][1][-1] in MARKS), fits)
        chunks.append(words[:fits])
        words = words[fits:]
    return chunks


def _with_output(model: bytes, name: bytes) -> bytes:
    """An ONNX model with one more output: protobuf merges what is appended into the graph before it."""
    def field(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    value_info = field(1, name)       # ValueInfoProto.name
    graph = field(12, value_info)     # GraphProto.output
    return model + field(7, graph)    # ModelProto.graph; field numbers: github.com/onnx/onnx, onnx/onnx.proto

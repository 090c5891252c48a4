"""Voice activity: how likely each 32 ms of sound is speech (Silero VAD v6, carried by faster-whisper, MIT)."""

from pathlib import Path

import numpy as np
import onnxruntime
from faster_whisper.utils import get_assets_path

RATE = 16_000
WINDOW = 512        # samples the model judges at a time at 16 kHz
CONTEXT = 64        # samples of the window before, which it wants in front of each
STATE = (1, 1, 128)


class SileroVad:
    """Streaming speech probability of 16 kHz PCM; what it heard before stays in mind between two calls."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = next(Path(get_assets_path()).glob("silero_vad*.onnx"))
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._h = self._c = np.zeros(STATE, np.float32)
        self._context = np.zeros(CONTEXT, np.float32)
        self._waiting = np.zeros(0, np.int16)

    def feed(self, pcm: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Any number of samples int16 [n] in; each full window int16 [512] with its probability 0..1 out."""
        pcm = np.concatenate([self._waiting, pcm])
        count = len(pcm) // WINDOW
        self._waiting = pcm[count * WINDOW:]
        if not count:
            return []
        windows = pcm[:count * WINDOW].reshape(count, WINDOW)
        sound = windows.astype(np.float32) / 32768
        before = np.vstack([self._context, sound[:-1, -CONTEXT:]])
        self._context = sound[-1, -CONTEXT:]
        batch = np.hstack([before, sound])
        probabilities, self._h, self._c = self._session.run(None, {"input": batch, "h": self._h, "c": self._c})
        return list(zip(windows, probabilities.ravel().tolist(), strict=True))

"""Sound devices through PortAudio: opened by name or index, at the rate the robot wants or the device's own."""

import contextlib
import math
import time
from collections.abc import Callable

import numpy as np

from esc_robot.audio.resample import StreamResampler
from esc_robot.errors import Problem

BLOCK_S = 0.02
GONE_S = 1.5            # a device that has asked for nothing for so long is no longer there
SETTLES_S = 5.0         # so long after it was opened it may take its time: a sound server's first block lasts 2 s


class SoundDevice:
    """An open stream. name, rate (Hz, the device's), latency (seconds), faults (over- or under-runs so far)."""

    def __init__(self, name: str, rate: int):
        self.name, self.rate, self.faults = name, rate, 0
        self._stream = None
        self._opened_at = self._asked_at = time.monotonic()

    @property
    def latency(self) -> float:
        return self._stream.latency

    @property
    def active(self) -> bool:
        """False once the device has gone."""
        now = time.monotonic()
        settled = now - self._opened_at > SETTLES_S
        return self._stream.active and now - self._asked_at < (GONE_S if settled else SETTLES_S)

    def asked(self, fault: bool) -> None:
        """Called by the device's own thread each time."""
        self._asked_at = time.monotonic()
        self.faults += fault

    def close(self) -> None:
        self._stream.close()


class KeptOpen:
    """A device that is opened again when it was unplugged and is back. device: None while it is away."""

    def __init__(self, open_device: Callable[[], SoundDevice]):
        """Raises Problem when it cannot be opened now."""
        self._open = open_device
        self.device: SoundDevice | None = open_device()
        self._faults = 0

    def check(self) -> str:
        """To be called now and then: "", or what is wrong with the device."""
        if self.device and self.device.active:
            return ""
        sounddevice = _sounddevice()
        if self.device:
            self._faults += self.device.faults + 1
            with contextlib.suppress(sounddevice.PortAudioError):
                self.device.close()
            self.device = None
        # PortAudio knows only the devices that were there when it was started.
        sounddevice._terminate()
        sounddevice._initialize()
        try:
            self.device = self._open()
        except Problem as problem:
            return str(problem)
        return ""

    @property
    def figures(self) -> dict[str, object]:
        """For /diagnostics. faults: over- or under-runs, and times it had gone."""
        if not self.device:
            return {"faults": self._faults}
        return {"device": self.device.name, "rate_hz": self.device.rate, "faults": self._faults + self.device.faults,
                "latency_ms": round(self.device.latency * 1000)}

    def close(self) -> None:
        if self.device:
            self.device.close()


def open_input(device: str | int, rate: int, on_pcm: Callable[[np.ndarray], None]) -> SoundDevice:
    """Start listening; on_pcm(int16 [n] at `rate`) is called about every 20 ms from the device's own thread.

    device: index, part of a name, or "" for the system's default. Raises Problem when it cannot be opened.
    """
    sounddevice, info, native, channels = _choose("input", device, rate)
    opened = SoundDevice(info["name"], native)
    resampler = StreamResampler(native, rate)

    def callback(sound, _samples, _time, status):
        opened.asked(status.input_overflow)
        on_pcm(resampler.feed(_mono(sound)))

    return _start(sounddevice.InputStream, "input", info, channels, opened, callback)


def open_output(device: str | int, rate: int, pull: Callable[[int], np.ndarray]) -> SoundDevice:
    """Start speaking; pull(n) -> int16 [n] at `rate` is called about every 20 ms from the device's own thread.

    device: index, part of a name, or "" for the system's default. Raises Problem when it cannot be opened.
    """
    sounddevice, info, native, channels = _choose("output", device, rate)
    opened = SoundDevice(info["name"], native)
    resampler = StreamResampler(rate, native)
    waiting = np.zeros(0, np.int16)

    def callback(sound, samples, _time, status):
        nonlocal waiting
        opened.asked(status.output_underflow)
        while len(waiting) < samples:
            pulled = pull(math.ceil((samples - len(waiting)) * rate / native))
            waiting = np.concatenate([waiting, resampler.feed(pulled)])
        sound[:] = waiting[:samples, np.newaxis]
        waiting = waiting[samples:]

    return _start(sounddevice.OutputStream, "output", info, channels, opened, callback)


def list_devices() -> list[str]:
    """One line a device: index, name, channels in and out, its own rate."""
    return [f"{info['index']} {info['name']} ({info['max_input_channels']} in, {info['max_output_channels']} out, "
            f"{info['default_samplerate']:.0f} Hz)" for info in _sounddevice().query_devices()]


def _sounddevice():
    """The module; it looks for PortAudio when it is imported, which must not stop a robot that uses no device."""
    try:
        import sounddevice
    except OSError:
        raise Problem("sound library", "PortAudio", "not found; install it with: apt install libportaudio2") from None
    return sounddevice


def _choose(kind: str, device: str | int, rate: int) -> tuple:
    """The module, the device's description, and the rate and channels it takes, the wanted ones first."""
    sounddevice = _sounddevice()
    wanted = int(device) if str(device).isdigit() else device or None
    try:
        info = sounddevice.query_devices(wanted, kind)
    except (ValueError, sounddevice.PortAudioError):
        raise Problem(f"sound {kind} device", device or "default", f"not found; {_remedy()}") from None
    check = getattr(sounddevice, f"check_{kind}_settings")
    for candidate in (rate, int(info["default_samplerate"])):
        for channels in (1, 2):
            try:
                check(info["index"], channels=channels, dtype="int16", samplerate=candidate)
            except sounddevice.PortAudioError:
                continue
            return sounddevice, info, candidate, channels
    raise Problem(f"sound {kind} device", info["name"], f"cannot be used, or another program holds it; {_remedy()}")


def _start(stream, kind: str, info: dict, channels: int, opened: SoundDevice, callback) -> SoundDevice:
    try:
        opened._stream = stream(device=info["index"], samplerate=opened.rate, channels=channels, dtype="int16",
                                blocksize=int(opened.rate * BLOCK_S), callback=callback)
        opened._stream.start()
    except _sounddevice().PortAudioError as error:
        raise Problem(f"sound {kind} device", info["name"], f"did not open ({error.args[0]}); {_remedy()}") from None
    return opened


def _remedy() -> str:
    devices = list_devices()
    if not devices:
        return "there is no sound device; plug one in, or run the simulation, which needs none"
    return "choose one of: " + "; ".join(devices)


def _mono(sound: np.ndarray) -> np.ndarray:
    return sound[:, 0].copy() if sound.shape[1] == 1 else sound.mean(axis=1).astype(np.int16)

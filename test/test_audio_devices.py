"""On a sound card that PulseAudio makes up: what goes out of the one device is what comes in from the other."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time

import pytest


@pytest.fixture(scope="module")
def sound_card(tmp_path_factory):
    """The environment of a process that has one sound card, its loudspeaker wired to its microphone."""
    if not shutil.which("pulseaudio") or not shutil.which("pactl"):
        pytest.skip("pulseaudio is not installed")
    folder = tmp_path_factory.mktemp("pulse")
    (folder / "asound.conf").write_text("</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\n")
    environment = os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_RUNTIME_PATH": str(folder),
                                "PULSE_SERVER": f"unix:{folder}/native", "ALSA_CONFIG_PATH": f"{folder}/asound.conf"}
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
         "-L", f"module-native-protocol-unix socket={folder}/native auth-anonymous=1",
         "-L", "module-null-sink sink_name=card rate=48000"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(50):
            if not subprocess.run(["pactl", "info"], env=environment, capture_output=True).returncode:
                break
            time.sleep(0.1)
        else:
            pytest.skip("pulseaudio does not start here")
        if "pulse" not in python(environment, LIST).stdout:
            pytest.skip("ALSA has no PulseAudio plugin (libasound2-plugins)")
        yield environment
    finally:
        server.terminate()
        server.wait(timeout=10)


def python(environment: dict, code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, text=True,
                          capture_output=True, timeout=60)


LIST = "from esc_robot.audio.devices import list_devices; print(list_devices())"

LOOP = """
    import json, time
    import numpy as np
    from esc_robot.audio.devices import open_input, open_output
    heard, phase = [], 0
    def pull(samples):
        global phase
        phase += samples
        return (8000 * np.sin(2 * np.pi * 440 * np.arange(phase - samples, phase) / 24000)).astype(np.int16)
    speaker = open_output({speaker!r}, 24000, pull)
    microphone = open_input({microphone!r}, 16000, heard.append)
    until = time.time() + 20
    while sum(map(len, heard)) < 2 * 16000 and time.time() < until:
        time.sleep(0.1)
    microphone.close()
    speaker.close()
    sound = np.concatenate(heard)[-16000:].astype(float)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    print(json.dumps(dict(hertz=int(spectrum.argmax()), level=float(np.abs(sound).max()), name=microphone.name,
                          latency=speaker.latency)))
"""


@pytest.mark.parametrize(("speaker", "microphone"), [("", ""), ("pulse", "pulse"), (0, "0")])
def test_a_tone_goes_out_of_one_device_and_comes_in_from_the_other(sound_card, speaker, microphone):
    run = python(sound_card, LOOP.format(speaker=speaker, microphone=microphone))
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout)
    assert abs(figures["hertz"] - 440) <= 2 and 6000 < figures["level"] < 10_000
    assert figures["name"] in ("pulse", "default") and 0 <= figures["latency"] < 1


REFUSING = """
    import sounddevice
    for kind in ("input", "output"):
        def refuse(*arguments, samplerate, check=getattr(sounddevice, f"check_{{kind}}_settings"), **settings):
            if samplerate not in {rates}:
                raise sounddevice.PortAudioError("Invalid sample rate")
            check(*arguments, samplerate=samplerate, **settings)
        setattr(sounddevice, f"check_{{kind}}_settings", refuse)
"""


def test_a_device_that_refuses_the_wanted_rate_is_used_at_its_own(sound_card):
    # PulseAudio takes every rate, so the refusal of a bare card is put in front of it.
    run = python(sound_card, textwrap.dedent(REFUSING.format(rates=[44_100, 48_000]))
                 + textwrap.dedent(LOOP.format(speaker="", microphone="")))
    assert run.returncode == 0, run.stderr
    assert abs(json.loads(run.stdout)["hertz"] - 440) <= 2


FAULT = """
    from esc_robot.audio.devices import open_{kind}
    from esc_robot.errors import Problem
    try:
        open_{kind}({device!r}, 16000, print)
    except Problem as problem:
        print(problem)
"""


@pytest.mark.parametrize("kind", ["input", "output"])
@pytest.mark.parametrize("device", ["no such card", 99])
def test_an_unknown_device_is_named_with_the_devices_there_are(sound_card, kind, device):
    run = python(sound_card, FAULT.format(kind=kind, device=device))
    assert f"sound {kind} device '{device}'" in run.stdout and "0 pulse" in run.stdout
    assert len(run.stdout.splitlines()) == 1


@pytest.mark.parametrize("kind", ["input", "output"])
def test_a_machine_without_a_sound_device_is_told_the_remedy(kind):
    environment = os.environ | {"PULSE_SERVER": "unix:/nowhere"}
    if python(environment, LIST).stdout != "[]\n":
        pytest.skip("this machine has a sound device")
    run = python(environment, FAULT.format(kind=kind, device=""))
    assert run.stdout == (f"sound {kind} device 'default': not found; there is no sound device; plug one in, "
                          "or run the simulation, which needs none\n"), run.stderr


def test_a_machine_without_portaudio_is_told_how_to_install_it(monkeypatch):
    import builtins

    from esc_robot.audio.devices import list_devices
    from esc_robot.errors import Problem
    real = builtins.__import__

    def without(name, *arguments):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Problem, match="apt install libportaudio2"):
        list_devices()

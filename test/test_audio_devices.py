"""On a sound card that PulseAudio makes up: what goes out of the one device is what comes in from the other."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from conftest import ROOT, node_command

from esc_robot.nodes.base import Sound, encode_sound


@pytest.fixture(scope="module")
def sound_card(tmp_path_factory):
    """The environment of a process that has one sound card, its loudspeaker wired to its microphone."""
    if not shutil.which("pulseaudio") or not shutil.which("pactl"):
        pytest.skip("pulseaudio is not installed")
    folder = tmp_path_factory.mktemp("pulse")
    environment = pulse_environment(folder)
    server = start_server(environment)
    try:
        if "pulse" not in python(environment, LIST).stdout:
            pytest.skip("ALSA has no PulseAudio plugin (libasound2-plugins)")
        yield environment
    finally:
        stop_server(server)


def pulse_environment(folder) -> dict:
    """Of processes whose default sound card is a PulseAudio server's in this folder."""
    (folder / "asound.conf").write_text("</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\n")
    return os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_RUNTIME_PATH": str(folder),
                         "PULSE_SERVER": f"unix:{folder}/native", "ALSA_CONFIG_PATH": f"{folder}/asound.conf"}


def start_server(environment: dict) -> subprocess.Popen:
    """A PulseAudio server of this environment's own, with one card."""
    folder = environment["XDG_RUNTIME_DIR"]
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
         "-L", f"module-native-protocol-unix socket={folder}/native auth-anonymous=1",
         "-L", "module-null-sink sink_name=card rate=48000"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(50):
        if not subprocess.run(["pactl", "info"], env=environment, capture_output=True).returncode:
            return server
        time.sleep(0.1)
    stop_server(server)
    pytest.skip("pulseaudio does not start here")


def stop_server(server: subprocess.Popen) -> None:
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


def test_the_devices_are_listed_on_demand(sound_card):
    run = subprocess.run([sys.executable, "-m", "esc_robot", "devices"], env=sound_card, text=True,
                         capture_output=True, timeout=60)
    assert run.returncode == 0 and "0 pulse" in run.stdout and "Hz)" in run.stdout


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
def test_a_device_that_another_program_holds_is_named(sound_card, kind):
    run = python(sound_card, textwrap.dedent(REFUSING.format(rates=[])) + textwrap.dedent(
        FAULT.format(kind=kind, device="pulse")))
    assert f"sound {kind} device 'pulse': cannot be used, or another program holds it" in run.stdout, run.stderr


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


@pytest.fixture
def card_that_goes(tmp_path):
    """(environment, unplug, plug in): a sound card of one test's own."""
    if not shutil.which("pulseaudio"):
        pytest.skip("pulseaudio is not installed")
    environment = pulse_environment(tmp_path)
    servers = [start_server(environment)]
    yield environment, lambda: stop_server(servers[-1]), lambda: servers.append(start_server(environment))
    if servers[-1].poll() is None:
        stop_server(servers[-1])


SLOW = """
    import time
    from esc_robot.audio.devices import KeptOpen, open_input
    heard = []
    kept = KeptOpen(lambda: open_input("", 16000, heard.append))
    first, until = kept.device, time.time() + 20
    while not heard and time.time() < until:
        time.sleep(0.1)
        kept.check()
    print(bool(heard), kept.device is first)
"""


def test_a_card_whose_first_sound_takes_two_seconds_is_not_taken_for_gone(card_that_goes):
    environment, _, _ = card_that_goes
    assert python(environment, SLOW).stdout == "True True\n"


def test_a_loudspeaker_unplugged_mid_sentence_goes_on_when_it_is_plugged_in_again(card_that_goes, probe):
    from diagnostic_msgs.msg import DiagnosticStatus
    environment, unplug, plug_in = card_that_goes
    node = subprocess.Popen(node_command("speaker"), cwd=ROOT, env=environment)
    try:
        probe.listen("/conversation/event")
        assert probe.awake("speaker")

        def healthy(level) -> bool:
            statuses = [status for message in probe.heard["/diagnostics"][-3:] for status in message.status
                        if status.name == "speaker"]
            return bool(statuses) and statuses[-1].level == level
        tone = (8000 * np.sin(np.arange(6 * 24000) / 10)).astype(np.int16)
        probe.say("/audio/speaker", encode_sound(Sound(tone, 24000, "t1", 0)))
        probe.say("/audio/speaker", encode_sound(Sound(tone[:0], 24000, "t1", last=True)))
        assert probe.wait(lambda: probe.events("sentence_started"), 10)
        unplug()
        assert probe.wait(lambda: healthy(DiagnosticStatus.WARN), 20) and node.poll() is None
        assert not probe.events("turn_finished")
        plug_in()
        assert probe.wait(lambda: healthy(DiagnosticStatus.OK), 20)
        assert probe.wait(lambda: probe.events("turn_finished"), 20)
        assert len(probe.events("sentence_started")) == 1
    finally:
        node.terminate()
        node.wait(timeout=20)


def test_a_microphone_that_was_unplugged_is_heard_again(card_that_goes, probe):
    environment, unplug, plug_in = card_that_goes
    node = subprocess.Popen(node_command("microphone"), cwd=ROOT, env=environment)
    try:
        probe.listen("/audio/microphone")
        assert probe.awake("microphone") and probe.wait(lambda: probe.heard["/audio/microphone"], 10)
        unplug()
        probe.wait(lambda: False, 3)
        probe.heard["/audio/microphone"].clear()
        plug_in()
        assert probe.wait(lambda: len(probe.heard["/audio/microphone"]) > 20, 20) and node.poll() is None
    finally:
        node.terminate()
        node.wait(timeout=20)

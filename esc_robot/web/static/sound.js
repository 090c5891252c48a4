// The robot's voice in the browser, and the browser's microphone for the robot.

// A hold that nobody takes back ends after so long, as the robot's own loudspeaker does it.
const LONGEST_HOLD_MS = 6000;

export class Voice {
  #context = null;
  #until = 0;
  #playing = new Set();
  #held = 0;

  get on() {
    return this.#context !== null;
  }

  // Browsers let a page sound only after the person has touched it: call this from a click or a key.
  async switchOn() {
    this.#context ??= new AudioContext();
    await this.#context.resume();
  }

  async switchOff() {
    this.silence("");
    await this.#context?.close();
    this.#context = null;
  }

  // A sentence after the one before it. message: a JSON line (turn, rate), then int16 samples from the next even byte.
  play(message) {
    if (!this.#context) return;
    const bytes = new Uint8Array(message);
    const newline = bytes.indexOf(10);
    const { turn, rate } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, newline)));
    const samples = new Int16Array(message, newline + 1 + ((newline + 1) % 2));
    const buffer = this.#context.createBuffer(1, samples.length, rate);
    buffer.getChannelData(0).set(Float32Array.from(samples, (sample) => sample / 32768));
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    const playing = { turn, source };
    this.#playing.add(playing);
    source.onended = () => this.#playing.delete(playing);
    const start = Math.max(this.#context.currentTime + 0.02, this.#until);
    source.start(start);
    this.#until = start + buffer.duration;
  }

  // Fall silent and lose nothing; not held: go on from there.
  hold(held) {
    clearTimeout(this.#held);
    this.#context?.[held ? "suspend" : "resume"]();
    if (held) this.#held = setTimeout(() => this.hold(false), LONGEST_HOLD_MS);
  }

  // Drop what is left of a turn; of all turns where the id is empty.
  silence(turn) {
    for (const playing of this.#playing) {
      if (!turn || playing.turn === turn) playing.source.stop();
    }
    this.#until = 0;
    this.hold(false);
  }
}

export class Microphone {
  #context = null;
  #stream = null;

  // onSound(int16 bytes); gives the sample rate. Fails as getUserMedia does, for example when the person says no.
  async switchOn(onSound) {
    this.#stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
    });
    this.#context = new AudioContext();
    await this.#context.resume();
    await this.#context.audioWorklet.addModule("/static/microphone.js");
    const worklet = new AudioWorkletNode(this.#context, "microphone", { numberOfOutputs: 0 });
    worklet.port.onmessage = ({ data }) => onSound(data);
    this.#context.createMediaStreamSource(this.#stream).connect(worklet);
    return this.#context.sampleRate;
  }

  async switchOff() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    await this.#context?.close();
    this.#stream = this.#context = null;
  }
}

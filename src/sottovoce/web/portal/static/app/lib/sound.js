// Sound of a microphone, or of a tab or screen that the person shares, as blocks of samples.

export const SCREEN = "screen";
export const BLOCK_S = 0.1;
const WORKLET = new URL("../worklet.js", import.meta.url).href;

/** The microphones, by id; their names are known only after the person has allowed one. */
export async function microphones() {
  const all = await navigator.mediaDevices.enumerateDevices();
  const found = all.filter((each) => each.kind === "audioinput" && each.deviceId);
  return found.map((each, index) => ({id: each.deviceId, name: each.label || `Microphone ${index + 1}`}));
}

async function stream(source) {
  if (source === SCREEN) {
    const shared = await navigator.mediaDevices.getDisplayMedia({video: true, audio: true});
    if (!shared.getAudioTracks().length) {
      shared.getTracks().forEach((track) => track.stop());
      throw new Error("No sound is shared. Choose a tab or a screen, and tick “Share audio”.");
    }
    return shared;
  }
  const raw = {echoCancellation: false, noiseSuppression: false, autoGainControl: true};  // filters for calls remove speech
  return navigator.mediaDevices.getUserMedia({audio: source ? {...raw, deviceId: {exact: source}} : raw});
}

/** Sound that has begun: `rate` in Hz, `stop()`; calls `take(block)` with Float32Array, and `ended()` when the source ends by itself. */
export class Sound {
  static async open(source, take, ended) {
    const input = await stream(source);
    const context = new AudioContext();
    try {
      await context.audioWorklet.addModule(WORKLET);
      const node = new AudioWorkletNode(context, "blocks", {numberOfOutputs: 0});
      node.port.onmessage = ({data}) => take(data);
      context.createMediaStreamSource(new MediaStream(input.getAudioTracks())).connect(node);
      await context.resume();
    } catch (error) {
      input.getTracks().forEach((track) => track.stop());
      context.close();
      throw error;
    }
    input.getAudioTracks()[0].addEventListener("ended", ended);
    return new Sound(input, context);
  }

  constructor(input, context) {
    Object.assign(this, {input, context, rate: context.sampleRate});
  }

  stop() {
    this.input.getTracks().forEach((track) => track.stop());
    return this.context.close().catch(() => null);
  }
}

/** A sentence for people about an error of `Sound.open` for *source*. */
export function trouble(error, source) {
  if (source === SCREEN) {
    if (error.name === "NotAllowedError") return "Nothing was shared. Start again, and choose a tab or a screen with its sound.";
    if (error.name === "NotReadableError") return "The browser cannot read this tab or screen. Start again, and choose another.";
  }
  switch (error.name) {
    case "NotAllowedError": return "The browser was not allowed to use this sound. Allow it beside the address, and start again.";
    case "NotFoundError": case "OverconstrainedError": return "There is no such microphone. Connect one, or choose another.";
    case "NotReadableError": return "Another program uses the microphone. Close it, and start again.";
    default: return error.message;
  }
}

/** The level of *block*, 0 to 1 over 60 dB. */
export function level(block) {
  let sum = 0;
  for (const value of block) sum += value * value;
  return Math.min(Math.max(1 + Math.log10(sum / block.length + 1e-12) / 6, 0), 1);
}

// The peaks of a waveform (docs/additions.md). Pure functions.

const HEADER = 12;

/** The peaks in *buffer*: `{seconds, channels}`, each channel an Int8Array of pairs low, high from -127 to 127; null for another form. */
export function parsed(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < HEADER || view.getUint32(0) !== 0x5356504b || view.getUint8(4) !== 1) return null;
  const [count, rate, pairs] = [view.getUint8(5), view.getUint16(6, true), view.getUint32(8, true)];
  const channels = Array.from({length: count}, (_, place) => new Int8Array(buffer, HEADER + place * pairs * 2, pairs * 2));
  return {seconds: pairs / rate, channels};
}

/** *channel* as *width* pairs low, high from -1 to 1, relative to its loudest peak. */
export function columns(channel, width) {
  const found = new Float32Array(width * 2), pairs = channel.length / 2;
  const loudest = channel.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  for (let x = 0; x < width; x += 1) {
    const from = Math.floor(x * pairs / width), to = Math.max(from + 1, Math.floor((x + 1) * pairs / width));
    let [low, high] = [0, 0];
    for (let at = from; at < to; at += 1) {
      low = Math.min(low, channel[2 * at]);
      high = Math.max(high, channel[2 * at + 1]);
    }
    found.set([low / loudest, high / loudest], 2 * x);
  }
  return found;
}

// The vendor's JavaScript client, unmodified, against the server at URL (WebSockets) and BASE (HTTP); prints what happened as JSON.
import { createSpeechmaticsJWT } from "@speechmatics/auth";
import { RealtimeClient } from "@speechmatics/real-time-client";

const { URL: url, BASE: base, KEY: apiKey } = process.env;
const raw = { type: "raw", encoding: "pcm_s16le", sample_rate: 16000 };
const second = new ArrayBuffer(32000);

function session() {
  const client = new RealtimeClient({ url: `${url}/v2`, appId: "node-test", enableLegacy: true });
  const got = [];
  client.addEventListener("receiveMessage", ({ data }) => got.push(data));
  return { client, got };
}

const jwt = await createSpeechmaticsJWT({ type: "rt", apiKey, ttl: 60, managementPlatformURL: `${base}/v1` });

async function whole() {
  const { client, got } = session();
  const config = { language: "en", enable_partials: true, max_delay: 0.7, operating_point: "enhanced" };
  const started = await client.start(jwt, { transcription_config: config, audio_format: raw });
  for (let n = 0; n < 5; n += 1) client.sendAudio(second);
  client.setRecognitionConfig({ max_delay: 2 });
  client.forceEndOfUtterance();
  const { speakers } = await client.getSpeakers({ timeout: 5000 });
  client.sendAudio(new Blob([second]));
  await new Promise((resolve) => setTimeout(resolve, 200)); // the client counts acknowledgements
  await client.stopRecognition();
  return { started, speakers, got, state: client.socketState };
}

async function refused(config) {
  const { client } = session();
  return client.start(jwt, { transcription_config: config, audio_format: raw }).then(
    () => "started",
    (error) => String(error.cause?.type ?? error.message ?? error),
  );
}

async function file() {
  const { client, got } = session();
  await client.start(apiKey, { transcription_config: { language: "en" } }); // the default format, a permanent key in the query
  client.sendAudio(second);
  await client.stopRecognition();
  return got.map((body) => body.message);
}

async function beside() {
  const { client, got } = session();
  await client.start(jwt, {
    transcription_config: { language: "en" }, audio_format: raw,
    translation_config: { target_languages: ["en"], enable_partials: true }, audio_events_config: { types: ["music"] },
  });
  const audio = tone(4);
  for (let at = 0; at < audio.byteLength; at += 16000) { // a word of the script each; a partial is replaced by the next one
    client.sendAudio(audio.slice(at, at + 16000));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await client.stopRecognition();
  return got;
}

function tone(seconds) {
  const samples = new Int16Array(16000 * seconds);
  for (let n = 0; n < samples.length; n += 1) {
    for (const note of [220, 277, 330, 440]) samples[n] += 1500 * Math.sin((2 * Math.PI * note * n) / 16000);
  }
  return samples.buffer;
}

const answer = {
  whole: await whole(),
  language: await refused({ language: "xx-no" }),
  config: await refused({ language: "en", max_delay: "soon" }),
  file: await file(),
  beside: await beside(),
};
console.log(JSON.stringify(answer));
process.exit(0);

// The vendor's JavaScript batch client, unmodified, against the server at URL: a job with every stage, and its result as JSON.
import { BatchClient } from "@speechmatics/batch-client";
import { openAsBlob } from "node:fs";

const { URL: apiUrl, KEY: apiKey, AUDIO: audio, CONFIG: config } = process.env;
const client = new BatchClient({ apiUrl, apiKey, appId: "node-test" });
const input = { data: await openAsBlob(audio), fileName: "talk.wav" };
const { id } = await client.createTranscriptionJob(input, JSON.parse(config));
let state;
do {
  await new Promise((resolve) => setTimeout(resolve, 200));
  state = (await client.getJob(id)).job.status;
} while (state === "running");
console.log(JSON.stringify({ state, result: await client.getJobResult(id, "json-v2") }));

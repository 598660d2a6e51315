// What a program does with npm `openai`, unmodified: every format, streams, models, errors. Prints `PASS`.
import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [packages, url, key, audio] = process.argv.slice(2);
const OpenAI = createRequire(path.join(packages, "package.json"))("openai").default;
const options = { baseURL: `${url}/v1`, maxRetries: 0, timeout: 300_000 };
const client = new OpenAI({ apiKey: key, ...options });
const create = (more) => client.audio.transcriptions.create({ model: "whisper-1", file: createReadStream(audio), ...more });

const plain = await create({});
assert.ok(plain.text.split(" ").length > 20);
assert.equal(plain.usage.type, "duration");
assert.equal((await create({ response_format: "text" })).trim(), plain.text);
assert.ok((await create({ response_format: "srt" })).startsWith("1\n00:00:0"));
assert.ok((await create({ response_format: "vtt" })).startsWith("WEBVTT"));

const verbose = await create({ response_format: "verbose_json", timestamp_granularities: ["word", "segment"], temperature: 0 });
assert.equal(verbose.language, "english");
assert.equal(verbose.words.length, plain.text.split(" ").length);
assert.ok(verbose.segments.every((each) => typeof each.avg_logprob === "number" && each.end >= each.start));

const diarized = await create({ model: "gpt-4o-transcribe-diarize", response_format: "diarized_json" });
assert.ok(diarized.segments[0].speaker);

const events = [];
for await (const event of await create({ model: "gpt-4o-transcribe", stream: true, keywords: ["Ada", "Lovelace"] })) events.push(event);
const last = events.pop();
assert.equal(last.type, "transcript.text.done");
assert.equal(last.text, plain.text);
assert.equal(events.map((each) => each.delta).join(""), plain.text);

const names = [];
for await (const model of client.models.list()) names.push(model.id);
assert.ok(names.includes("whisper-1"));
assert.equal((await client.models.retrieve("whisper-1")).object, "model");

await assert.rejects(create({ model: "none" }), (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found");
const media = createReadStream(audio);
await assert.rejects(
  client.audio.translations.create({ model: "whisper-1", file: media }),
  (error) => error instanceof OpenAI.BadRequestError && error.message.includes("models pull"),
);
await assert.rejects(new OpenAI({ apiKey: "unknown", ...options }).models.list(), OpenAI.AuthenticationError);
console.log("PASS");

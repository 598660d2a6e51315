// A live session over the vendor's own client, which begins again where the connection is lost. Audio is kept until its words are
// final, and sent again to the next session, so that a lost connection loses no words.

import {RealtimeClient} from "@speechmatics/real-time-client";
import {ask} from "./api.js";
import {BLOCK_S} from "./sound.js";

const CONTEXT_S = 1.5;  // seconds before the words that are not final yet: a recording that begins inside a word loses it
const KEPT_S = 60;  // seconds of audio that are kept for a server that is away
const BEHIND = 20, MOST = 100;  // blocks that the server has not taken: from here on it is told; no more are sent
const WAITS_MS = [500, 1000, 2000, 4000, 5000];
const HOPELESS = new Set(["not_authorised", "not_allowed", "invalid_model", "invalid_config", "invalid_language", "invalid_audio_type", "quota_exceeded"]);

async function key() {
  return (await (await ask("/portal/live-key", {method: "POST", headers: {"content-type": "application/json"}, body: "{}"})).json()).key;
}

/** Calls `on.started(info)`, `on.final(results, offset)`, `on.partial(results)`, `on.missed(seconds, at)`, `on.state(text)`, `on.failed(text)`. */
export class LiveSession {
  constructor(config, rate, on) {
    Object.assign(this, {config, rate, on, blocks: [], taken: 0, sent: 0, acknowledged: 0, offset: 0, heard: 0, final: 0, floor: 0, stopped: false, failures: 0, client: null});
  }

  /** Seconds from the newest audio to the end of the newest words or silence that the server told. */
  get lag() {
    return Math.max(this.taken - this.heard, 0);
  }

  get behind() {
    return this.client?.ready && this.sent - this.acknowledged > BEHIND ? (this.sent - this.acknowledged) * BLOCK_S : 0;
  }

  async start() {
    await this.connect();
    this.pump();
  }

  /** Take a block of the sound. */
  push(block) {
    this.blocks.push({at: this.taken, block, sent: false});
    this.taken += BLOCK_S;
    const spare = this.blocks.length * BLOCK_S - KEPT_S;
    if (spare > 0) {
      const lost = this.blocks.splice(0, Math.ceil(spare / BLOCK_S)).filter((each) => !each.sent);
      if (lost.length) this.on.missed(lost.length * BLOCK_S, lost[0].at);
    }
    this.pump();
  }

  pump() {
    if (!this.client?.ready) return;
    for (const each of this.blocks) {
      if (each.sent) continue;
      if (this.sent - this.acknowledged >= MOST) break;
      try {
        this.client.sendAudio(each.block);
      } catch {
        return;  // the connection has just ended; the block stays for the next one
      }
      each.sent = true;
      this.sent++;
    }
  }

  async connect() {
    const client = new RealtimeClient({url: new URL("/v2", location.href.replace(/^http/, "ws")).href});
    this.client = client;
    client.addEventListener("receiveMessage", ({data}) => { if (client === this.client) this.receive(data); });
    client.addEventListener("socketStateChange", ({socketState}) => { if (socketState === "closed" && client === this.client && client.ready) this.lost(); });
    const first = this.blocks[0];
    this.offset = first ? first.at : this.taken;
    this.floor = this.final;
    for (const each of this.blocks) each.sent = false;
    Object.assign(this, {sent: 0, acknowledged: 0});
    const audio_format = {type: "raw", encoding: "pcm_f32le", sample_rate: this.rate};
    let info;
    try {
      info = await client.start(await key(), {audio_format, ...this.config});
    } catch (error) {
      const told = this.error;
      this.client = this.error = null;
      throw told ? Object.assign(new Error(told.reason || told.type), {type: told.type}) : error;
    }
    client.ready = true;
    this.failures = 0;
    this.on.started(info);
  }

  receive(data) {
    switch (data.message) {
      case "AudioAdded":
        this.acknowledged = data.seq_no;
        this.pump();
        break;
      case "AddTranscript": {
        const end = this.offset + data.metadata.end_time;
        this.heard = Math.max(this.heard, end);
        this.final = Math.max(this.final, end);
        this.blocks = this.blocks.filter((each) => !each.sent || each.at + BLOCK_S > end - CONTEXT_S);
        const fresh = this.fresh(data.results);
        if (fresh.length) this.on.final(fresh, this.offset);
        break;
      }
      case "AddPartialTranscript":
        this.heard = Math.max(this.heard, this.offset + data.metadata.end_time);
        this.on.partial(this.fresh(data.results));
        break;
      case "Error":
        this.error = data;
        break;
    }
  }

  /** Those of *results* that the session before did not make final. */
  fresh(results) {
    return results.filter(({start_time: start, end_time: end}) => this.offset + (start + end) / 2 > this.floor);
  }

  /** The connection has ended by itself: begin again, unless the server says that this cannot help. */
  async lost() {
    const error = this.error;
    this.client = this.error = null;
    if (this.stopped) return;
    this.on.partial([]);
    if (error && HOPELESS.has(error.type)) {
      this.give(error.reason || error.type);
      return;
    }
    while (!this.stopped) {
      this.on.state("The connection was lost. Captions go on as soon as the server answers.");
      await new Promise((resolve) => setTimeout(resolve, WAITS_MS[Math.min(this.failures++, WAITS_MS.length - 1)]));
      if (this.stopped) return;
      try {
        await this.connect();
        this.pump();
        return;
      } catch (error) {
        if (HOPELESS.has(error.type)) this.give(error.message);
      }
    }
  }

  give(reason) {
    this.stopped = true;
    this.on.failed(reason);
  }

  /** End the session, and wait for its last words. */
  async stop() {
    const client = this.client;
    const unsent = this.blocks.filter((each) => !each.sent);
    this.stopped = true;
    if (client?.ready) {
      for (const {block} of unsent) client.sendAudio(block);
      await client.stopRecognition().catch(() => null);
    } else if (unsent.length) {
      this.on.missed(unsent.length * BLOCK_S, unsent[0].at);
    }
    this.client = null;
  }
}

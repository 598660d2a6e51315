// The page of live captions: sound of this device, recognised by the server while it is spoken.

import {LitElement, html, nothing} from "lit";
import {json, words} from "./lib/api.js";
import {Captions, joined} from "./lib/captions.js";
import {LiveSession} from "./lib/live-session.js";
import {SCREEN, Sound, level, microphones, trouble} from "./lib/sound.js";

const CHANNEL = "sottovoce-captions";
const [IDLE, STARTING, LISTENING, STOPPING] = ["idle", "starting", "listening", "stopping"];
const FILES = {txt: ["Text", "text/plain"], srt: ["SRT", "application/x-subrip"], vtt: ["VTT", "text/vtt"], json: ["JSON", "application/json"]};

class LiveCaptions extends LitElement {
  static properties = {
    state: {state: true}, note: {state: true}, error: {state: true}, devices: {state: true}, languages: {state: true}, partial: {state: true},
    level: {state: true}, lag: {state: true}, behind: {state: true},
  };

  constructor() {
    super();
    Object.assign(this, {state: IDLE, note: "", error: "", devices: [], languages: null, partial: "", level: 0, lag: 0, behind: 0});
    this.captions = new Captions();
    this.channel = new BroadcastChannel(CHANNEL);
    this.channel.onmessage = ({data}) => { if (data === "hello") this.share(); };
    this.saved = true;
  }

  createRenderRoot() {
    return this;
  }

  async connectedCallback() {
    super.connectedCallback();
    addEventListener("beforeunload", (event) => { if (!this.saved) event.preventDefault(); });
    if (!window.isSecureContext) {
      this.error = "The browser gives a page the microphone only over HTTPS or on localhost. Ask your operator for an https address of this server.";
      return;
    }
    try {
      const {metadata, realtime} = await json("/v1/discovery/features");
      const codes = realtime?.transcription[0].languages ?? [];
      const named = codes.map((code) => [code, metadata.language_pack_info[code]?.language_description ?? code]);
      this.languages = named.sort((a, b) => a[1].localeCompare(b[1]));
      if (!codes.length) this.error = "This server recognises no live audio. Its operator starts that with the role “realtime”.";
    } catch (error) {
      this.error = words(error);
    }
    this.devices = await microphones();
    navigator.mediaDevices.addEventListener("devicechange", async () => { this.devices = await microphones(); });
  }

  // ── the session ──

  config(form) {
    const vocabulary = form.get("vocabulary").split(/[\n,]/).map((each) => each.trim()).filter(Boolean);
    return {
      transcription_config: {
        language: form.get("language"), enable_partials: true, max_delay: Number(form.get("delay")),
        ...(form.get("speakers") && {diarization: "speaker"}),
        ...(vocabulary.length && {additional_vocab: vocabulary.map((content) => ({content}))}),
      },
    };
  }

  async start(event) {
    event.preventDefault();
    const form = new FormData(event.target);
    Object.assign(this, {state: STARTING, error: "", note: "Starting …"});
    try {
      this.sound = await Sound.open(form.get("source"), (block) => this.take(block), () => this.stop());
    } catch (error) {
      Object.assign(this, {state: IDLE, note: "", error: trouble(error, form.get("source"))});
      return;
    }
    this.devices = await microphones();
    this.origin = this.captions.words.at(-1)?.end ?? 0;
    this.session = new LiveSession(this.config(form), this.sound.rate, this.listener());
    try {
      await this.session.start();
    } catch (error) {
      await this.sound.stop();
      Object.assign(this, {state: IDLE, note: "", session: null, error: error.status ? words(error) : refusal(error)});
    }
  }

  listener() {
    return {
      started: (info) => {
        this.captions.delimiter = info.language_pack_info?.word_delimiter ?? " ";
        Object.assign(this, {state: LISTENING, note: "Listening."});
      },
      final: (results, offset) => {
        this.captions.add(results, offset + this.origin);
        Object.assign(this, {partial: "", saved: false});
        this.share();
      },
      partial: (results) => {
        this.partial = joined(results, this.captions.delimiter);
        this.share();
      },
      missed: (seconds, at) => {
        this.captions.miss(seconds, at + this.origin);
        this.requestUpdate();
      },
      state: (text) => { this.note = text; },
      failed: async (reason) => {
        await this.sound.stop();
        Object.assign(this, {state: IDLE, note: "", level: 0, error: `The server ended the session: ${reason}`});
      },
    };
  }

  take(block) {
    if (this.state === STOPPING) return;
    this.session?.push(block);
    Object.assign(this, {level: level(block), lag: this.session?.lag ?? 0, behind: this.session?.behind ?? 0});
  }

  async stop() {
    if (this.state !== LISTENING && this.state !== STARTING) return;
    Object.assign(this, {state: STOPPING, note: "Waiting for the last words …"});
    await this.sound.stop();
    await this.session?.stop();
    Object.assign(this, {state: IDLE, note: "Stopped.", partial: "", level: 0, lag: 0, behind: 0});
    this.share();
  }

  /** Show the newest text in the overlay window, if one is open. */
  share() {
    const recent = this.captions.paragraphs.slice(-2).map(({speaker, text}) => ({speaker, text}));
    this.channel.postMessage({recent, partial: this.partial});
  }

  clear() {
    if (!this.saved && !confirm("Remove the captions of this page? They are stored nowhere else.")) return;
    this.captions = new Captions();
    Object.assign(this, {partial: "", saved: true});
    this.share();
    this.requestUpdate();
  }

  save(kind) {
    const content = kind === "txt" ? this.captions.text() : this.captions[kind]();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], {type: FILES[kind][1]}));
    link.download = `captions.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    this.saved = true;
  }

  updated() {
    const box = this.querySelector(".captions");
    if (box && this.following !== false) box.scrollTop = box.scrollHeight;
  }

  scrolled({target}) {
    this.following = target.scrollHeight - target.scrollTop - target.clientHeight < 80;
  }

  // ── what is shown ──

  render() {
    const busy = this.state !== IDLE;
    return html`
      <form class="card" @submit=${this.start}>
        <div class="row">
          <label>Sound
            <select name="source" ?disabled=${busy}>
              <option value="">The microphone that the browser chooses</option>
              ${this.devices.map(({id, name}) => html`<option value=${id}>${name}</option>`)}
              ${navigator.mediaDevices?.getDisplayMedia ? html`<option value=${SCREEN}>A tab or the screen, with its sound</option>` : nothing}
            </select></label>
          <label>Language
            <select name="language" ?disabled=${busy}>
              ${(this.languages ?? []).map(([code, name]) => html`<option value=${code} ?selected=${code === "en"}>${name}</option>`)}
            </select></label>
          <label>Final words
            <select name="delay" ?disabled=${busy}>
              <option value="0.7">as soon as possible</option>
              <option value="2" selected>after 2 seconds, with fewer errors</option>
              <option value="4">after 4 seconds, with the fewest errors</option>
            </select></label>
        </div>
        <details><summary>Speakers and custom words</summary>
          <label class="check"><input type="checkbox" name="speakers" ?disabled=${busy}> Tell speakers apart</label>
          <label>Names and words that are said, one a line
            <textarea name="vocabulary" rows="3" ?disabled=${busy}></textarea></label>
        </details>
        <div class="row live-controls">
          ${busy
            ? html`<button type="button" class="primary" @click=${this.stop} ?disabled=${this.state === STOPPING}>Stop</button>`
            : html`<button class="primary" ?disabled=${!this.languages?.length || !window.isSecureContext}>Start</button>`}
          <label>Level <meter min="0" max="1" low="0.35" .value=${this.level}></meter></label>
          <span class="lag" ?hidden=${!busy}>${this.lag.toFixed(1)} s behind the speech</span>
        </div>
        <p class="note" role="status">${this.note}</p>
        ${this.behind ? html`<p class="error" role="alert">The server is falling behind: ${this.behind.toFixed(0)} seconds of sound wait for it.</p>` : nothing}
        <p class="error" role="alert">${this.error}</p>
      </form>
      <section class="captions card" aria-label="Captions" tabindex="0" @scroll=${this.scrolled}>
        <div role="log" aria-live="polite" aria-label="Final captions">${this.captions.paragraphs.map((each) => this.paragraph(each))}</div>
        <p class="partial" aria-hidden="true" dir="auto">${this.partial}</p>
      </section>
      <div class="downloads">
        ${Object.entries(FILES).map(([kind, [name]]) => html`
          <button type="button" ?disabled=${!this.captions.words.length} @click=${() => this.save(kind)}>Download ${name}</button>`)}
        <button type="button" @click=${() => this.querySelector(".captions").requestFullscreen()}>Full screen</button>
        <a class="button" href="/portal/live/overlay" target="captions-overlay">Overlay window</a>
        <button type="button" ?disabled=${!this.captions.paragraphs.length} @click=${this.clear}>Clear</button>
      </div>
      <p class="note">The server stores nothing of a live session. Download the text before you close this page.</p>`;
  }

  paragraph({speaker, text, missed}) {
    if (missed) return html`<p class="error">${missed.toFixed(0)} seconds were not heard.</p>`;
    return html`<p dir="auto">${speaker ? html`<b class="speaker">${speaker}</b> ` : nothing}${text}</p>`;
  }
}

function refusal(error) {
  return error.type ? `The server refused: ${error.message}` : "The server does not take the session: it may be full. Try again in a while.";
}

customElements.define("live-captions", LiveCaptions);

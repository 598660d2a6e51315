// A job: its state while it runs, then the player, the transcript and the downloads.

import {LitElement, html, nothing} from "lit";
import "./speaker-names.js";
import "./transcript-view.js";
import "./delivery-log.js";
import "./wave-form.js";
import {failures, tabs} from "./analysis.js";
import {json, words} from "./lib/api.js";
import {clock, date, name, reason, relative, state} from "./lib/format.js";
import {hasPicture} from "./lib/picture.js";

const FORMATS = [["json-v2", "JSON", "json"], ["txt", "Text", "txt"], ["srt", "SRT subtitles", "srt"], ["vtt", "WebVTT subtitles", "vtt"], ["docx", "Word", "docx"]];
const NO_NAMES = {speakers: {}, channels: {}};
const [STEP, SLOWEST, FASTEST] = [3, 0.5, 3];

class JobPage extends LitElement {
  static properties = {
    job: {}, region: {}, found: {state: true}, transcript: {state: true}, problem: {state: true}, tab: {state: true},
    silent: {state: true}, speed: {state: true}, hits: {state: true}, names: {state: true}, voices: {state: true}, named: {state: true}, picture: {state: true},
  };

  constructor() {
    super();
    Object.assign(this, {found: null, transcript: null, problem: "", tab: "transcript", silent: false, speed: 1, hits: ""});
    Object.assign(this, {names: NO_NAMES, voices: [], named: true, picture: false});
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    addEventListener("keydown", (event) => this.pressed(event));
    this.load();
  }

  async load() {
    try {
      for (let wait = 0; ; wait = 2) {
        this.found = (await json(`/v2/jobs/${this.job}?lifecycle=true&wait=${wait}`)).job;
        if (this.found.status !== "running") break;
      }
      document.title = `${name(this.found)} · Sottovoce`;
      if (this.found.status === "done") {
        const picture = hasPicture(this.media, name(this.found));
        const transcript = await json(`/v2/jobs/${this.job}/transcript?format=json-v2`);
        Object.assign(this, {picture: await picture, transcript});
      }
    } catch (error) {
      this.problem = words(error);
    }
    if (!this.transcript) return;
    await this.updateComplete;
    this.view.show(this.transcript, this.player);
    this.querySelector("wave-form").show(this.job, this.player);
    this.voices = this.view.voices;
    if (this.voices.length) json(`/v2/jobs/${this.job}/speaker-names`).then((names) => this.rename(names), () => null);
  }

  rename(names) {
    this.names = names;
    this.view.rename(names);
  }

  /** The address of the transcript in *format*, with the names of speakers if the person wants them. */
  address(format) {
    return `/v2/jobs/${this.job}/transcript?format=${format}${this.hasNames && this.named ? "&speaker_names=true" : ""}`;
  }

  get hasNames() {
    return [this.names.speakers, this.names.channels].some((each) => Object.keys(each).length);
  }

  /** What browsers can play: the file itself, else the copy that the server made. */
  get media() {
    return `/v2/jobs/${this.job}/playback`;
  }

  get player() {
    return this.querySelector("audio, video");
  }

  get view() {
    return this.querySelector("transcript-view");
  }

  seek(seconds) {
    this.player.currentTime = seconds;
    this.player.play().catch(() => null);
  }

  /** Keys that people who type transcripts know: Esc or Ctrl-Space, F1 and F2, F3 and F4. */
  pressed(event) {
    if (!this.player || event.altKey || event.metaKey || event.shiftKey) return;
    const key = event.ctrlKey ? `Ctrl ${event.code}` : event.code;
    if (key === "Escape" && (document.fullscreenElement || event.target.closest?.("input:not([type=checkbox]), select, textarea"))) return;
    const actions = {
      "Escape": () => this.toggle(), "Ctrl Space": () => this.toggle(),
      "F1": () => { this.player.currentTime -= STEP; }, "F2": () => { this.player.currentTime += STEP; },
      "F3": () => this.faster(-0.25), "F4": () => this.faster(0.25),
    };
    if (!(key in actions)) return;
    event.preventDefault();
    actions[key]();
  }

  toggle() {
    if (this.player.paused) this.player.play().catch(() => null); else this.player.pause();
  }

  faster(by) {
    this.speed = Math.min(FASTEST, Math.max(SLOWEST, this.speed + by));
    this.player.playbackRate = this.speed;
  }

  find(event) {
    this.hits = this.view.search(event.target.value);
  }

  again(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    this.hits = this.view.step(event.shiftKey ? -1 : 1);
  }

  render() {
    if (!this.found) return html`<p class=${this.problem ? "error" : "note"} role="status">${this.problem || "Loading …"}</p>`;
    const job = this.found, going = job.lifecycle?.delete_at;
    return html`
      <p><a href="/">All jobs</a></p>
      <h1 class="name" dir="auto">${name(job)}</h1>
      <p class="note" role="status"><span class=${`state ${job.status}`}>${state(job)}</span>
        ${job.duration ? html` · ${clock(job.duration)}` : nothing} · sent ${date(job.created_at)} · stored in ${this.region}${going
          ? html`, will be deleted <time datetime=${going} title=${date(going)}>${relative(Date.parse(going))}</time>` : nothing}</p>
      ${job.status === "running" ? html`<progress max="1" value=${job.lifecycle?.progress || nothing} aria-label="Progress of the transcription"></progress>
        <p class="note">This page shows the transcript when it is ready. You can close the page meanwhile.</p>` : nothing}
      ${reason(job) ? html`<p class="error" dir="auto">${reason(job)}</p>` : nothing}
      <p class="error" role="alert">${this.problem}</p>
      ${this.transcript ? this.body() : nothing}
      ${job.status === "running" ? nothing : html`<delivery-log job=${this.job}></delivery-log>${this.whereabouts(going)}`}`;
  }

  /** Where this file lies and when it goes, in sentences. */
  whereabouts(going) {
    return html`<details class="card"><summary>Where this file is, and when it is deleted</summary>
      <ul><li>The media, the transcript, the names of speakers and the waveform are stored on the machines of the region <b>${this.region}</b>, and in no other region.</li>
        <li>All who have a key or an account for this project of the server can read them.</li>
        <li>${going ? html`All of it is deleted on <time datetime=${going}>${date(going)}</time>, or at once when you delete the job in the list.`
          : "It is deleted when the job was delivered, or at once when you delete the job in the list."}</li>
        <li>Files that you downloaded, and copies that the operator of the server makes (backups), are not deleted with it.</li></ul></details>`;
  }

  body() {
    const extra = tabs(this.transcript);
    return html`
      ${this.playerBar()}
      ${failures(this.transcript).map((text) => html`<p class="note">${text}</p>`)}
      ${extra.length ? this.tabList([["transcript", "Transcript"], ...extra]) : nothing}
      <div id="panel-transcript" role=${extra.length ? "tabpanel" : nothing} aria-labelledby=${extra.length ? "tab-transcript" : nothing}
        ?hidden=${this.tab !== "transcript"}>
        ${this.tools()}
        ${this.transcript.results.length ? nothing : html`<p class="note">No speech was heard in this recording.</p>`}
        <speaker-names .job=${this.job} .labels=${this.voices} .names=${this.names} @names-changed=${(event) => this.rename(event.detail)}></speaker-names>
        <transcript-view></transcript-view>
      </div>
      ${extra.map(([key, , value, template]) => html`<div id=${`panel-${key}`} role="tabpanel" aria-labelledby=${`tab-${key}`} ?hidden=${this.tab !== key}>
        ${template(value, (seconds) => this.seek(seconds))}</div>`)}`;
  }

  playerBar() {
    const media = `/v2/jobs/${this.job}/data`;
    return html`<section class="card player" aria-label="Player and downloads">
      <wave-form></wave-form>
      ${this.picture ? this.video() : html`<audio controls preload="metadata" src=${this.media} @error=${() => { this.silent = true; }}></audio>`}
      ${this.silent ? html`<p class="note">This browser cannot play the file. <a href=${media} download=${name(this.found)}>Download the file</a> to
        play it in another program. The transcript is below.</p>` : nothing}
      <div class="row">
        <span>Speed <button type="button" aria-label="Slower" @click=${() => this.faster(-0.25)}>−</button>
          <output>${this.speed}×</output> <button type="button" aria-label="Faster" @click=${() => this.faster(0.25)}>+</button></span>
        <span class="downloads">Download ${FORMATS.map(([format, label, ending]) => html`<a class="button" download=${`${name(this.found)}.${ending}`}
          href=${this.address(format)}>${label}</a>`)}
          ${this.hasNames ? html`<label class="check"><input type="checkbox" .checked=${this.named}
            @change=${(event) => { this.named = event.target.checked; }}> with names (not in JSON)</label>` : nothing}</span>
      </div>
      <details><summary>Keyboard</summary><p><kbd>Esc</kbd> or <kbd>Ctrl</kbd>+<kbd>Space</kbd> play or pause · <kbd>F1</kbd> 3 seconds back ·
        <kbd>F2</kbd> 3 seconds on · <kbd>F3</kbd> slower · <kbd>F4</kbd> faster. A click on a word plays from it.</p></details>
    </section>`;
  }

  /** The picture, with our own subtitles as captions. */
  video() {
    const language = this.transcript.metadata.transcription_config?.language ?? "";
    return html`<video controls preload="metadata" src=${this.media} @error=${() => { this.silent = true; }}>
      <track kind="captions" label="Captions" srclang=${language} src=${this.address("vtt")} default></video>`;
  }

  tools() {
    return html`<div class="row">
      <label>Search in the transcript <input type="search" @input=${this.find} @keydown=${this.again}></label>
      <output class="hits" role="status">${this.hits}</output>
      <label class="check"><input type="checkbox" checked @change=${(event) => this.view.shade(event.target.checked)}> Mark uncertain words</label>
    </div>`;
  }

  tabList(all) {
    return html`<div class="tabs" role="tablist" aria-label="Results" @keydown=${(event) => this.moveTab(event, all)}>
      ${all.map(([key, label]) => html`<button type="button" role="tab" id=${`tab-${key}`} aria-controls=${`panel-${key}`}
        aria-selected=${String(this.tab === key)} tabindex=${this.tab === key ? 0 : -1} @click=${() => { this.tab = key; }}>${label}</button>`)}</div>`;
  }

  async moveTab(event, all) {
    const by = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!by) return;
    const keys = all.map(([key]) => key);
    this.tab = keys[(keys.indexOf(this.tab) + by + keys.length) % keys.length];
    await this.updateComplete;
    this.querySelector(`#tab-${this.tab}`).focus();
  }
}

customElements.define("job-page", JobPage);

// New jobs: files by drag and drop, or an address. One file is sent at a time; the others wait in the list.

import {LitElement, html, nothing} from "lit";
import {PORTAL, ApiError, languages, renew, toSignIn, words} from "./lib/api.js";
import "./code-sample.js";
import {reason, state, token} from "./lib/format.js";
import {samples} from "./lib/samples.js";

const EXTRAS = [
  ["summarization_config", "Summary", "The most central sentences, as they were spoken."],
  ["auto_chapters_config", "Chapters", "English only."],
  ["topic_detection_config", "Topics", "English only."],
  ["sentiment_analysis_config", "Sentiment", "English only."],
];
const KEEP = [["", "As the server is set up"], ["3600", "One hour"], ["86400", "One day"], ["604800", "One week"], ["2592000", "30 days"]];

class UploadForm extends LitElement {
  static properties = {uploads: {state: true}, languages: {state: true}, over: {state: true}, problem: {state: true}, request: {state: true}};

  constructor() {
    super();
    Object.assign(this, {uploads: [], languages: null, over: false, problem: "", sending: false, request: null});
  }

  createRenderRoot() {
    return this;
  }

  async connectedCallback() {
    super.connectedCallback();
    addEventListener("beforeunload", (event) => {
      if (this.sending) event.preventDefault();
    });
    addEventListener("jobs-loaded", ({detail}) => this.follow(detail));
    try {
      this.languages = await languages();
    } catch (error) {
      this.problem = `The languages of this server cannot be read. ${words(error)}`;
      this.languages = {names: new Map([["en", "English"]]), identifies: false};
    }
    await this.updateComplete;
    this.changed();
  }

  /** Show the request that the form now describes. */
  changed() {
    const form = new FormData(this.querySelector("form")), config = this.config(), url = form.get("url");
    this.request = {config: url ? {...config, fetch_data: {url}} : config, keep: form.get("keep")};
  }

  /** The JobConfig that the form describes. */
  config() {
    const form = new FormData(this.querySelector("form"));
    const transcription = {language: form.get("language"), operating_point: form.get("operating_point")};
    if (form.get("diarization") !== "none") transcription.diarization = form.get("diarization");
    const vocabulary = form.get("words").split("\n").map((line) => line.trim()).filter(Boolean);
    if (vocabulary.length) transcription.additional_vocab = vocabulary.map((content) => ({content}));
    const config = {type: "transcription", transcription_config: transcription};
    for (const [name] of EXTRAS) if (form.has(name)) config[name] = {};
    return config;
  }

  /** Add one upload for each of *sources*: a `File`, or an address as text. */
  add(sources) {
    const config = this.config(), keep = new FormData(this.querySelector("form")).get("keep");
    this.problem = "";
    this.uploads = [...this.uploads, ...sources.map((source) => ({
      source, keep, state: "waiting", sent: 0, problem: "",
      name: typeof source === "string" ? source : source.name,
      config: typeof source === "string" ? {...config, fetch_data: {url: source}} : config,
      key: token(),  // the same for each attempt, so that a retry cannot make a second job
    }))];
    this.work();
  }

  /** Show the states of the jobs that were sent from here: the list of *jobs* is further down the page. */
  follow(jobs) {
    const found = new Map(jobs.map((job) => [job.id, job]));
    for (const upload of this.uploads) upload.job = found.get(upload.id) ?? upload.job;
    this.requestUpdate();
  }

  async work() {
    if (this.sending) return;
    this.sending = true;
    for (let next; (next = this.uploads.find((each) => each.state === "waiting"));) {
      next.state = "sending";
      try {
        next.id = (await this.send(next)).id;
        next.state = "sent";
        this.dispatchEvent(new CustomEvent("job-created", {bubbles: true}));
      } catch (error) {
        Object.assign(next, {state: "failed", problem: words(error)});
      }
      this.requestUpdate();
    }
    this.sending = false;
  }

  async send(upload) {
    try {
      return await this.attempt(upload);
    } catch (error) {
      if (error.status !== 401) throw error;
      if (await renew()) return this.attempt(upload);
      toSignIn();
      throw error;
    }
  }

  attempt(upload) {
    const body = new FormData();
    body.append("config", JSON.stringify(upload.config));
    if (typeof upload.source !== "string") body.append("data_file", upload.source);
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();  // fetch does not report how much was sent
      request.open("POST", "/v2/jobs?sm-app=portal");
      for (const [name, value] of Object.entries(PORTAL)) request.setRequestHeader(name, value);
      request.setRequestHeader("Idempotency-Key", upload.key);
      if (upload.keep) request.setRequestHeader("Retention-Seconds", upload.keep);
      request.responseType = "json";
      request.upload.onprogress = (event) => {
        upload.sent = event.total ? event.loaded / event.total : 0;
        this.requestUpdate();
      };
      request.onload = () => request.status === 201 ? resolve(request.response) : reject(new ApiError(request.status, request.response ?? {}));
      request.onerror = () => reject(new TypeError("no answer"));
      request.send(body);
      this.requestUpdate();
    });
  }

  retry(upload) {
    Object.assign(upload, {state: "waiting", sent: 0, problem: ""});
    this.requestUpdate();
    this.work();
  }

  remove(upload) {
    this.uploads = this.uploads.filter((each) => each !== upload);
  }

  drop(event) {
    event.preventDefault();
    this.over = false;
    const files = [...event.dataTransfer.files];
    if (files.length) this.add(files);
  }

  pick(event) {
    this.add([...event.target.files]);
    event.target.value = "";
  }

  address(event) {
    const field = this.querySelector("[name=url]");
    if (event.type === "keydown" && event.key !== "Enter") return;
    event.preventDefault();
    if (!field.value || !field.reportValidity()) return field.focus();
    this.add([field.value]);
    field.value = "";
  }

  render() {
    if (!this.languages) return html`<p class="note" role="status">Loading …</p>`;
    const {names, identifies} = this.languages;
    return html`
      <form class="card upload" @submit=${(event) => event.preventDefault()} @input=${this.changed}>
        <div class="row">
          <label>Language
            <select name="language">
              ${identifies ? html`<option value="auto">Automatic</option>` : nothing}
              ${[...names].map(([code, name]) => html`<option value=${code} ?selected=${!identifies && code === "en"}>${name}</option>`)}
            </select>
          </label>
          <label>Speakers
            <select name="diarization">
              <option value="none">Do not tell apart</option>
              <option value="speaker">Tell voices apart</option>
              <option value="channel">One speaker per channel</option>
            </select>
          </label>
        </div>
        <details>
          <summary>More options</summary>
          <div class="row">
            <label>Model
              <select name="operating_point">
                <option value="standard">Standard: faster</option>
                <option value="enhanced">Enhanced: fewer errors</option>
              </select>
            </label>
            <label>Delete the job after its end
              <select name="keep">${KEEP.map(([seconds, text]) => html`<option value=${seconds}>${text}</option>`)}</select>
            </label>
          </div>
          <label>Names and rare words, one in each line
            <textarea name="words" rows="3" dir="auto"></textarea>
          </label>
          <fieldset><legend>Also make</legend>
            ${EXTRAS.map(([name, label, help]) => html`<label class="check"><input type="checkbox" name=${name}> ${label} <small>${help}</small></label>`)}
          </fieldset>
        </details>
        <div class=${this.over ? "drop over" : "drop"} @drop=${this.drop}
          @dragover=${(event) => { event.preventDefault(); this.over = true; }} @dragleave=${() => { this.over = false; }}>
          <label class="file">Drop audio or video files here, or choose them
            <input type="file" multiple @change=${this.pick}>
          </label>
        </div>
        <div class="row address">
          <label>Or the address of a file
            <input name="url" type="url" placeholder="https://example.org/talk.mp3" @keydown=${this.address}>
          </label>
          <button type="button" @click=${this.address}>Transcribe the address</button>
        </div>
      </form>
      <p class="error" role="alert">${this.problem}</p>
      <ul class="uploads" aria-label="Uploads">${this.uploads.map((upload) => this.row(upload))}</ul>
      ${this.request ? html`<code-sample .programs=${samples(this.request, location.origin)}></code-sample>` : nothing}`;
  }

  sent({id, job}) {
    const why = job ? reason(job) : "";
    return html`<span class=${`state ${job?.status ?? ""}`} role="status">${job ? state(job) : "Sent"}</span>
      ${why ? html`<span class="error" dir="auto">${why}</span>` : nothing}
      <a class="button" href=${`/portal/jobs/${id}`}>${job?.status === "done" ? "Open the transcript" : "Open"}</a>`;
  }

  row(upload) {
    const percent = Math.floor(upload.sent * 100);
    return html`<li>
      <span class="name" dir="auto">${upload.name}</span>
      ${upload.state === "sending" ? html`<progress max="1" .value=${upload.sent} aria-label=${`Upload of ${upload.name}`}></progress> ${percent} %` : nothing}
      ${upload.state === "waiting" ? "waits for the upload" : nothing}
      ${upload.state === "sent" ? this.sent(upload) : nothing}
      ${upload.state === "failed" ? html`<span class="error" role="alert">${upload.problem}</span>
        <button type="button" @click=${() => this.retry(upload)}>Try again</button>` : nothing}
      ${upload.state === "sending" ? nothing : html`<button type="button" aria-label=${`Remove ${upload.name} from this list`}
        @click=${() => this.remove(upload)}>×</button>`}
    </li>`;
  }
}

customElements.define("upload-form", UploadForm);

// The state of the server for its operator: parts, queue, workers, engines, models, disk, notifications, retention.

import {LitElement, html, nothing} from "lit";
import "./code-sample.js";
import {json, send, words} from "./lib/api.js";
import {clock, date, relative} from "./lib/format.js";
import {programs} from "./lib/programs.js";
import {barred, howSignedIn, needsKey} from "./lib/signed-in.js";

const DETAILS = {method: "GET", path: "/v1/health/details"};
const [PULLING_MS, OFTEN_MS] = [1000, 10_000];
const PARTS = {
  database: "Database", blobs: "Store of files", keys: "Encryption keys", disk: "Room on the disk", engines: "Engine processes",
};
const STEPS = {waiting: "waiting for another pull", asking: "asking the source", fetching: "downloading", unpacking: "unpacking", checking: "checking"};

class HealthPage extends LitElement {
  static properties = {
    found: {state: true}, problem: {state: true}, refused: {state: true}, request: {state: true}, at: {state: true}, barred: {state: true}, login: {state: true},
  };

  constructor() {
    super();
    Object.assign(this, {found: null, problem: "", refused: null, request: DETAILS, at: 0, barred: false, login: false});
  }

  createRenderRoot() {
    return this;
  }

  async connectedCallback() {
    super.connectedCallback();
    addEventListener("visibilitychange", () => { if (!document.hidden) this.load(); });
    Object.assign(this, await howSignedIn().catch(() => ({})));
    if (!this.barred) this.load();
  }

  async load() {
    clearTimeout(this.timer);
    const mine = this.loading = Symbol("load");
    try {
      const found = await json(DETAILS.path);
      if (mine !== this.loading) return;
      Object.assign(this, {found, problem: "", at: Date.now()});
    } catch (error) {
      if (mine !== this.loading) return;
      this.problem = words(error);
      if (error.status === 403) return;  // it will not change by itself
    }
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = setTimeout(() => this.load(), this.found?.pull?.state === "running" ? PULLING_MS : OFTEN_MS);
  }

  async pull({name}) {
    Object.assign(this, {refused: null, request: {method: "POST", path: `/v1/health/models/${name}`}});
    try {
      await send("POST", this.request.path);
    } catch (error) {
      this.refused = {name, words: words(error)};
    }
    await this.load();
  }

  render() {
    if (this.barred) return barred("/portal/health");
    if (!this.found) return html`<p class=${this.problem ? "error" : "note"} role="status">${this.problem || "Loading …"}</p>`;
    return html`<p class="error" role="alert">${this.problem}</p>
      ${this.parts()}
      <div class="cards facts">${this.queue()}${this.retention()}${this.deliveries()}${this.disk()}</div>
      ${this.workers()}${this.models()}${this.engines()}${this.regions()}
      <code-sample .programs=${programs(this.request, location.origin, this.login)} ?login=${this.login}></code-sample>${needsKey(this.login)}`;
  }

  parts() {
    const {ready, version, region, roles} = this.found, whole = Object.values(ready).every(Boolean);
    return html`<section class="card" aria-labelledby="parts"><h2 id="parts">${whole ? "Everything that the server needs works" : "Something that the server needs does not work"}</h2>
      <ul class="counts">${Object.entries(ready).map(([name, works]) => html`<li>${PARTS[name] ?? name}:
        <span class=${`state ${works ? "done" : "failed"}`}>${works ? "works" : "fails"}</span></li>`)}</ul>
      ${whole ? nothing : html`<p>Run <code>sottovoce doctor</code>; it says what to do. See <a href="/docs/operations#health">Operating it</a>.</p>`}
      <p class="note">Sottovoce ${version}, region ${region}, roles ${roles.join(", ")}. Seen <time>${new Date(this.at).toLocaleTimeString("en-GB")}</time>.</p></section>`;
  }

  queue() {
    const {queue, jobs} = this.found;
    return html`<section class="card" aria-labelledby="queue"><h2 id="queue">Queue</h2><dl>
      <dt>Waiting</dt><dd>${number(queue.waiting, "job")}</dd><dt>Oldest waits for</dt><dd>${queue.waiting ? clock(queue.oldest_seconds) : "–"}</dd>
      <dt>Running</dt><dd>${number(jobs.running ?? 0, "job")} in ${number(queue.slots, "slot")}</dd>
      <dt>Audio left</dt><dd>${clock(queue.audio_seconds)}</dd>
      <dt>All done in</dt><dd>${queue.eta_seconds === null ? "no worker runs" : queue.audio_seconds ? `about ${clock(queue.eta_seconds)}` : "–"}</dd>
      <dt>Time from sending to end</dt><dd>${queue.turnaround_seconds ? `${clock(queue.turnaround_seconds)} in the last hour` : "no job in the last hour"}</dd>
      <dt>Done</dt><dd>${number(jobs.done ?? 0, "job")}</dd><dt>Failed</dt><dd>${number(jobs.rejected ?? 0, "job")}</dd></dl>
      ${queue.eta_seconds === null ? html`<p class="error">No worker runs: jobs wait. Start one (<code>sottovoce serve</code>).</p>` : nothing}
      ${jobs.rejected ? html`<p class="note"><code>sottovoce jobs list --state rejected</code> lists the failed jobs.</p>` : nothing}</section>`;
  }

  deliveries() {
    const {waiting, delivered, failed, failed_last_day: lately} = this.found.deliveries;
    return html`<section class="card" aria-labelledby="deliveries"><h2 id="deliveries">Notifications</h2><dl>
      <dt>Waiting</dt><dd>${(waiting ?? 0).toLocaleString("en")}</dd><dt>Delivered</dt><dd>${(delivered ?? 0).toLocaleString("en")}</dd>
      <dt>Failed</dt><dd><span class=${failed ? "state failed" : ""}>${(failed ?? 0).toLocaleString("en")}</span>, ${lately.toLocaleString("en")} of them in the last day</dd></dl>
      ${failed ? html`<p class="note"><code>sottovoce deliveries list --state failed</code> lists them, <code>deliveries retry ID</code> sends one again.</p>` : nothing}</section>`;
  }

  disk() {
    const {disk} = this.found;
    return html`<section class="card" aria-labelledby="disk"><h2 id="disk">Disk</h2>${disk ? html`<dl><dt>Free</dt><dd>${bytes(disk.free)}</dd>
      <dt>Kept free of media</dt><dd>${bytes(disk.reserve)}</dd></dl>
      ${disk.free < disk.reserve ? html`<p class="error">Uploads are refused (507). Make room, or lower <code>SOTTOVOCE_RESERVE_BYTES</code>.</p>` : nothing}`
    : html`<p>The media are in an object store.</p>`}</section>`;
  }

  retention() {
    const {retention: all} = this.found;
    return html`<section class="card" aria-labelledby="retention"><h2 id="retention">What is deleted when</h2><dl>
      <dt>Media and transcripts</dt><dd>${all.keep_days ? `${days(all.keep_days)} after the end of the job` : "when they were delivered"}, unless the job or the workspace says otherwise</dd>
      <dt>Traces of deleted jobs</dt><dd>${days(all.tombstone_days)}</dd><dt>Audit log</dt><dd>${days(all.audit_days)}</dd>
      <dt>Stored now</dt><dd>${number(all.kept, "job")} with ${bytes(all.kept_bytes)} of media</dd>
      <dt>Oldest ended</dt><dd>${all.oldest_end ? html`<time datetime=${all.oldest_end} title=${date(all.oldest_end)}>${relative(Date.parse(all.oldest_end))}</time>` : "–"}</dd>
      <dt>Due now</dt><dd>${number(all.due, "job")}</dd><dt>Due within a day</dt><dd>${number(all.due_in_a_day, "job")}</dd>
      <dt>Never ended</dt><dd>${number(all.never_ended, "job")}</dd></dl>
      <p class="note">See <a href="/docs/data">Data</a>.</p></section>`;
  }

  workers() {
    const {workers} = this.found;
    return html`<h2>Workers of the last day</h2>${workers.length ? html`<div class="scroll" tabindex="0" role="region" aria-label="Workers"><table class="audit">
      <thead><tr><th>State</th><th>Slots</th><th>Started</th><th>Last heartbeat</th></tr></thead>
      <tbody>${workers.map((each) => html`<tr><td><span class=${`state ${each.alive ? "done" : "failed"}`}>${each.alive ? "Running" : "Stopped"}</span></td>
        <td>${each.slots}</td><td><time datetime=${each.started_at}>${date(each.started_at)}</time></td>
        <td><time datetime=${each.heartbeat_at} title=${date(each.heartbeat_at)}>${relative(Date.parse(each.heartbeat_at))}</time></td></tr>`)}</tbody></table></div>`
    : html`<p class="note">No worker has run in the last day.</p>`}`;
  }

  models() {
    const {models, pull, pull_refused: why} = this.found;
    if (!models) return html`<h2>Models</h2><p class="note">This process loads no models. Run <code>sottovoce models list</code> where the workers run.</p>`;
    return html`<h2>Models</h2>${pull ? this.progress(pull) : nothing}
      ${models.faults.map(({name, remedy}) => html`<p class="error">${name} cannot be used: ${remedy.replaceAll("`", "")}</p>`)}
      ${models.installed.length ? this.table("Installed models", models.installed, () => html`<span class="state done">Installed</span>`)
    : html`<p class="note">No model is installed. The embedded engine transcribes English.</p>`}
      <details class="card"><summary>${models.available.length} models can be pulled</summary>
        ${why ? html`<p class="note">${why[0].toUpperCase()}${why.slice(1).replaceAll("`", "")}.</p>` : html`<p class="note">A pull downloads from the sources that the operator has set, and checks every file. Restart the server afterwards: it
          finds its models when it starts.</p>`}
        ${this.table("Models that can be pulled", models.available, (each) => this.offer(each))}</details>
      ${models.unserved.map(({model, languages}) => html`<p class="note">${languages.length === 1 ? "No model is installed for" : `No model is installed for ${languages.length} languages:`}
        ${languages.join(", ")}. ${model ? html`<code>sottovoce models pull ${model}</code> is the one to begin with.` : "The catalogue has none for them."}</p>`)}`;
  }

  table(label, models, last) {
    return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table>
      <thead><tr><th>Model</th><th>Size</th><th>Languages</th><th>Operating point</th><th>Grade</th><th>Licence</th><th>${label.startsWith("Installed") ? "State" : "Pull"}</th></tr></thead>
      <tbody>${models.map((each) => html`<tr><td class="name">${each.name}</td><td class="number">${bytes(each.bytes)}</td>
        <td>${each.languages.length > 3 ? each.languages.length : each.languages.join(", ") || "–"}</td><td>${each.operating_point}</td><td>${each.grade}</td><td>${each.licence}</td>
        <td>${last(each)}</td></tr>`)}</tbody></table></div>`;
  }

  offer(model) {
    const busy = this.found.pull?.state === "running";
    return html`<code>${model.command}</code>${model.needs ? html` <small>after <code>pip install '${model.needs}'</code></small>` : nothing}
      ${this.found.pull_refused ? nothing : html`<button type="button" aria-label=${`Pull ${model.name}`} ?disabled=${busy} @click=${() => this.pull(model)}>Pull</button>`}
      <span class="error" role="alert">${this.refused?.name === model.name ? this.refused.words : ""}</span>`;
  }

  progress({model, state, step, done, total}) {
    if (state === "done") return html`<p class="card" role="status">${model} is pulled. Restart the server to use it.</p>`;
    if (state === "failed") {
      return html`<p class="card error" role="status">${model} could not be pulled. The log has the reason in the line “model not fetched”; <code>sottovoce models pull ${model}</code>
        shows it, too. A later pull continues this one.</p>`;
    }
    return html`<div class="card"><p role="status">${model} is being pulled: ${STEPS[step] ?? "beginning"}.</p>
      <progress aria-label=${`Pull of ${model}`} max=${total || 1} .value=${total ? done : 0}></progress> ${total ? `${bytes(done)} of ${bytes(total)}` : ""}</div>`;
  }

  engines() {
    const {engines, languages} = this.found;
    return html`<h2>Engines</h2>
      <p class="note">${number(languages.batch.length, "language")} for jobs, ${languages.realtime.length || "none"} for live captions. The names are in the form of the page <a href="/">Jobs</a>.</p>
      <div class="scroll" tabindex="0" role="region" aria-label="Engines"><table>
      <thead><tr><th>Engine</th><th>Model</th><th>Does</th><th>Languages</th><th>Device</th></tr></thead>
      <tbody>${engines.map((each) => html`<tr><td class="name">${each.engine}</td><td>${each.model}</td><td>${each.skills.map((skill) => skill.replaceAll("_", " ")).join(", ")}</td>
        <td>${each.languages.length > 3 ? each.languages.length : each.languages.join(", ") || "–"}</td><td>${each.device}</td></tr>`)}</tbody></table></div>`;
  }

  regions() {
    return html`<h2>Regions</h2><ul>${this.found.regions.map((each) => html`<li>${each.label}${each.here ? " (this one)" : ""}: ${each.modes?.join(", ") ?? "modes unknown"}</li>`)}</ul>`;
  }
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** A number of bytes as people read it: 1.5 GB. */
function bytes(count) {
  const power = Math.min(UNITS.length - 1, count ? Math.floor(Math.log10(count) / 3) : 0);
  const value = count / 1000 ** power;
  return `${value.toFixed(power && value < 100 ? 1 : 0)} ${UNITS[power]}`;
}

function number(count, what) {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

function days(count) {
  return count >= 1 ? number(Math.round(count * 10) / 10, "day") : number(Math.round(count * 240) / 10, "hour");
}

customElements.define("health-page", HealthPage);

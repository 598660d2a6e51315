// The jobs of the key's project in this region, newest first.

import {LitElement, html, nothing} from "lit";
import {ask, json, languages, words} from "./lib/api.js";
import {clock, date, name, reason, relative, state} from "./lib/format.js";

const [SOON_MS, LATER_MS] = [2000, 15_000];
const PAGE = 100;
const FILTERS = [["", "All states"], ["running", "Waiting or in progress"], ["done", "Done"], ["rejected", "Failed"]];

/** The texts of *job* that the filter searches. */
function searched(job) {
  const tracking = job.config?.tracking ?? {};
  return [name(job), job.id, tracking.title, tracking.reference, ...(tracking.tags ?? [])].join("\n").toLowerCase();
}

class JobTable extends LitElement {
  static properties = {
    jobs: {state: true}, names: {state: true}, problem: {state: true}, said: {state: true},
    text: {state: true}, status: {state: true}, selected: {state: true}, full: {state: true},
    searching: {state: true},
  };

  constructor() {
    super();
    Object.assign(this, {jobs: null, names: new Map(), problem: "", said: "", text: "", status: "", selected: new Set(), full: false, searching: false});
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    addEventListener("job-created", () => this.load());
    addEventListener("visibilitychange", () => { if (!document.hidden) this.load(); });
    languages().then(({names}) => { this.names = names; }, () => null);
    this.load();
  }

  async load() {
    clearTimeout(this.timer);
    const mine = this.loading = Symbol("load");
    try {
      const {jobs} = await json(`/v2/jobs?limit=${PAGE}&lifecycle=true`);
      if (mine !== this.loading) return;
      const more = jobs.length === PAGE, last = jobs.at(-1)?.created_at;
      const older = more ? (this.jobs ?? []).filter((job) => job.created_at < last) : [];
      Object.assign(this, {jobs: [...jobs, ...older], problem: "", full: older.length ? this.full : more});
      this.dispatchEvent(new CustomEvent("jobs-loaded", {bubbles: true, detail: jobs}));
    } catch (error) {
      if (mine !== this.loading) return;
      this.problem = words(error);
    }
    const soon = this.jobs?.some((job) => job.status === "running");
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = setTimeout(() => this.load(), soon ? SOON_MS : LATER_MS);
  }

  /** Add older jobs to the list; while it is filtered, until one of them is shown. */
  async older() {
    const before = this.shown.length;
    this.searching = true;
    try {
      do {
        const last = encodeURIComponent(this.jobs.at(-1).created_at);
        const {jobs} = await json(`/v2/jobs?limit=${PAGE}&lifecycle=true&created_before=${last}`);
        Object.assign(this, {jobs: [...this.jobs, ...jobs], full: jobs.length === PAGE});
      } while (this.full && this.shown.length === before);
    } catch (error) {
      this.problem = words(error);
    }
    this.searching = false;
  }

  async remove(jobs) {
    const what = jobs.length === 1 ? `“${name(jobs[0])}”` : `${jobs.length} jobs`;
    if (!confirm(`Delete ${what} with media and transcript? This cannot be undone.`)) return;
    let removed = 0;
    const gone = new Set();
    for (const job of jobs) {
      try {
        await ask(`/v2/jobs/${job.id}?force=true`, {method: "DELETE"});
        removed += 1;
        gone.add(job.id);
      } catch (error) {
        if (error.status === 410) gone.add(job.id);
        else this.problem = words(error);
      }
    }
    Object.assign(this, {selected: new Set(), jobs: this.jobs.filter(({id}) => !gone.has(id))});
    this.said = removed === 1 ? "1 job was deleted." : `${removed} jobs were deleted.`;
    await this.load();
  }

  select(job, on) {
    const selected = new Set(this.selected);
    if (on) selected.add(job.id); else selected.delete(job.id);
    this.selected = selected;
  }

  get shown() {
    const text = this.text.toLowerCase();
    return this.jobs.filter((job) => (!this.status || job.status === this.status) && (!text || searched(job).includes(text)));
  }

  render() {
    if (!this.jobs) return html`<p class=${this.problem ? "error" : "note"} role="status">${this.problem || "Loading …"}</p>`;
    const shown = this.shown, chosen = shown.filter((job) => this.selected.has(job.id));
    return html`
      <div class="row filters">
        <label>Search <input type="search" placeholder="Name, title or tag" @input=${(event) => { this.text = event.target.value; }}></label>
        <label>State <select @change=${(event) => { this.status = event.target.value; }}>
          ${FILTERS.map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select></label>
        <button type="button" ?disabled=${!chosen.length} @click=${() => this.remove(chosen)}>Delete selected</button>
      </div>
      <p class="error" role="alert">${this.problem}</p>
      <p class="note" role="status">${this.said}</p>
      ${shown.length ? this.table(shown) : html`<p class="note">${this.jobs.length ? "No job matches." : "There are no jobs yet. Send a file with the form above."}</p>`}
      ${this.full && (this.text || this.status) ? html`<p class="note">Only the newest ${this.jobs.length} jobs were searched.</p>` : nothing}
      ${this.full ? html`<button type="button" @click=${this.older} ?disabled=${this.searching}>
        ${this.searching ? "Searching …" : this.text || this.status ? "Search older jobs" : "Show older jobs"}</button>` : nothing}`;
  }

  table(shown) {
    return html`<div class="scroll" tabindex="0" role="region" aria-label="Jobs"><table>
      <thead><tr><th><span class="hidden">Select</span></th><th>Name</th><th>Length</th><th>Language</th><th>State</th><th>Sent</th>
        <th>Will be deleted</th><th><span class="hidden">Delete</span></th></tr></thead>
      <tbody>${shown.map((job) => this.row(job))}</tbody></table></div>`;
  }

  row(job) {
    const shown = name(job), why = reason(job), code = job.config?.transcription_config?.language ?? job.config?.alignment_config?.language;
    const going = job.lifecycle?.delete_at;
    return html`<tr>
      <td><input type="checkbox" aria-label=${`Select ${shown}`} .checked=${this.selected.has(job.id)}
        @change=${(event) => this.select(job, event.target.checked)}></td>
      <td class="name" dir="auto">${job.config?.type === "alignment" ? shown : html`<a href=${`/portal/jobs/${job.id}`}>${shown}</a>`}</td>
      <td>${job.duration ? clock(job.duration) : "–"}</td>
      <td>${code === "auto" ? "Automatic" : this.names.get(code) ?? code ?? "–"}</td>
      <td><span class=${`state ${job.status}`}>${state(job)}</span>${why ? html`<small class="why" dir="auto">${why}</small>` : nothing}</td>
      <td><time datetime=${job.created_at} title=${date(job.created_at)}>${relative(Date.parse(job.created_at))}</time></td>
      <td>${going ? html`<time datetime=${going} title=${date(going)}>${relative(Date.parse(going))}</time>` : html`<span title="Counted from the end of the job">after its end</span>`}</td>
      <td><button type="button" aria-label=${`Delete ${shown}`} @click=${() => this.remove([job])}>Delete</button></td>
    </tr>`;
  }
}

customElements.define("job-table", JobTable);

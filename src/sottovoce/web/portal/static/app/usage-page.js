// The usage of the workspace in this region: by day, mode, model and project, as charts, tables and CSV.

import {LitElement, html, nothing} from "lit";
import "./bar-chart.js";
import "./code-sample.js";
import {json, words} from "./lib/api.js";
import {csv, download} from "./lib/csv.js";
import {programs} from "./lib/programs.js";
import {SPLITS, day, exact, length, period, periods, shown, table, whole} from "./lib/usage.js";

const RANGES = [[7, "7 days"], [30, "30 days"], [90, "90 days"], [365, "A year"]];
const SIZES = [["day", "Day"], ["week", "Week"], ["month", "Month"]];
const MEASURES = {hours: "hours", count: "jobs and sessions"};
const [MOST_DAYS, MANY_DAYS] = [400, 92];

/** *rows* with the most hours first. */
const largest = (rows) => new Map([...rows].sort(([, one], [, other]) => whole(other).hours - whole(one).hours));

class UsagePage extends LitElement {
  static properties = {
    since: {state: true}, until: {state: true}, size: {state: true}, split: {state: true}, measure: {state: true}, project: {state: true},
    days: {state: true}, projects: {state: true}, names: {state: true}, problem: {state: true},
  };

  constructor() {
    super();
    Object.assign(this, {since: day(30), until: day(1), size: "day", split: "mode", measure: "hours", project: "", days: null, projects: [], names: new Map(), problem: ""});
  }

  createRenderRoot() {
    return this;
  }

  async connectedCallback() {
    super.connectedCallback();
    this.load();
    try {
      const session = await json("/portal/session"), known = session.manages ? await json("/v1/projects") : session.projects;
      this.names = new Map(known.map(({project_id, name}) => [project_id, name]));
    } catch {
      this.names = new Map();  // projects are shown by their id
    }
  }

  path(by) {
    return `/v2/usage?by=${by}&since=${this.since}&until=${this.until}${this.project ? `&project_id=${this.project}` : ""}`;
  }

  async load() {
    const mine = this.loading = Symbol("load");
    try {
      if (length(this.since, this.until) > MOST_DAYS) throw new RangeError();
      const [{days}, {projects}] = await Promise.all([json(this.path("day")), json(this.path("project"))]);
      if (mine === this.loading) Object.assign(this, {days, projects, problem: ""});
    } catch (error) {
      if (mine === this.loading) this.problem = error instanceof RangeError ? `Choose at most ${MOST_DAYS} days.` : words(error);
    }
  }

  range(since, until) {
    Object.assign(this, {since, until, size: length(since, until) > MANY_DAYS ? "week" : "day"});
    this.load();
  }

  dated() {
    const {since, until} = this.querySelector("form").elements;
    if (since.value && until.value) this.range(since.value, until.value);
  }

  choose(event) {
    this.project = event.target.value;
    this.load();
  }

  called(id) {
    return this.names.get(id) ?? `Project ${id}`;
  }

  render() {
    return html`<p class="note">Jobs that are done and realtime sessions of the whole workspace in this region, by UTC days until yesterday
        (<a href="/docs/usage">what counts</a>).</p>
      ${this.controls()}
      <p class="error" role="alert">${this.problem}</p>
      ${this.days ? this.found() : this.problem ? nothing : html`<p class="note" role="status">Loading …</p>`}
      <code-sample .programs=${programs({method: "GET", path: this.path("day")}, location.origin)}></code-sample>`;
  }

  controls() {
    const options = (pairs, chosen) => pairs.map(([value, text]) => html`<option value=${value} ?selected=${String(value) === String(chosen)}>${text}</option>`);
    return html`<form class="card" @submit=${(event) => event.preventDefault()}>
      <div class="row">
        <label>From <input type="date" name="since" .value=${this.since} max=${day(1)} required @change=${this.dated}></label>
        <label>To <input type="date" name="until" .value=${this.until} max=${day(1)} required @change=${this.dated}></label>
        <div class="downloads" role="group" aria-label="Period">${RANGES.map(([count, text]) => html`<button type="button"
          aria-pressed=${String(this.since === day(count) && this.until === day(1))} @click=${() => this.range(day(count), day(1))}>${text}</button>`)}</div>
      </div>
      <div class="row">
        <label>For each <select name="size" @change=${(event) => { this.size = event.target.value; }}>${options(SIZES, this.size)}</select></label>
        <label>Split by <select name="split" @change=${(event) => { this.split = event.target.value; }}>${options([["mode", "Mode"], ["model", "Model (operating point)"]], this.split)}</select></label>
        <label>Chart of <select name="measure" @change=${(event) => { this.measure = event.target.value; }}>${options([["hours", "Hours"], ["count", "Number"]], this.measure)}</select></label>
        <label>Project <select name="project" @change=${this.choose}>${options([["", "All projects"], ...this.names], this.project)}</select></label>
      </div></form>`;
  }

  found() {
    const byPeriod = table(this.days, (entry) => period(entry.day, this.size), SPLITS[this.split]);
    const byKind = table(this.days, (entry) => `${SPLITS.mode(entry)}, ${SPLITS.model(entry)}`, () => "All");
    const byProject = table(this.projects, (entry) => entry.project_id, SPLITS[this.split]);
    byKind.rows = largest(byKind.rows);
    byProject.rows = largest(new Map([...byProject.rows].map(([id, sums]) => [this.called(id), sums])));
    const all = whole({days: whole(Object.fromEntries([...byKind.rows].map(([name, sums]) => [name, whole(sums)])))});
    if (!all.count) return html`<p class="note" role="status">There is no usage in this period.</p>`;
    return html`<p role="status"><b>${shown(all.hours)} hours</b> in <b>${all.count.toLocaleString("en")}</b> jobs and sessions.</p>
      ${this.part(SIZES.find(([size]) => size === this.size)[1], byPeriod, {every: periods(this.since, this.until, this.size), file: `usage-by-${this.size}`})}
      ${this.part("Mode and model", byKind, {file: "usage-by-mode-and-model"})}
      ${this.project ? nothing : this.part("Project", byProject, {file: "usage-by-project"})}`;
  }

  /** One section: the chart over *every* row, those without usage included; the table and the CSV without them. */
  part(title, {columns, rows}, {every: everyPeriod, file}) {
    const every = everyPeriod ?? [...rows.keys()];
    const bars = every.map((name) => ({name, parts: columns.map((column) => rows.get(name)?.[column]?.[this.measure] ?? 0)}));
    const listed = every.filter((name) => rows.has(name)), split = columns.length > 1;
    const cells = listed.map((name) => ({name, sums: columns.map((column) => rows.get(name)[column] ?? {hours: 0, count: 0}), all: whole(rows.get(name))}));
    return html`<section class="card"><h2>By ${title.toLowerCase()}</h2>
      <bar-chart .bars=${bars} .names=${columns} unit=${MEASURES[this.measure]} label=${`Usage by ${title.toLowerCase()}`}></bar-chart>
      <div class=${everyPeriod ? "scroll figures periods" : "scroll figures"} tabindex="0" role="region" aria-label=${`Usage by ${title.toLowerCase()}`}><table>
        <thead><tr><th>${title}</th>${split ? columns.map((column) => html`<th class="number">${column}: hours</th><th class="number">number</th>`) : nothing}
          <th class="number">Hours</th><th class="number">Number</th></tr></thead>
        <tbody>${cells.map(({name, sums, all}) => html`<tr><th scope="row" dir="auto">${name}</th>
          ${split ? sums.map((sum) => html`<td class="number">${shown(sum.hours)}</td><td class="number">${sum.count.toLocaleString("en")}</td>`) : nothing}
          <td class="number">${shown(all.hours)}</td><td class="number">${all.count.toLocaleString("en")}</td></tr>`)}</tbody></table></div>
      <button type="button" @click=${() => this.save(file, title, columns, cells)}>Download as CSV</button></section>`;
  }

  save(file, title, columns, cells) {
    const head = [title.toLowerCase(), ...columns.flatMap((column) => [`${column} hours`, `${column} number`]), "hours", "number"];
    const rows = cells.map(({name, sums, all}) => [name, ...[...sums, all].flatMap((sum) => [exact(sum.hours), sum.count])]);
    download(`${file}-${this.since}-${this.until}.csv`, csv([head, ...rows]));
  }
}

customElements.define("usage-page", UsagePage);

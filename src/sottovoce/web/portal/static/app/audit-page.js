// The audit log of the workspace: who changed what, newest first.

import {LitElement, html, nothing} from "lit";
import "./code-sample.js";
import {json, words} from "./lib/api.js";
import {date} from "./lib/format.js";
import {programs} from "./lib/programs.js";
import {barred, howSignedIn, needsKey} from "./lib/signed-in.js";

const PAGE = 200;

class AuditPage extends LitElement {
  static properties = {
    entries: {state: true}, next: {state: true}, names: {state: true}, text: {state: true}, problem: {state: true}, busy: {state: true}, said: {state: true},
    barred: {state: true}, login: {state: true},
  };

  constructor() {
    super();
    Object.assign(this, {entries: null, next: null, names: new Map(), text: "", problem: "", busy: false, said: "", barred: false, login: false});
    this.request = {method: "GET", path: `/account/audit?limit=${PAGE}`};
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    this.begin();
  }

  async begin() {
    Object.assign(this, await howSignedIn().catch(() => ({})));
    if (this.barred) return;
    json("/account/members").then(({members}) => {
      this.names = new Map(members.filter(({email}) => email).map(({user_id, email}) => [user_id, email]));
    }, () => null);
    await this.load();
  }

  async load() {
    this.busy = true;
    try {
      const path = this.request.path + (this.next === null ? "" : `&before=${this.next}`);
      const {entries, next} = await json(path);
      this.said = this.entries ? `${entries.length} older entries are shown.` : "";
      Object.assign(this, {entries: [...(this.entries ?? []), ...entries], next, problem: ""});
    } catch (error) {
      this.problem = words(error);
    } finally {
      this.busy = false;
    }
  }

  /** An actor as people call it: the address of a user, `Key …`, or the operator. */
  who(actor) {
    if (actor === "operator") return "Operator, on the command line";
    const user = /^user (\d+)$/.exec(actor);
    if (user) return this.names.get(Number(user[1])) ?? `User ${user[1]}`;
    const [key, temporary] = actor.split("/");
    return temporary ? `Key ${key}, by a temporary key` : `Key ${key}`;
  }

  /** What *entry* is about, where it is a user of the workspace. */
  target({action, target}) {
    const user = /member (joined|disabled|enabled)|^user |role changed|account|password|logged/.test(action);
    return (user && this.names.get(Number(target))) || target;
  }

  get shown() {
    const text = this.text.toLowerCase();
    return text ? this.entries.filter((each) => this.searched(each).includes(text)) : this.entries;
  }

  searched(entry) {
    return [this.who(entry.actor), entry.actor, entry.action, this.target(entry), details(entry), date(entry.at)].join("\n").toLowerCase();
  }

  render() {
    if (this.barred) return barred("/portal/audit");
    if (!this.entries) return html`<p class=${this.problem ? "error" : "note"} role="status">${this.problem || "Loading …"}</p>`;
    const shown = this.shown;
    return html`
      <div class="row filters"><label>Search in what is shown <input type="search" placeholder="Person, action, id or day"
        @input=${(event) => { this.text = event.target.value; }}></label></div>
      <p class="error" role="alert">${this.problem}</p>
      <p class="note" role="status">${this.text ? `${shown.length} of ${this.entries.length} entries` : this.said}</p>
      ${shown.length ? html`<div class="scroll" tabindex="0" role="region" aria-label="Audit log"><table class="audit">
        <thead><tr><th>When</th><th>Who</th><th>What</th><th>On what</th><th>Details</th></tr></thead>
        <tbody>${shown.map((each) => html`<tr><td><time datetime=${each.at}>${date(each.at)}</time></td><td class="name" dir="auto">${this.who(each.actor)}</td>
          <td>${each.action}</td><td class="name" dir="auto">${this.target(each)}</td><td dir="auto">${details(each)}</td></tr>`)}</tbody></table></div>`
    : html`<p class="note">${this.entries.length ? "No entry matches." : "Nothing has been changed yet."}</p>`}
      ${this.next === null ? nothing : html`<button type="button" ?disabled=${this.busy} @click=${this.load}>Show older entries</button>`}
      <code-sample .programs=${programs(this.request, location.origin, this.login)} ?login=${this.login}></code-sample>${needsKey(this.login)}`;
  }
}

function details({details: found}) {
  return Object.entries(found).map(([name, value]) => `${name} ${value}`).join(", ");
}

customElements.define("audit-page", AuditPage);

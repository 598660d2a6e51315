// The keys of a project or of an account: a form for a new one, and a table in which each can be revoked.

import {LitElement, html, nothing} from "lit";
import "./new-secret.js";
import {words} from "./lib/api.js";
import {date, relative} from "./lib/format.js";

const MANY = 15;

/** What a key is, in words. */
function kind(key) {
  if (key.manages) return "Managing key";
  return key.client_ref === undefined ? "Permanent key" : "Only jobs of its client_ref";
}

class KeyList extends LitElement {
  /** *path*: where the keys are; *query*: which of them; *send*: the function that asks; *refs*: keys may have a client_ref; *fixed*: members
   * of each new key; *unlisted*: the caller may not read the list. */
  static properties = {
    path: {}, query: {}, send: {attribute: false}, refs: {type: Boolean}, fixed: {attribute: false}, unlisted: {type: Boolean},
    keys: {state: true}, made: {state: true}, problem: {state: true}, refused: {state: true}, filter: {state: true}, said: {state: true},
  };

  constructor() {
    super();
    Object.assign(this, {query: "", fixed: {}, keys: null, made: null, problem: "", refused: null, filter: "", said: ""});
  }

  createRenderRoot() {
    return this;
  }

  updated(changed) {
    if (["path", "query", "unlisted"].some((each) => changed.has(each))) this.load();
  }

  async load() {
    if (this.unlisted) return;
    const query = this.query;
    try {
      const found = await this.send("GET", this.path + query);
      if (query === this.query) Object.assign(this, {keys: found.reverse(), problem: ""});
    } catch (error) {
      this.problem = words(error);
    }
  }

  /** The request that the form now describes. */
  get request() {
    const form = new FormData(this.querySelector("form")), ref = form.get("client_ref");
    return {method: "POST", path: this.path, json: {name: form.get("name"), ...(ref ? {client_ref: ref} : {}), ...this.fixed}};
  }

  /** Let the page show the request as programs. A press on a button changes nothing: the page could move, and the click would miss. */
  tell({target}) {
    if (target.matches("button")) return;
    this.dispatchEvent(new CustomEvent("request", {detail: this.request, bubbles: true}));
  }

  async create(event) {
    event.preventDefault();
    const form = event.target, {method, path, json} = this.request;
    Object.assign(this, {refused: null, said: "", made: null});
    try {
      this.made = {name: json.name, secret: (await this.send(method, path, json)).key_value};
    } catch (error) {
      this.refused = {words: words(error)};
      return;
    }
    form.reset();
    await this.load();
  }

  async revoke(key) {
    Object.assign(this, {refused: null, said: ""});
    if (!confirm(`Revoke the key “${key.name}”? Programs that use it, and its temporary keys, are refused from then on. This cannot be undone.`)) return;
    try {
      await this.send("DELETE", `${this.path}/${key.apikey_id}`);
    } catch (error) {
      this.refused = {id: key.apikey_id, words: words(error)};
      return;
    }
    this.said = `The key “${key.name}” is revoked.`;
    await this.load();
    await this.updateComplete;
    this.querySelector(".said").focus();  // the button is gone
  }

  render() {
    return html`<form class="row" @submit=${this.create} @input=${this.tell} @focusin=${this.tell}>
        <label>Name of the new key <input name="name" required maxlength="120" autocomplete="off" dir="auto"></label>
        ${this.refs ? html`<label><span>client_ref <small>(only for the jobs of one customer)</small></span>
          <input name="client_ref" maxlength="256" autocomplete="off" dir="auto"></label>` : nothing}
        <button>Create the key</button>
        <span class="error" role="alert">${this.refused && !this.refused.id ? this.refused.words : ""}</span>
      </form>
      ${this.made ? html`<new-secret label=${`Secret of “${this.made.name}”`} .secret=${this.made.secret}></new-secret>` : nothing}
      <p class="error" role="alert">${this.problem}</p>
      <p class="note said" role="status" tabindex="-1">${this.said}</p>
      ${this.unlisted ? nothing : this.keys ? this.table() : this.problem ? nothing : html`<p class="note">Loading …</p>`}`;
  }

  table() {
    const text = this.filter.toLowerCase(), shown = this.keys.filter((key) => `${key.name}\n${key.client_ref ?? ""}`.toLowerCase().includes(text));
    return html`${this.keys.length > MANY ? html`<label class="filter">Search in ${this.keys.length} keys
        <input type="search" @input=${(event) => { this.filter = event.target.value; }}></label>` : nothing}
      ${shown.length ? html`<div class="scroll keys" tabindex="0" role="region" aria-label="Keys"><table>
        <thead><tr><th>Name</th><th>Kind</th>${this.refs ? html`<th>client_ref</th>` : nothing}<th>Created</th><th><span class="hidden">Revoke</span></th></tr></thead>
        <tbody>${shown.map((key) => this.row(key))}</tbody></table></div>`
    : html`<p class="note">${this.keys.length ? "No key matches." : "There are no keys."}</p>`}`;
  }

  row(key) {
    return html`<tr>
      <td class="name" dir="auto">${key.name || key.apikey_id}</td>
      <td>${kind(key)}</td>
      ${this.refs ? html`<td class="name" dir="auto">${key.client_ref ?? "–"}</td>` : nothing}
      <td><time datetime=${key.created_at} title=${date(key.created_at)}>${relative(Date.parse(key.created_at))}</time></td>
      <td><button type="button" aria-label=${`Revoke ${key.name}`} @click=${() => this.revoke(key)}>Revoke</button>
        <span class="error" role="alert">${this.refused?.id === key.apikey_id ? this.refused.words : ""}</span></td>
    </tr>`;
  }
}

customElements.define("key-list", KeyList);

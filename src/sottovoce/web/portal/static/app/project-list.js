// The projects of the workspace: create, rename, delete.

import {LitElement, html, nothing} from "lit";
import {send, words} from "./lib/api.js";
import {date, relative} from "./lib/format.js";

class ProjectList extends LitElement {
  static properties = {projects: {attribute: false}, renaming: {state: true}, refused: {state: true}, said: {state: true}};

  constructor() {
    super();
    Object.assign(this, {projects: [], renaming: null, refused: null, said: ""});
  }

  createRenderRoot() {
    return this;
  }

  tell(method, path, json) {
    this.dispatchEvent(new CustomEvent("request", {detail: {method, path, json}, bubbles: true}));
  }

  /** Send a request; tell its refusal beside the button that belongs to *id*, and its success in *said*. */
  async act(id, said, ...request) {
    Object.assign(this, {refused: null, said: ""});
    try {
      await send(...request);
    } catch (error) {
      this.refused = {id, words: words(error)};
      return false;
    }
    Object.assign(this, {renaming: null, said});
    this.dispatchEvent(new CustomEvent("projects-changed", {bubbles: true}));
    return true;
  }

  /** A press on a button changes nothing: the page could move, and the click would miss. */
  describe({currentTarget, target}) {
    if (target.matches("button")) return;
    this.tell("POST", "/v1/projects", {name: currentTarget.elements.name.value});
  }

  async create(event) {
    event.preventDefault();
    const form = event.target, name = form.elements.name.value;
    if (await this.act("new", `The project “${name}” is created.`, "POST", "/v1/projects", {name})) form.reset();
  }

  rename(event, {project_id}) {
    event.preventDefault();
    const name = event.target.elements.name.value;
    this.act(project_id, `The project is now called “${name}”.`, "PUT", `/v1/projects/${project_id}`, {name});
  }

  async begin({project_id, name}) {
    this.renaming = project_id;
    this.tell("PUT", `/v1/projects/${project_id}`, {name});
    await this.updateComplete;
    this.querySelector("td form input").select();
  }

  remove({project_id, name}) {
    if (!confirm(`Delete the project “${name}” with all of its keys, jobs, media, transcripts and its usage? This cannot be undone.`)) return;
    this.act(project_id, `The project “${name}” is deleted.`, "DELETE", `/v1/projects/${project_id}`);
  }

  render() {
    return html`<form class="row" @submit=${this.create} @input=${this.describe} @focusin=${this.describe}>
        <label>Name of the new project <input name="name" required maxlength="120" autocomplete="off" dir="auto"></label>
        <button>Create the project</button>
        <span class="error" role="alert">${this.refused?.id === "new" ? this.refused.words : ""}</span>
      </form>
      <p class="note" role="status">${this.said}</p>
      <div class="scroll keys" tabindex="0" role="region" aria-label="Projects"><table>
        <thead><tr><th>Name</th><th>Id</th><th>Created</th><th><span class="hidden">Change</span></th></tr></thead>
        <tbody>${this.projects.map((each) => this.row(each))}</tbody></table></div>`;
  }

  row(project) {
    const {project_id, name, created_at} = project, ending = this.renaming === project_id;
    return html`<tr>
      <td class="name" dir="auto">${ending ? html`<form class="rename" @submit=${(event) => this.rename(event, project)}>
        <input name="name" required maxlength="120" aria-label=${`New name of ${name}`} .value=${name} autocomplete="off">
        <button>Save</button> <button type="button" @click=${() => { this.renaming = null; }}>Cancel</button></form>`
    : html`${name}${project.is_default ? html` <small>(default)</small>` : nothing}`}</td>
      <td>${project_id}</td>
      <td>${created_at ? html`<time datetime=${created_at} title=${date(created_at)}>${relative(Date.parse(created_at))}</time>` : "–"}</td>
      <td>${ending ? nothing : html`<button type="button" aria-label=${`Rename ${name}`} @click=${() => this.begin(project)}>Rename</button>`}
        ${project.is_default ? nothing : html`<button type="button" aria-label=${`Delete ${name}`} @click=${() => this.remove(project)}>Delete</button>`}
        <span class="error" role="alert">${this.refused?.id === project_id ? this.refused.words : ""}</span></td>
    </tr>`;
  }
}

customElements.define("project-list", ProjectList);

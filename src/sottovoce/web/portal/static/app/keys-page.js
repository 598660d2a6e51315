// Keys, temporary keys and projects, as far as the key or account may manage them with which the person signed in.

import {LitElement, html, nothing} from "lit";
import "./code-sample.js";
import "./key-list.js";
import "./project-list.js";
import {json, renew, send, sendOnce, words} from "./lib/api.js";
import {programs} from "./lib/programs.js";
import {needsKey} from "./lib/signed-in.js";

const TIMES = [[60, "1 minute"], [600, "10 minutes"], [3600, "1 hour"], [86_400, "24 hours"]];

class KeysPage extends LitElement {
  static properties = {
    session: {state: true}, projects: {state: true}, project: {state: true}, problem: {state: true}, request: {state: true},
    temporary: {state: true}, refused: {state: true},
  };

  constructor() {
    super();
    Object.assign(this, {session: null, projects: [], project: 0, problem: "", request: null, temporary: null, refused: ""});
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    this.addEventListener("request", ({detail}) => { this.request = detail; });
    this.addEventListener("projects-changed", () => this.load());
    this.load();
  }

  async load() {
    try {
      let session = await json("/portal/session");
      if (session.manages === null && session.account && await renew()) session = await json("/portal/session");  // of an earlier release
      const projects = session.admin ? await json("/v1/projects") : session.projects;
      if (!projects.some((each) => each.project_id === this.project)) this.project = session.project_id;
      Object.assign(this, {session, projects, problem: ""});
      this.request ??= this.listing;
    } catch (error) {
      this.problem = words(error);
    }
  }

  /** Where the list of keys is that the page shows first. */
  get listing() {
    const of = this.session.admin || !this.session.account ? `/v1/api-keys?project_id=${this.project}&manages=true` : "/account/tokens";
    return {method: "GET", path: of};
  }

  choose(event) {
    this.project = Number(event.target.value);
    this.request = this.listing;
  }

  /** Show the request of the form. A press on a button changes nothing: the page could move, and the click would miss. */
  describe({currentTarget, target}) {
    if (target.matches("button")) return;
    const form = new FormData(currentTarget), ref = form.get("client_ref");
    const more = {...(ref ? {client_ref: ref} : {}), ...(this.session.admin && !this.session.account ? {project_id: this.project} : {})};
    this.request = {method: "POST", path: `/v1/api-keys?type=${form.get("type")}`, json: {ttl: Number(form.get("ttl")), ...more}};
  }

  async make(event) {
    event.preventDefault();
    this.describe({currentTarget: event.target, target: event.target});
    Object.assign(this, {refused: "", temporary: null});
    try {
      const {method, path, json: body} = this.request;
      const until = Date.now() + body.ttl * 1000, {key_value} = await send(method, path, body);
      this.temporary = {secret: key_value, until};
    } catch (error) {
      this.refused = words(error);
    }
  }

  render() {
    if (!this.session) return html`<p class=${this.problem ? "error" : "note"} role="status">${this.problem || "Loading …"}</p>`;
    const {account, manages, admin} = this.session;
    if (manages === null) {
      return html`<p class="card">You signed in with a temporary key. It makes no keys and sees none.
        <a href="/portal/sign-in?to=/portal/keys">Sign in with a permanent key or an account</a>.</p>`;
    }
    return html`${this.notice()}
      <p class="error" role="alert">${this.problem}</p>
      ${account ? html`<section class="card" aria-labelledby="own"><h2 id="own">Your keys</h2>
        <p class="note">Programs use one of them in your name, in the default project. The key <code>portal</code> is the one through which this portal acts: without it you
          are signed out.</p>
        <key-list path="/account/tokens" .send=${sendOnce}></key-list></section>` : nothing}
      ${admin || !account ? html`<section class="card" aria-labelledby="all"><h2 id="all">Keys of a project</h2>
        <label>Project <select @change=${this.choose}>${this.projects.map((each) => html`<option value=${each.project_id}
          ?selected=${each.project_id === this.project}>${each.name}</option>`)}</select></label>
        <key-list path="/v1/api-keys" query=${`?project_id=${this.project}&manages=true`} .fixed=${{project_id: this.project}} refs ?unlisted=${!admin}
          .send=${send}></key-list></section>` : nothing}
      ${this.form()}
      <section class="card" aria-labelledby="projects"><h2 id="projects">Projects</h2>
        <p class="note">A key sees the jobs of its own project only.</p>
        <project-list .projects=${this.projects}></project-list></section>
      ${this.request?.path.startsWith("/v1") && !this.request.json?.ttl ? needsKey() : nothing}
      ${this.request ? html`<code-sample .programs=${programs(this.request, location.origin, this.session.account && this.request.path.startsWith("/account"))}
        ?login=${this.request.path.startsWith("/account")}></code-sample>` : nothing}`;
  }

  /** What the person may do here. */
  notice() {
    if (this.session.admin) return nothing;
    return html`<p class="card">${this.session.account
    ? html`You are a member of the workspace: your account has keys of its own. To change the other keys and the projects you must be an admin, or use a managing key.`
    : html`You signed in with a key that does not manage keys and projects. It can make temporary keys for itself. Everything else needs a managing key.`}
      The operator of the server makes one with <code>sottovoce keys create NAME --manages</code>. <a href="/portal/sign-in?to=/portal/keys">Sign in with it</a>.</p>`;
  }

  form() {
    return html`<section class="card" aria-labelledby="temporary"><h2 id="temporary">Temporary key</h2>
      ${this.session.account ? html`<p class="note">It is for the project in which you are signed in.</p>` : nothing}
      <p class="note">For a test, a browser or a telephone. It ends after the time that you choose, or when the key is revoked that made it.</p>
      <form class="row" @submit=${this.make} @input=${this.describe} @focusin=${this.describe}>
        <label>For <select name="type"><option value="batch">Jobs (batch)</option><option value="rt">Real time (rt)</option></select></label>
        <label>Valid for <select name="ttl">${TIMES.map(([seconds, text]) => html`<option value=${seconds} ?selected=${seconds === 600}>${text}</option>`)}</select></label>
        <label><span>client_ref <small>(optional)</small></span> <input name="client_ref" maxlength="256" autocomplete="off" dir="auto"></label>
        <button>Make a temporary key</button>
        <span class="error" role="alert">${this.refused}</span>
      </form>
      ${this.temporary ? html`<new-secret label=${`Temporary key, valid until ${new Date(this.temporary.until).toLocaleTimeString("en-GB")}`}
        .secret=${this.temporary.secret}></new-secret>` : nothing}</section>`;
  }
}

customElements.define("keys-page", KeysPage);

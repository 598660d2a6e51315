// The end of the navigation: the region, and the way out.

import {LitElement, html, nothing} from "lit";
import {json, renew, switchTo} from "./lib/api.js";

const [LOOK_MS, OLD_S] = [10 * 60_000, 3600];
const WORK = ["pointerdown", "keydown", "play"];

class TopBar extends LitElement {
  static properties = {region: {}, label: {}, regions: {state: true}, session: {state: true}};

  constructor() {
    super();
    this.regions = [];
    this.session = null;
    this.worked = true;  // to open a page is work
  }

  createRenderRoot() {
    return this;
  }

  async connectedCallback() {
    super.connectedCallback();
    for (const name of WORK) addEventListener(name, () => { this.worked = true; }, {capture: true, passive: true});
    setInterval(() => this.keep(), LOOK_MS);
    addEventListener("visibilitychange", () => { if (!document.hidden) this.keep(); });
    this.keep();
    const {regions} = await json("/v1/regions").catch(() => ({regions: []}));
    this.regions = regions.filter((each) => each.here || (each.url && each.modes?.includes("batch")));
  }

  /** Renew the cookie after an hour, or half of its time: links to media and downloads carry it, and cannot renew it. A sign-in with
   *  a key is renewed only while the person works. */
  async keep() {
    const session = await json("/portal/session").catch(() => null);
    if (!session) return;
    this.session = session;
    const {lifetime, expires_in, renewable, account} = session;
    if (!renewable || lifetime - expires_in < Math.min(OLD_S, lifetime / 2) || !(account || this.worked)) return;
    this.worked = false;
    await renew();
  }

  choose(event) {
    const chosen = this.regions.find((each) => each.name === event.target.value);
    if (chosen && !chosen.here) location.assign(new URL("/", chosen.url).href);
  }

  /** Show the jobs of another project of the account: its cookie replaces the present one. */
  async switchProject(event) {
    await switchTo(Number(event.target.value));
    location.assign("/");
  }

  async logOut() {
    const options = {headers: {"content-type": "application/json"}};
    await fetch("/account/logout", {...options, method: "POST", body: "{}"}).catch(() => null);
    await fetch("/portal/session", {...options, method: "DELETE"}).catch(() => null);
    location.assign("/portal/sign-in");
  }

  render() {
    const shown = this.regions.length ? this.regions : [{name: this.region, label: this.label, here: true}];
    return html`
      ${this.session?.projects.length > 1 ? html`<label class="region">Project
        <select @change=${this.switchProject}>${this.session.projects.map((each) => html`<option value=${each.project_id}
          ?selected=${each.project_id === this.session.project_id}>${each.name}</option>`)}</select></label>` : nothing}
      <label class="region">Region
        <select @change=${this.choose}>
          ${shown.map((each) => html`<option value=${each.name} ?selected=${each.here}>${each.label}${each.place ? ` (${each.place})` : ""}</option>`)}
        </select>
      </label>
      <button type="button" @click=${this.logOut}>Log out</button>`;
  }
}

customElements.define("top-bar", TopBar);

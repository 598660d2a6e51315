// The notifications of a job: to whom, with which outcome, and a new attempt for those that failed.

import {LitElement, html, nothing} from "lit";
import {ask, json, words} from "./lib/api.js";
import {date, relative} from "./lib/format.js";

const STATES = {waiting: "Waiting", delivered: "Delivered", failed: "Failed"};

class DeliveryLog extends LitElement {
  static properties = {job: {}, deliveries: {state: true}, problem: {state: true}};

  constructor() {
    super();
    Object.assign(this, {deliveries: [], problem: ""});
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    this.load();
  }

  async load() {
    try {
      this.deliveries = (await json(`/v2/jobs/${this.job}/deliveries`)).deliveries;
      this.problem = "";
    } catch (error) {
      this.problem = words(error);
    }
  }

  async retry({id}) {
    try {
      await ask(`/v2/jobs/${this.job}/deliveries/${id}/retry`, {method: "POST"});
    } catch (error) {
      this.problem = words(error);
      return;
    }
    await this.load();
  }

  render() {
    if (!this.deliveries.length) return nothing;
    return html`<details class="card deliveries"><summary>Notifications</summary>
      <p class="error" role="alert">${this.problem}</p>
      <ul>${this.deliveries.map((each) => html`<li><b dir="auto">${each.target}</b>
        <span class=${`state ${each.state}`}>${STATES[each.state] ?? each.state}</span>
        ${each.attempts} of ${each.max_attempts} attempts${each.outcome ? html`, <span dir="auto">${each.outcome}</span>` : nothing}
        ${each.state === "waiting" && each.next_at ? html`· next <time datetime=${each.next_at} title=${date(each.next_at)}>${relative(Date.parse(each.next_at))}</time>` : nothing}
        ${each.state === "failed" ? html`<button type="button" aria-label=${`Send again to ${each.target}`} @click=${() => this.retry(each)}>Send again</button>` : nothing}</li>`)}</ul>
      <button type="button" @click=${this.load}>Refresh</button></details>`;
  }
}

customElements.define("delivery-log", DeliveryLog);

// The speakers of a transcript with a field for the name of each. Sends "names-changed" with the new names.

import {LitElement, html, nothing} from "lit";
import {json, words} from "./lib/api.js";

const COLOURS = 6;

class SpeakerNames extends LitElement {
  static properties = {job: {}, labels: {attribute: false}, names: {attribute: false}, said: {state: true}, problem: {state: true}};

  constructor() {
    super();
    Object.assign(this, {labels: [], names: {speakers: {}, channels: {}}, said: "", problem: ""});
  }

  createRenderRoot() {
    return this;
  }

  /** The names as the fields have them; the server trims them. */
  async save() {
    const names = {speakers: {}, channels: {}};
    for (const field of this.querySelectorAll("input")) names[field.dataset.kind][field.dataset.label] = field.value;
    Object.assign(this, {said: "", problem: ""});
    try {
      const headers = {"content-type": "application/json"};
      this.names = await json(`/v2/jobs/${this.job}/speaker-names`, {method: "PUT", headers, body: JSON.stringify(names)});
      this.said = "The names are stored.";
      this.dispatchEvent(new CustomEvent("names-changed", {bubbles: true, detail: this.names}));
    } catch (error) {
      this.problem = words(error);
    }
  }

  render() {
    if (!this.labels.length) return nothing;
    return html`<form class="speaker-names" @submit=${(event) => event.preventDefault()} @change=${this.save}>
      ${this.labels.map(({kind, label, place}) => html`<label class=${`colour-${place % COLOURS}`}><span class="speaker" dir="auto">${label}</span>
        <input data-kind=${kind} data-label=${label} .value=${this.names[kind][label] ?? ""} placeholder="Name" maxlength="100" dir="auto" autocomplete="off"></label>`)}
      <output class="note" role="status">${this.said}</output><span class="error" role="alert">${this.problem}</span>
    </form>`;
  }
}

customElements.define("speaker-names", SpeakerNames);

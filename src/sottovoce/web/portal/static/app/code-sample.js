// The request that the form sends, as programs for other places: it follows the form while a person changes it.

import {LitElement, html} from "lit";
import {samples} from "./lib/samples.js";

class CodeSample extends LitElement {
  static properties = {request: {attribute: false}, chosen: {state: true}};

  constructor() {
    super();
    this.chosen = "cURL";
  }

  createRenderRoot() {
    return this;
  }

  render() {
    const all = samples(this.request, location.origin);
    return html`<details class="card sample"><summary>The same request by a program</summary>
      <p class="note">With an API key in the variable <code>KEY</code>; see <a href="/docs">the API reference</a>.</p>
      <div class="row" role="group" aria-label="As">${Object.keys(all).map((name) => html`<button type="button"
        aria-pressed=${String(name === this.chosen)} @click=${() => { this.chosen = name; }}>${name}</button>`)}</div>
      <pre tabindex="0" aria-label=${this.chosen}><code dir="ltr">${all[this.chosen]}</code></pre></details>`;
  }
}

customElements.define("code-sample", CodeSample);

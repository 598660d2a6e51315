// The request that the page sends, as programs for other places: it follows the forms while a person changes them.

import {LitElement, html} from "lit";

class CodeSample extends LitElement {
  /** *programs*: texts by the name of the language; *login*: they log in with an account instead of a key. */
  static properties = {programs: {attribute: false}, login: {type: Boolean}, chosen: {state: true}};

  constructor() {
    super();
    this.chosen = "cURL";
  }

  createRenderRoot() {
    return this;
  }

  render() {
    return html`<details class="card sample"><summary>The same request by a program</summary>
      <p class="note">${this.login
    ? html`With your e-mail address and password: for cURL as <code>{"email": "…", "password": "…"}</code> in the file <code>login.json</code>, else in the variables
        <code>EMAIL</code> and <code>PASSWORD</code>; see <a href="/docs/accounts">accounts</a>.`
    : html`With an API key in the variable <code>KEY</code>; see <a href="/docs">the API reference</a>.`}</p>
      <div class="row" role="group" aria-label="As">${Object.keys(this.programs).map((name) => html`<button type="button"
        aria-pressed=${String(name === this.chosen)} @click=${() => { this.chosen = name; }}>${name}</button>`)}</div>
      <pre tabindex="0" aria-label=${this.chosen}><code dir="ltr">${this.programs[this.chosen]}</code></pre></details>`;
  }
}

customElements.define("code-sample", CodeSample);

// A secret that is shown once: to be copied before the page is left.

import {LitElement, html} from "lit";

class NewSecret extends LitElement {
  static properties = {secret: {attribute: false}, label: {}, said: {state: true}};

  createRenderRoot() {
    return this;
  }

  willUpdate(changed) {
    if (changed.has("secret")) this.said = "";
  }

  updated(changed) {
    if (changed.has("secret")) this.querySelector("input").select();
  }

  async copy() {
    this.querySelector("input").select();
    try {
      await navigator.clipboard.writeText(this.secret);
      this.said = "Copied.";
    } catch {  // pages without https have no clipboard
      this.said = "The browser does not allow copying here. The text is selected: press Ctrl and C.";
    }
  }

  render() {
    return html`<div class="secret" role="status">
      <label>${this.label} <input readonly .value=${this.secret} @focus=${(event) => event.target.select()}></label>
      <button type="button" @click=${this.copy}>Copy</button>
      <span class="note">${this.said || "It is shown only this once. The server stores no copy of it."}</span></div>`;
  }
}

customElements.define("new-secret", NewSecret);

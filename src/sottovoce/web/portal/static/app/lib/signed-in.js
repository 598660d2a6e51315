// How the person signed in, for pages that a temporary key does not open.

import {html} from "lit";
import {json} from "./api.js";

/** `barred`: with a temporary key, which opens jobs only. `login`: with an account, and programs of this person log in with it, too. */
export async function howSignedIn() {
  const {manages, account} = await json("/portal/session");
  return {barred: manages === null && !account, login: account && !manages};
}

/** Below the requests of a page as programs: which key they need. */
export function needsKey(login) {
  return login ? "" : html`<p class="note">A program needs a <a href="/docs/keys#kinds-of-keys">managing key</a>.</p>`;
}

/** What such a person reads instead of the page at *path*. */
export function barred(path) {
  return html`<p class="card">You signed in with a temporary key, which is for jobs only.
    <a href=${`/portal/sign-in?to=${path}`}>Sign in with an account or a managing key</a>.</p>`;
}

// How the person signed in, for pages that a temporary key does not open.

import {html} from "lit";
import {json} from "./api.js";

/** True after a sign-in with a temporary key, which opens jobs only. */
export async function withTemporaryKey() {
  const {manages, account} = await json("/portal/session");
  return manages === null && !account;
}

/** What such a person reads instead of the page at *path*. */
export function barred(path) {
  return html`<p class="card">You signed in with a temporary key, which is for jobs only.
    <a href=${`/portal/sign-in?to=${path}`}>Sign in with an account or a managing key</a>.</p>`;
}

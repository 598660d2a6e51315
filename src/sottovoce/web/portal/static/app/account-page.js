// The account of the person who signed in with one: password, sessions, mails.

import {LitElement, html, nothing} from "lit";
import "./code-sample.js";
import {json, sendOnce, words} from "./lib/api.js";
import {date, relative} from "./lib/format.js";
import {programs} from "./lib/programs.js";

const SESSIONS = {method: "GET", path: "/account/sessions"};
const PASSWORD = {method: "POST", path: "/account/password", json: {old: "the present password", new: "the new password"}};

class AccountPage extends LitElement {
  static properties = {
    mails: {type: Boolean}, account: {state: true}, sessions: {state: true}, absent: {state: true}, problem: {state: true},
    refused: {state: true}, said: {state: true}, request: {state: true},
  };

  constructor() {
    super();
    Object.assign(this, {account: null, sessions: [], absent: false, problem: "", refused: null, said: null, request: SESSIONS});
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
      this.absent = !(await json("/portal/session")).account;
      if (this.absent) return;
      [this.account, this.sessions] = await Promise.all([sendOnce("GET", "/account"), sendOnce("GET", "/account/sessions")]);
      this.problem = "";
    } catch (error) {
      this.problem = words(error);
    }
  }

  async change(event) {
    event.preventDefault();
    const form = event.target, {old, fresh, again} = form.elements;
    Object.assign(this, {refused: null, said: null});
    if (fresh.value !== again.value) {
      this.refused = {id: "password", words: "The two new passwords differ. Enter the same one twice."};
      return again.focus();
    }
    try {
      await sendOnce("POST", "/account/password", {old: old.value, new: fresh.value});
    } catch (error) {
      this.refused = {id: "password", words: words(error)};
      return old.focus();
    }
    form.reset();
    this.said = {id: "password", words: "The password is changed, and every other session has ended."};
    await this.load();
  }

  /** End *sessions*, one after the other. *id*: of the button, beside which a refusal is told. */
  async end(sessions, id) {
    Object.assign(this, {refused: null, said: null});
    let ended = 0;
    for (const {session_id} of sessions) {
      try {
        await sendOnce("DELETE", `/account/sessions/${session_id}`);
        ended += 1;
      } catch (error) {
        if (error.status === 404) continue;  // it ended by itself
        this.refused = {id, words: words(error)};
        break;
      }
    }
    this.said = {id: "sessions", words: ended === 1 ? "1 session has ended." : `${ended} sessions have ended.`};
    await this.load();
    await this.updateComplete;
    this.querySelector(".said").focus();  // the button may be gone
  }

  /** Show *request* as programs. A press on a button changes nothing: the page could move, and the click would miss. */
  show({target}, request) {
    if (!target.matches("button")) this.request = request;
  }

  told(id) {
    return html`<span class="error" role="alert">${this.refused?.id === id ? this.refused.words : ""}</span>`;
  }

  render() {
    if (this.absent) return this.without();
    if (!this.account) return html`<p class=${this.problem ? "error" : "note"} role="status">${this.problem || "Loading …"}</p>`;
    const {email, verified, balance, workspace_id, user_id} = this.account;
    return html`<p class="error" role="alert">${this.problem}</p>
      <section class="card" aria-labelledby="who"><h2 id="who">You</h2>
        <dl><dt>E-mail address</dt><dd dir="auto">${email ?? "none"}${email && !verified ? " (not confirmed)" : ""}</dd><dt>User</dt><dd>${user_id}</dd>
          <dt>Workspace</dt><dd>${workspace_id}</dd><dt>Balance</dt><dd>${balance.toLocaleString("en")} credits</dd></dl>
        <p class="note">The operator of the server changes the address: <code>sottovoce users email ${user_id} NEW-ADDRESS</code>.</p></section>
      ${this.password(email)}${this.list()}
      <section class="card" aria-labelledby="mails"><h2 id="mails">Mails</h2>
        <p>${this.mails ? "This server sends mail to your address: links for a new password, and" : "This server sends no mail. Otherwise it would send"}
          a mail when a job of API V1 ends that asked for one. No other mail is sent, so there is nothing to choose here. For other jobs, let the server notify an address
          of yours: <a href="/docs/notifications">Notifications</a>.</p></section>
      <code-sample login .programs=${programs(this.request, location.origin, true)}></code-sample>`;
  }

  without() {
    return html`<section class="card"><h2>You are not signed in with an account</h2>
      <p>You signed in with an API key, or the session of your account has ended. A key has no account: no e-mail address, no password and no sessions.</p>
      <p>An account is made by the operator of the server with <code>sottovoce users add you@example.org</code>, or on the sign-in page where the operator has opened the
        registration. <a href="/portal/sign-in?to=/portal/account">Sign in with an account</a>.</p></section>
      <code-sample login .programs=${programs(this.request, location.origin, true)}></code-sample>`;
  }

  password(email) {
    return html`<section class="card" aria-labelledby="password"><h2 id="password">Password</h2>
      <form class="narrow" @submit=${this.change} @focusin=${(event) => this.show(event, PASSWORD)}>
        <input hidden name="username" autocomplete="username" .value=${email ?? ""}>
        <label>Present password <input name="old" type="password" required maxlength="256" autocomplete="current-password"></label>
        <label>New password, of at least 10 characters <input name="fresh" type="password" required minlength="10" maxlength="256" autocomplete="new-password"></label>
        <label>New password again <input name="again" type="password" required maxlength="256" autocomplete="new-password"></label>
        <button class="primary">Change the password</button> ${this.told("password")}
        <p class="note" role="status">${this.said?.id === "password" ? this.said.words : ""}</p>
        <p class="note">A new password ends every other session. Keys stay valid: revoke those that you do not know under <a href="/portal/keys">Keys</a>.</p>
      </form></section>`;
  }

  list() {
    const others = this.sessions.filter((each) => !each.current);
    return html`<section class="card" aria-labelledby="sessions"><h2 id="sessions">Sessions</h2>
      <p class="note">Each sign-in of a browser is a session of 14 days. A browser whose session you end can show jobs for up to one more hour; to stop it at once, also revoke
        the key <code>portal</code> under <a href="/portal/keys">Keys</a>.</p>
      <div class="scroll" tabindex="0" role="region" aria-label="Sessions" @focusin=${(event) => this.show(event, SESSIONS)}><table>
        <thead><tr><th>Signed in</th><th>Ends</th><th>Session</th><th><span class="hidden">End</span></th></tr></thead>
        <tbody>${this.sessions.map((each) => html`<tr>
          <td><time datetime=${each.created_at}>${date(each.created_at)}</time></td>
          <td><time datetime=${each.expires_at} title=${date(each.expires_at)}>${relative(Date.parse(each.expires_at))}</time></td>
          <td>${each.current ? html`<b>this browser</b>` : html`<code>${each.session_id}</code>`}</td>
          <td>${each.current ? nothing : html`<button type="button" aria-label=${`End the session of ${date(each.created_at)}`}
            @click=${() => this.end([each], each.session_id)}>End</button> ${this.told(each.session_id)}`}</td></tr>`)}</tbody></table></div>
      <button type="button" ?disabled=${!others.length} @click=${() => this.end(others, "others")}>End all other sessions</button> ${this.told("others")}
      <p class="note said" role="status" tabindex="-1">${this.said?.id === "sessions" ? this.said.words : ""}</p></section>`;
  }
}

customElements.define("account-page", AccountPage);

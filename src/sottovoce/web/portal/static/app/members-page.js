// The members of the workspace: roles, access and invitations. What the person may do is for the API to say.

import {LitElement, html, nothing} from "lit";
import "./code-sample.js";
import "./new-secret.js";
import {json, send, words} from "./lib/api.js";
import {date} from "./lib/format.js";
import {programs} from "./lib/programs.js";
import {barred, howSignedIn, needsKey} from "./lib/signed-in.js";

const LIST = {method: "GET", path: "/account/members"};
const STATES = {active: "Active", disabled: "No access", unverified: "Address not confirmed"};
const ROLES = [["member", "Member"], ["admin", "Admin"]];

class MembersPage extends LitElement {
  static properties = {
    found: {state: true}, problem: {state: true}, refused: {state: true}, said: {state: true}, made: {state: true}, request: {state: true},
    text: {state: true}, barred: {state: true}, login: {state: true},
  };

  constructor() {
    super();
    Object.assign(this, {found: null, problem: "", refused: null, said: "", made: null, request: LIST, text: "", barred: false, login: false});
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
      Object.assign(this, await howSignedIn());
      if (this.barred) return;
      this.found = await json(LIST.path);
      this.problem = "";
    } catch (error) {
      this.problem = words(error);
    }
  }

  /** Send *request*; *id*: of the control beside which a refusal is told. Resolves to the answer, and to `undefined` when refused. */
  async act(id, request, said) {
    Object.assign(this, {request, refused: null, said: "", made: null});
    try {
      const answer = await send(request.method, request.path, request.json);
      await this.load();
      this.said = said;
      return answer;
    } catch (error) {
      this.refused = {id, words: words(error)};
      return undefined;
    }
  }

  async setRole(member, select) {
    const role = select.value, path = `${LIST.path}/${member.user_id}`;
    const done = await this.act(`role-${member.user_id}`, {method: "PATCH", path, json: {role}}, `${name(member)} is ${role === "admin" ? "an admin" : "a member"} now.`);
    if (!done) select.value = member.role;
  }

  async setAccess(member, button) {
    const off = member.state !== "disabled", who = name(member), path = `${LIST.path}/${member.user_id}`;
    if (off && !confirm(`End the access of ${who}? The sessions and the keys of this user stop working. The jobs stay.`)) return;
    await this.act(`access-${member.user_id}`, {method: "PATCH", path, json: {disabled: off}}, off ? `${who} has no access any more.` : `${who} has access again.`);
    button.focus();
  }

  async withdraw(invitation) {
    const path = `/account/invitations/${invitation.invitation_id}`;
    await this.act(`invitation-${invitation.invitation_id}`, {method: "DELETE", path}, `The invitation of ${invitation.email} is withdrawn.`);
    await this.updateComplete;
    this.querySelector(".said").focus();  // the button may be gone
  }

  async invite(event) {
    event.preventDefault();
    const form = event.target, {email, role} = form.elements;
    const answer = await this.act("invite", {method: "POST", path: LIST.path, json: {email: email.value, role: role.value}}, "");
    if (!answer) return;
    form.reset();
    this.said = answer.mail ? `A mail with a link is on its way to ${answer.invitation.email}.` : "";
    this.made = answer.token ? `${location.origin}/account/join?token=${encodeURIComponent(answer.token)}` : null;
  }

  told(id) {
    return html`<span class="error" role="alert">${this.refused?.id === id ? this.refused.words : ""}</span>`;
  }

  get shown() {
    const text = this.text.toLowerCase();
    return this.found.members.filter((each) => !text || `${each.email ?? ""}\n${each.user_id}\n${each.role}`.toLowerCase().includes(text));
  }

  render() {
    if (this.barred) return barred("/portal/members");
    if (!this.found) return html`<p class=${this.problem ? "error" : "note"} role="status">${this.problem || "Loading …"}</p>`;
    return html`<p class="error" role="alert">${this.problem}</p>
      ${this.found.role === "member" ? html`<p class="card">You are a member of this workspace. An admin invites people, changes roles and ends access.</p>` : nothing}
      ${this.form()}
      <p class="note said" role="status" tabindex="-1">${this.said}</p>
      ${this.found.members.length > 10 ? html`<label class="filter">Search <input type="search" placeholder="Address, number or role"
        @input=${(event) => { this.text = event.target.value; }}></label>` : nothing}
      ${this.members()}${this.found.invitations.length ? this.invitations() : nothing}
      <code-sample .programs=${programs(this.request, location.origin, this.login)} ?login=${this.login}></code-sample>${needsKey(this.login)}`;
  }

  form() {
    return html`<section class="card" aria-labelledby="invite"><h2 id="invite">Invite a person</h2>
      <form class="row" @submit=${this.invite}>
        <label>E-mail address <input name="email" type="email" required maxlength="254" autocomplete="off"></label>
        <label>Role <select name="role">${ROLES.map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select></label>
        <button>Invite</button>${this.told("invite")}
      </form>
      ${this.made ? html`<p>This server sends no mail. Give the person this link; it is valid for seven days.</p>
        <new-secret label="Link of the invitation" .secret=${this.made}></new-secret>` : nothing}</section>`;
  }

  members() {
    return html`<div class="scroll" tabindex="0" role="region" aria-label="Members"><table class="people">
      <thead><tr><th>Address</th><th>Role</th><th>State</th><th>Since</th><th><span class="hidden">Access</span></th></tr></thead>
      <tbody>${this.shown.map((each) => this.row(each))}</tbody></table></div>`;
  }

  row(member) {
    const who = name(member), off = member.state === "disabled";
    return html`<tr>
      <td class="name" dir="auto">${who}${member.user_id === this.found.user_id ? html` <small>(you)</small>` : nothing}</td>
      <td><select aria-label=${`Role of ${who}`} @change=${(event) => this.setRole(member, event.target)}>${ROLES.map(([value, label]) => html`<option
        value=${value} ?selected=${value === member.role}>${label}</option>`)}</select> ${this.told(`role-${member.user_id}`)}</td>
      <td><span class=${`state ${off ? "failed" : "done"}`}>${STATES[member.state] ?? member.state}</span></td>
      <td><time datetime=${member.created_at} title=${date(member.created_at)}>${date(member.created_at)}</time></td>
      <td><button type="button" aria-label=${`${off ? "Give access again to" : "End access of"} ${who}`}
        @click=${(event) => this.setAccess(member, event.target)}>${off ? "Give access again" : "End access"}</button> ${this.told(`access-${member.user_id}`)}</td></tr>`;
  }

  invitations() {
    return html`<h2>Open invitations</h2>
      <div class="scroll" tabindex="0" role="region" aria-label="Open invitations"><table class="people">
      <thead><tr><th>Address</th><th>Role</th><th>Valid</th><th><span class="hidden">Withdraw</span></th></tr></thead>
      <tbody>${this.found.invitations.map((each) => html`<tr><td class="name" dir="auto">${each.email}</td>
        <td>${Object.fromEntries(ROLES)[each.role] ?? each.role}</td>
        <td>until <time datetime=${each.expires_at} title=${date(each.expires_at)}>${date(each.expires_at)}</time></td>
        <td><button type="button" aria-label=${`Withdraw the invitation of ${each.email}`} @click=${() => this.withdraw(each)}>Withdraw</button>
          ${this.told(`invitation-${each.invitation_id}`)}</td></tr>`)}</tbody></table></div>`;
  }
}

/** A member as people call it. */
function name({email, user_id}) {
  return email ?? `User ${user_id}`;
}

customElements.define("members-page", MembersPage);

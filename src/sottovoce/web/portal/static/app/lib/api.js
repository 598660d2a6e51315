// Requests to the public API. The browser adds the cookie with the temporary key; the header shows that this page sent the request.

export const PORTAL = {"sottovoce-portal": "1"};

/** An error that the API answered: `message` is a sentence for people. */
export class ApiError extends Error {
  constructor(status, body) {
    const text = [body.error, body.detail].filter(Boolean).join(": ");
    super(text || `The server answered with status ${status}.`);
    this.status = status;
  }
}

let renewing = null;

/** Get a new temporary key while the sign-in lasts. Resolves to false where it is over. */
export function renew() {
  renewing ??= fetch("/portal/session", {method: "POST", headers: {"content-type": "application/json"}, body: "{}"})
    .then((answer) => answer.ok, () => false)
    .finally(() => { renewing = null; });
  return renewing;
}

/** Let the session of an account act in the project *project_id*. */
export function switchTo(project_id) {
  return fetch("/portal/session", {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({project_id})});
}

export function toSignIn() {
  location.assign(`/portal/sign-in?to=${encodeURIComponent(location.pathname)}`);
}

/** True if the server knows the person no more. Below `/v1/api-keys` it has 403 for that, too, as the contract wants. */
async function unknown(answer, path) {
  if (answer.status !== 403 || !path.startsWith("/v1/api-keys")) return answer.status === 401;
  return (await fetch("/portal/session")).status === 401;
}

/** The successful answer to a request; throws `ApiError`, or a `TypeError` where the server cannot be reached. */
export async function ask(path, options = {}) {
  const send = () => fetch(path, {...options, headers: {...PORTAL, ...options.headers}});
  let answer = await send();
  let lost = await unknown(answer, path);
  if (lost && await renew()) {
    answer = await send();
    lost = answer.status === 401;
  }
  if (lost) toSignIn();
  return checked(answer);
}

async function checked(answer) {
  if (!answer.ok) throw new ApiError(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

const withBody = (method, body) => ({method, headers: {"content-type": "application/json"}, body: body && JSON.stringify(body)});

/** The JSON answer, `null` for an empty one, to a request that sends *body* as JSON. Throws as `ask`. */
export async function send(method, path, body) {
  const text = await (await ask(path, withBody(method, body))).text();
  return text ? JSON.parse(text) : null;
}

/** The same for the API of accounts, where 401 may mean a wrong password: the person stays on the page. */
export async function sendOnce(method, path, body) {
  const text = await (await checked(await fetch(path, withBody(method, body)))).text();
  return text ? JSON.parse(text) : null;
}

export async function json(path, options) {
  return (await ask(path, options)).json();
}

/** A sentence for people about any error of `ask`. */
export function words(error) {
  return error instanceof ApiError ? error.message : "The server cannot be reached. Try again.";
}

const features = {};

/** What this region transcribes: names of languages by code, and whether it can identify the language. */
export async function languages() {
  features.found ??= json("/v1/discovery/features");
  const {metadata, batch} = await features.found;
  const info = metadata.language_pack_info;
  const codes = batch?.transcription[0].languages ?? [];
  const named = codes.map((code) => [code, info[code]?.language_description ?? code]);
  return {names: new Map(named.sort((a, b) => a[1].localeCompare(b[1]))), identifies: (batch?.languageid ?? []).length > 0};
}

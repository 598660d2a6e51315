// The two forms of the sign-in page. Both end with the portal's cookie.

const JSON_TYPE = {"content-type": "application/json"};

function post(path, body) {
  return fetch(path, {method: "POST", headers: JSON_TYPE, body: JSON.stringify(body)});
}

/** The page that the person wanted, if it is one of this server. */
function wanted() {
  try {
    const to = new URL(new URLSearchParams(location.search).get("to") ?? "/", location.origin);
    return to.origin === location.origin ? to.pathname : "/";
  } catch {
    return "/";
  }
}

async function signIn(form, requests) {
  const state = form.querySelector("output"), button = form.querySelector("button");
  state.textContent = "";
  button.disabled = true;
  try {
    for (const [path, body] of requests) {
      const answer = await post(path, body);
      if (answer.ok) continue;
      const told = await answer.json().catch(() => ({}));
      state.textContent = told.detail || told.error || `The server answered with status ${answer.status}.`;
      return;
    }
    location.assign(wanted());
  } catch {
    state.textContent = "The server cannot be reached. Try again.";
  } finally {
    button.disabled = false;
  }
}

/** Send *form* to *path*, and show *done* of the answer in its place. */
async function tell(form, path, body, done) {
  const state = form.querySelector("output"), button = form.querySelector("button");
  button.disabled = true;
  try {
    const answer = await post(path, body), told = await answer.json().catch(() => ({}));
    state.textContent = answer.ok ? done(told) : told.detail || told.error || `The server answered with status ${answer.status}.`;
    return answer.ok && told;
  } catch {
    state.textContent = "The server cannot be reached. Try again.";
    return false;
  } finally {
    button.disabled = false;
  }
}

const account = document.querySelector("#account"), key = document.querySelector("#key");
account.addEventListener("submit", (event) => {
  event.preventDefault();
  const body = {email: account.email.value, password: account.password.value};
  signIn(account, [["/account/login", body], ["/portal/session", {}]]);
});
key.addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(key, [["/portal/session", {api_key: key.api_key.value}]]);
});
document.querySelector("#register")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target, body = {email: form.email.value, password: form.password.value};
  const done = ({mail}) => mail ? "A mail with a link is on its way. Follow the link to confirm your address." : "";
  const told = await tell(form, "/account/register", body, done);
  if (told && !told.mail) signIn(form, [["/account/login", body], ["/portal/session", {}]]);
});
document.querySelector("#forgot")?.addEventListener("submit", (event) => {
  event.preventDefault();
  tell(event.target, "/account/forgot", {email: event.target.email.value}, () => "If the address has an account, a mail with a link is on its way.");
});

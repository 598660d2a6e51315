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

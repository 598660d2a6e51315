// A request with a JSON body, or none, as text in several languages. Pure functions.

import {python, quoted} from "./literals.js";

const JSON_BODY = "-H 'Content-Type: application/json' -d";  // --json needs curl 7.82

function curl({method, path, json}, origin, login) {
  const before = login ? `curl -s -o /dev/null -c jar ${JSON_BODY} @login.json ${quoted(`${origin}/account/login`)}\n` : "";
  const parts = [
    `curl ${quoted(origin + path)}`,
    ...(method === "GET" || (method === "POST" && json) ? [] : [`-X ${method}`]),
    login ? "-b jar" : '-H "Authorization: Bearer $KEY"',
    ...(json ? [`${JSON_BODY} ${quoted(JSON.stringify(json))}`] : []),
  ];
  return before + parts.join(" \\\n  ");
}

function withRequests({method, path, json}, origin, login) {
  const before = login ? `session = requests.Session()
login = {"email": os.environ["EMAIL"], "password": os.environ["PASSWORD"]}
session.post(${JSON.stringify(`${origin}/account/login`)}, json=login).raise_for_status()
` : "";
  const parts = [
    JSON.stringify(origin + path),
    ...(login ? [] : [`headers={"Authorization": f"Bearer {os.environ['KEY']}"}`]),
    ...(json ? [`json=${python(json, 1)}`] : []),
  ];
  return `import os

import requests

${before}answer = ${login ? "session" : "requests"}.${method.toLowerCase()}(
${parts.map((each) => `    ${each},\n`).join("")})
answer.raise_for_status()
print(answer.text)`;
}

function javascript({method, path, json}, origin, login) {
  const before = login ? `const login = await fetch(${JSON.stringify(`${origin}/account/login`)}, {
  method: "POST",
  headers: {"content-type": "application/json"},
  body: JSON.stringify({email: process.env.EMAIL, password: process.env.PASSWORD}),
});
const cookie = login.headers.getSetCookie().map((each) => each.split(";")[0]).join("; ");
` : "";
  const headers = [login ? "cookie" : "authorization: `Bearer ${process.env.KEY}`", ...(json ? ['"content-type": "application/json"'] : [])];
  return `${before}const answer = await fetch(${JSON.stringify(origin + path)}, {
  method: ${JSON.stringify(method)},
  headers: {${headers.join(", ")}},${json ? `\n  body: JSON.stringify(${JSON.stringify(json)}),` : ""}
});
console.log(await answer.text());`;
}

/** The programs by name, for *request* (`{method, path, json}`) to the server at *origin*; *login*: with an account instead of a key. */
export function programs(request, origin, login = false) {
  return {"cURL": curl(request, origin, login), "Python": withRequests(request, origin, login), "JavaScript": javascript(request, origin, login)};
}

// The request of the upload form as text in several languages. Pure functions.

import {python, quoted} from "./literals.js";

const indented = (text, by) => text.replaceAll("\n", `\n${" ".repeat(by)}`);

/** The programs by name, for *request* (`{config, keep}`) to the server at *origin*. A config with `fetch_data` needs no file. */
export function samples({config, keep}, origin) {
  const fetched = "fetch_data" in config, text = JSON.stringify(config, null, 2);
  const curl = [
    `curl ${quoted(`${origin}/v2/jobs`)}`, `-H "Authorization: Bearer $KEY"`,
    ...(keep ? [`-H ${quoted(`Retention-Seconds: ${keep}`)}`] : []),
    ...(fetched ? [] : ["-F data_file=@recording.wav"]), `--form-string config=${quoted(text)}`,  // -F reads a ; in the text as its end
  ].join(" \\\n  ");
  const py = `# needs: pip install requests
import json
import os

import requests

config = ${python(config)}
answer = requests.post(
    ${JSON.stringify(`${origin}/v2/jobs`)},
    headers={"Authorization": f"Bearer {os.environ['KEY']}"${keep ? `, "Retention-Seconds": "${keep}"` : ""}},
    files={${fetched ? "" : `"data_file": open("recording.wav", "rb"), `}"config": (None, json.dumps(config))},
)
answer.raise_for_status()
print(answer.json()["id"])`;
  const js = `/* job.mjs, for Node.js 20 or newer: node job.mjs */
${fetched ? "" : `import {openAsBlob} from "node:fs";

`}const body = new FormData();
body.append("config", JSON.stringify(${indented(text, 0)}));
${fetched ? "" : `body.append("data_file", await openAsBlob("recording.wav"), "recording.wav");
`}const answer = await fetch(${JSON.stringify(`${origin}/v2/jobs`)}, {
  method: "POST",
  headers: {Authorization: \`Bearer \${process.env.KEY}\`${keep ? `, "Retention-Seconds": "${keep}"` : ""}},
  body,
});
console.log((await answer.json()).id);`;
  return {"cURL": curl, "Python": py, "JavaScript": js, "Config": text};
}

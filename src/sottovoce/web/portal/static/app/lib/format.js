// Values as people read them. Pure functions.

/** Seconds as 0:07, 12:03 or 1:02:03. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** An instant relative to *now* (both in ms): "in 7 days". */
export function relative(instant, now = Date.now()) {
  const seconds = (instant - now) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return new Intl.RelativeTimeFormat("en", {numeric: "auto"}).format(Math.round(seconds / size), unit);
}

export function date(instant) {
  return new Date(instant).toLocaleString("en-GB", {dateStyle: "medium", timeStyle: "short"});
}

/** *seconds* from now, in words. */
function soon(seconds) {
  return seconds < 60 ? "within a minute" : `in about ${Math.round(seconds / 60)} minutes`;
}

const STATES = {running: "Waiting", done: "Done", rejected: "Failed", deleted: "Deleted", expired: "Expired"};

/** The state of a job, in words. */
export function state(job) {
  const queue = job.lifecycle?.queue;
  if (queue) return `Waiting, place ${queue.place}${queue.starts_in === undefined ? "" : `, starts ${soon(queue.starts_in)}`}`;
  if (job.lifecycle?.state !== "running") return STATES[job.status] ?? job.status;
  return job.lifecycle.progress ? `In progress, ${Math.floor(job.lifecycle.progress * 100)} %` : "In progress";
}

/** Why a job failed; empty for every other job. */
export function reason(job) {
  return job.status === "rejected" ? (job.errors ?? []).map((error) => error.message).join(" ") : "";
}

/** The name of a job: its file, else the address that it was fetched from, else its id. */
export function name(job) {
  return job.data_name || job.config?.fetch_data?.url || job.id;
}

/** Random text for an `Idempotency-Key`; `crypto.randomUUID` is missing on pages without https. */
export function token() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

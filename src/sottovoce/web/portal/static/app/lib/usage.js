// Sums of usage by period, mode, model and project, from the answers of `GET /v2/usage`. Pure functions.

const DAY_MS = 86_400_000;
const MODES = {batch: "Batch", realtime: "Real time"};
const MODELS = {standard: "Standard", enhanced: "Enhanced"};

/** The names that an entry can be split by. */
export const SPLITS = {
  mode: (entry) => MODES[entry.mode] ?? entry.mode,
  model: (entry) => MODELS[entry.operating_point] ?? entry.operating_point,
};

/** The day *ago* days before *now* (ms) as YYYY-MM-DD, UTC. */
export function day(ago, now = Date.now()) {
  return new Date(now - ago * DAY_MS).toISOString().slice(0, 10);
}

/** Days from *since* to *until*, both included; 0 if *until* is earlier. */
export function length(since, until) {
  return Math.max(0, Math.round((Date.parse(until) - Date.parse(since)) / DAY_MS) + 1);
}

/** The period of *size* (`day`, `week`, `month`) that *text*, a day, is in: its first day, or its month. */
export function period(text, size) {
  if (size === "month") return text.slice(0, 7);
  if (size === "day") return text;
  const instant = Date.parse(text);
  return new Date(instant - ((new Date(instant).getUTCDay() + 6) % 7) * DAY_MS).toISOString().slice(0, 10);
}

/** Every period from the day *since* to the day *until*. */
export function periods(since, until, size) {
  const all = Array.from({length: length(since, until)}, (_, number) => period(new Date(Date.parse(since) + number * DAY_MS).toISOString().slice(0, 10), size));
  return [...new Set(all)];
}

const ZERO = {hours: 0, count: 0};

/** The sums of *entries* by *row* and *column* (functions of an entry): `{columns, rows}`, `rows` a map from the row to sums by column. */
export function table(entries, row, column) {
  const rows = new Map(), columns = new Set();
  for (const entry of entries) {
    const key = row(entry), name = column(entry), sums = rows.get(key) ?? {}, sum = sums[name] ?? ZERO;
    columns.add(name);
    rows.set(key, {...sums, [name]: {hours: sum.hours + entry.duration_hrs, count: sum.count + entry.count}});
  }
  return {columns: [...columns].sort(), rows};
}

/** The sum over all columns of *sums*. */
export function whole(sums) {
  return Object.values(sums).reduce((one, other) => ({hours: one.hours + other.hours, count: one.count + other.count}), ZERO);
}

/** *hours* for people: two decimals, and less than 0.01 as such. */
export function shown(hours) {
  if (hours > 0 && hours < 0.01) return "< 0.01";
  return hours.toLocaleString("en", {minimumFractionDigits: 2, maximumFractionDigits: 2});
}

/** *hours* for programs: as exact as the API tells them. */
export function exact(hours) {
  return Number(hours.toFixed(7));
}

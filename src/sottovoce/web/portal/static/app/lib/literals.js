// Values as they stand in programs. Pure functions.

/** *text* as a word of a shell. */
export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** *value* as a Python literal. */
export function python(value, depth = 0) {
  const pad = " ".repeat(4 * (depth + 1)), end = " ".repeat(4 * depth);
  if (Array.isArray(value)) return value.length ? `[\n${value.map((each) => `${pad}${python(each, depth + 1)},\n`).join("")}${end}]` : "[]";
  if (value && typeof value === "object") {
    const members = Object.entries(value).map(([name, each]) => `${pad}${JSON.stringify(name)}: ${python(each, depth + 1)},\n`);
    return members.length ? `{\n${members.join("")}${end}}` : "{}";
  }
  return value === true ? "True" : value === false ? "False" : value === null ? "None" : JSON.stringify(value);
}

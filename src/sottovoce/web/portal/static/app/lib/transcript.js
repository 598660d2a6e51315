// A JSON transcript as paragraphs of plain text with a table of words. Pure functions.

const [LONG, PAUSE] = [600, 1.5];  // characters, and seconds: a paragraph may end at a sentence after either

/**
 * The paragraphs of *transcript*: `{speaker, channel, start, text}`; and its words in the order of the text, as typed arrays:
 * `start` and `end` in seconds, `paragraph`, `from` and `to` (characters in the paragraph), `confidence`.
 */
export function paragraphs(transcript) {
  const delimiter = transcript.metadata.language_pack_info?.word_delimiter ?? " ";
  const found = [], words = [];
  let current = null, glued = false, ended = null;
  for (const item of transcript.results) {
    const {content, speaker = "UU", confidence = 1} = item.alternatives?.[0] ?? {};
    if (!content) continue;
    const mark = item.type === "punctuation", attaches = mark ? item.attaches_to ?? "previous" : "none";
    const other = current && (current.speaker !== speaker || current.channel !== item.channel);
    const paused = ended !== null && (item.start_time - ended > PAUSE || current.text.length > LONG);
    if (!current || (!mark && (other || paused))) {
      current = {speaker, channel: item.channel, start: item.start_time, text: ""};
      found.push(current);
      glued = true;
    }
    if (!(glued || attaches === "previous" || attaches === "both")) current.text += delimiter;
    const from = current.text.length;
    current.text += content;
    glued = attaches === "next" || attaches === "both";
    ended = item.is_eos ? item.end_time : mark ? ended : null;
    if (!mark) words.push([item.start_time, item.end_time, found.length - 1, from, current.text.length, confidence]);
  }
  const column = (index, type) => type.from(words, (word) => word[index]);
  return {
    paragraphs: found,
    words: {
      length: words.length, start: column(0, Float64Array), end: column(1, Float64Array), paragraph: column(2, Uint32Array),
      from: column(3, Uint32Array), to: column(4, Uint32Array), confidence: column(5, Float32Array),
    },
  };
}

const known = (speaker) => speaker && speaker !== "UU";

/** The label that tells the voice of a paragraph from others: that of its speaker, else that of its channel; empty for none. */
export function voiceOf({speaker, channel}) {
  return known(speaker) ? speaker : channel ?? "";
}

/** The voices of *found*, paragraphs, in the order of their first words: `{kind: "speakers" | "channels", label, place}`. */
export function voices(found) {
  const seen = new Map();
  for (const paragraph of found) {
    const label = voiceOf(paragraph);
    if (label && !seen.has(label)) seen.set(label, {kind: known(paragraph.speaker) ? "speakers" : "channels", label, place: seen.size});
  }
  return [...seen.values()];
}

/** What is shown above a paragraph: its channel and speaker, by their *names* where they have one. */
export function shownLabel({speaker, channel}, names = {speakers: {}, channels: {}}) {
  const parts = [channel && (names.channels[channel] ?? channel), known(speaker) && (names.speakers[speaker] ?? speaker)];
  return parts.filter(Boolean).join(" · ");
}

/** The last of the ascending *values* that is not above *wanted*; -1 if there is none. */
export function lastAtMost(values, wanted) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= wanted) low = middle + 1; else high = middle;
  }
  return low - 1;
}

/** The word of *paragraph* at the character *offset*, else the next one of the paragraph; -1 if there is none. */
export function wordAt(words, paragraph, offset) {
  for (let index = lastAtMost(words.paragraph, paragraph - 1) + 1; index < words.length && words.paragraph[index] === paragraph; index += 1) {
    if (offset < words.to[index]) return index;
  }
  return -1;
}

/** Where *text* occurs in *found*, without regard to case: `[paragraph, from, to]`. */
export function occurrences(found, text) {
  const places = [], wanted = text.toLowerCase();
  if (!wanted) return places;
  found.forEach((paragraph, index) => {
    const searched = paragraph.text.toLowerCase();
    if (searched.length !== paragraph.text.length) return;  // a few letters change their length, and all places with it
    for (let at = searched.indexOf(wanted); at >= 0; at = searched.indexOf(wanted, at + wanted.length)) places.push([index, at, at + wanted.length]);
  });
  return places;
}

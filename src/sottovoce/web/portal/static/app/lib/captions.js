// The text of a live session: final words with their times, grouped into paragraphs; and files made of them.

const PAUSE_S = 2, LONG = 400;
const CUE = {letters: 84, seconds: 7, pause: 1};

/** The text of *results* of a message, joined with *delimiter*. */
export function joined(results, delimiter = " ") {
  let text = "";
  for (const {type, attaches_to: attached, alternatives: [best]} of results) {
    const near = type === "punctuation" && attached !== "next" && attached !== "none";
    text += (text && !near ? delimiter : "") + best.content;
  }
  return text;
}

/** The final words, `{text, start, end, speaker, near}` in seconds of the whole recording; *near*: no blank before it. */
export class Captions {
  constructor() {
    Object.assign(this, {words: [], paragraphs: [], delimiter: " "});
  }

  /** Add the results of `AddTranscript`; *offset* is where its session began. */
  add(results, offset) {
    for (const {type, attaches_to: attached, start_time: start, end_time: end, is_eos: ends, alternatives: [best]} of results) {
      const near = type === "punctuation" && attached !== "next" && attached !== "none";
      const word = {text: best.content, start: start + offset, end: end + offset, speaker: speakerOf(best.speaker), near, ends: Boolean(ends)};
      this.words.push(word);
      this.place(word);
    }
  }

  /** Say in the text that *seconds* of audio were not heard. */
  miss(seconds, at) {
    this.paragraphs.push({start: at, end: at, speaker: "", text: "", missed: seconds});
  }

  place(word) {
    let last = this.paragraphs.at(-1);
    const fresh = !last || last.missed || !word.near && (
      word.speaker !== last.speaker || word.start - last.end > PAUSE_S || (last.text.length > LONG && last.ended));
    if (fresh) {
      last = {start: word.start, end: word.end, speaker: word.speaker, text: ""};
      this.paragraphs.push(last);
    }
    last.text += (last.text && !word.near ? this.delimiter : "") + word.text;
    Object.assign(last, {end: word.end, ended: word.ends});
  }

  text() {
    return this.paragraphs.map(({speaker, text, missed}) =>
      missed ? `[${missed.toFixed(0)} seconds were not heard]` : `${speaker ? `${speaker}: ` : ""}${text}`).join("\n\n") + "\n";
  }

  cues() {
    const cues = [];
    for (const word of this.words) {
      let cue = cues.at(-1);
      const full = cue && !word.near && (cue.text.length + word.text.length >= CUE.letters || word.end - cue.start > CUE.seconds
        || word.start - cue.end > CUE.pause || word.speaker !== cue.speaker || (cue.ends && cue.text.length > CUE.letters / 2));
      if (!cue || full) cues.push(cue = {start: word.start, end: word.end, speaker: word.speaker, text: ""});
      cue.text += (cue.text && !word.near ? this.delimiter : "") + word.text;
      Object.assign(cue, {end: Math.max(cue.end, word.end), ends: word.ends});
    }
    return cues;
  }

  srt() {
    return this.cues().map((cue, index) => `${index + 1}\n${stamp(cue.start, ",")} --> ${stamp(cue.end, ",")}\n${cue.text}\n`).join("\n");
  }

  vtt() {
    const safe = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
    return `WEBVTT\n\n${this.cues().map((cue) => `${stamp(cue.start, ".")} --> ${stamp(cue.end, ".")}\n${safe(cue.text)}\n`).join("\n")}`;
  }

  json() {
    return `${JSON.stringify({words: this.words.map(({text, start, end, speaker}) => ({text, start, end, speaker}))}, null, 1)}\n`;
  }
}

function speakerOf(label) {
  return !label || label === "UU" ? "" : label;
}

function stamp(seconds, mark) {
  const ms = Math.round(seconds * 1000);
  const part = (value, size) => String(Math.floor(value)).padStart(size, "0");
  return `${part(ms / 3_600_000, 2)}:${part(ms / 60_000 % 60, 2)}:${part(ms / 1000 % 60, 2)}${mark}${part(ms % 1000, 3)}`;
}

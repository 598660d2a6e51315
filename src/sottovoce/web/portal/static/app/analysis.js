// What speech intelligence says about a transcript, as templates. `seek` plays the recording from an instant.

import {html, nothing} from "lit";
import {clock} from "./lib/format.js";

const moment = (seconds, seek) => html`<button type="button" class="time" aria-label=${`Play from ${clock(seconds)}`}
  @click=${() => seek(seconds)}>${clock(seconds)}</button>`;

function summary({content}) {
  if (!content) return html`<p class="note">There is nothing to summarise.</p>`;
  return content.split("\n").filter(Boolean).map((line) => html`<p dir="auto">${line}</p>`);
}

function chapters(found, seek) {
  return html`<ol class="parts">${found.map((each) => html`<li>${moment(each.start_time, seek)}
    <div><h3 dir="auto">${each.title}</h3><p dir="auto">${each.summary}</p></div></li>`)}</ol>`;
}

function topics({segments = [], summary}, seek) {
  const counts = Object.entries(summary?.overall ?? {}).filter(([, count]) => count).sort((a, b) => b[1] - a[1]);
  return html`<ul class="counts">${counts.map(([topic, count]) => html`<li dir="auto">${topic} <b>${count}</b></li>`)}</ul>
    <ol class="parts">${segments.map((each) => html`<li>${moment(each.start_time, seek)}
      <div><b dir="auto">${each.topics.map(({topic}) => topic).join(", ")}</b><p dir="auto">${each.text}</p></div></li>`)}</ol>`;
}

function sentiment({segments = [], summary}, seek) {
  const overall = summary?.overall;
  return html`
    ${overall ? html`<ul class="counts">${["positive", "neutral", "negative"].map((name) =>
      html`<li>${name} <b>${overall[`${name}_count`] ?? 0}</b></li>`)}</ul>` : nothing}
    <ol class="parts">${segments.map((each) => html`<li>${moment(each.start_time, seek)}
      <div><b class=${`sentiment ${each.sentiment}`}>${each.sentiment}</b><p dir="auto">${each.text}</p></div></li>`)}</ol>`;
}

function entities(found, seek) {
  return html`<ol class="parts">${found.map((each) => html`<li>${moment(each.start_time, seek)}
    <div><b dir="auto">${each.alternatives?.[0]?.content}</b> <small>${each.entity_class?.replaceAll("_", " ")}</small></div></li>`)}</ol>`;
}

function events(found, seek) {
  return html`<ol class="parts">${found.map((each) => html`<li>${moment(each.start_time, seek)}
    <div><b>${each.type.replaceAll("_", " ")}</b> <small>until ${clock(each.end_time)}${each.channel ? html` · <span dir="auto">${each.channel}</span>` : nothing}</small></div></li>`)}</ol>`;
}

function translations(found, seek) {
  const names = new Intl.DisplayNames("en", {type: "language", fallback: "code"});
  return Object.entries(found).map(([code, sentences]) => html`<section lang=${code}><h3 lang="en">${named(names, code)}</h3>
    <ol class="parts">${sentences.map((each) => html`<li>${moment(each.start_time, seek)}<div><p dir="auto">${each.content}</p></div></li>`)}</ol></section>`);
}

/** The name of the language *code*, or the code where it is no tag that the browser knows. */
function named(names, code) {
  try {
    return names.of(code.replace("_", "-"));
  } catch {
    return code;
  }
}

const TABS = [
  ["summary", "Summary", summary],
  ["chapters", "Chapters", chapters],
  ["topics", "Topics", topics],
  ["sentiment_analysis", "Sentiment", sentiment],
  ["entities", "Entities", entities],
  ["audio_events", "Sounds", events],
  ["translations", "Translations", translations],
];

/** What *transcript* has for the tab *name*. */
function valueOf(transcript, name) {
  if (name === "entities") return transcript.results.filter(({type}) => type === "entity");
  return transcript[name]?.sentiment_analysis ?? transcript[name];
}

/** The tabs that *transcript* has something for: `[name, label, value, template of (value, seek)]`. */
export function tabs(transcript) {
  const there = (value) => value && (Array.isArray(value) ? value.length : Object.keys(value).length);
  return TABS.map(([name, label, template]) => [name, label, valueOf(transcript, name), template]).filter(([, , value]) => there(value));
}

/** Why a result that was asked for is missing: sentences from the lists of errors in the metadata. */
export function failures(transcript) {
  return Object.entries(transcript.metadata).filter(([name]) => name.endsWith("_errors"))
    .flatMap(([, errors]) => errors.map(({message}) => message));
}

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

const TABS = [
  ["summary", "Summary", summary],
  ["chapters", "Chapters", chapters],
  ["topics", "Topics", topics],
  ["sentiment_analysis", "Sentiment", sentiment],
];

/** The tabs that *transcript* has something for: `[name, label, template of (value, seek)]`. */
export function tabs(transcript) {
  const there = (value) => value && (Array.isArray(value) ? value.length : Object.keys(value).length);
  return TABS.filter(([name]) => there(transcript[name]?.sentiment_analysis ?? transcript[name]));
}

/** Why a result that was asked for is missing: sentences from the lists of errors in the metadata. */
export function failures(transcript) {
  return Object.entries(transcript.metadata).filter(([name]) => name.endsWith("_errors"))
    .flatMap(([, errors]) => errors.map(({message}) => message));
}

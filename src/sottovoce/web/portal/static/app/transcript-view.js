// The text of a transcript beside its player. Each paragraph is one text node; words are marked by the CSS Custom Highlight API,
// because an element for each word makes a long recording slow.

import {clock} from "./lib/format.js";
import {lastAtMost, occurrences, paragraphs, shownLabel, voiceOf, voices, wordAt} from "./lib/transcript.js";

const [DOUBTFUL, UNSURE] = [0.5, 0.75];
const COLOURS = 6;

class TranscriptView extends HTMLElement {
  /** Show *transcript*, the body of `GET …/transcript`, and follow *player*, an audio element. */
  show(transcript, player) {
    Object.assign(this, paragraphs(transcript), {player, nodes: [], blocks: [], places: [], place: -1, current: -1});
    // several channels are in the order of their words, so times ascend; overlapping speakers can break it
    this.order = Uint32Array.from(this.words.start.keys()).sort((a, b) => this.words.start[a] - this.words.start[b]);
    this.times = Float64Array.from(this.order, (index) => this.words.start[index]);
    this.voices = voices(this.paragraphs);
    this.replaceChildren(...this.paragraphs.map((each) => this.block(each)));
    this.index = new Map(this.nodes.map((node, index) => [node, index]));
    this.addEventListener("click", (event) => this.clicked(event));
    for (const name of ["timeupdate", "seeked", "play"]) player.addEventListener(name, () => this.follow());
    this.shade(true);
  }

  /** Show *names* (`{speakers, channels}`, by label) in place of the labels. */
  rename(names) {
    this.names = names;
    this.paragraphs.forEach((paragraph, index) => {
      const label = shownLabel(paragraph, names), block = this.blocks[index], name = block.querySelector(".speaker");
      if (name) name.textContent = label;
      block.querySelector(".time").setAttribute("aria-label", `Play from ${clock(paragraph.start)}${label ? `, ${label}` : ""}`);
    });
  }

  block(paragraph) {
    const block = document.createElement("section"), time = document.createElement("button"), text = document.createElement("p");
    const label = shownLabel(paragraph);
    block.className = `paragraph colour-${label ? this.voices.findIndex((each) => each.label === voiceOf(paragraph)) % COLOURS : "none"}`;
    time.type = "button";
    time.className = "time";
    time.textContent = clock(paragraph.start);
    time.setAttribute("aria-label", `Play from ${clock(paragraph.start)}${label ? `, ${label}` : ""}`);
    time.addEventListener("click", () => this.seek(paragraph.start, true));
    const node = document.createTextNode(paragraph.text);
    text.dir = "auto";
    text.append(node);
    block.append(time);
    if (label) {
      const name = document.createElement("span");
      name.className = "speaker";
      name.dir = "auto";
      name.textContent = label;
      block.append(name);
    }
    block.append(text);
    this.nodes.push(node);
    this.blocks.push(block);
    return block;
  }

  seek(seconds, play = false) {
    this.player.currentTime = seconds;
    if (play) this.player.play().catch(() => null);  // the page tells that the media cannot be played
  }

  clicked(event) {
    if (!getSelection().isCollapsed) return;  // the person selects text
    const at = document.caretPositionFromPoint?.(event.clientX, event.clientY) ?? document.caretRangeFromPoint?.(event.clientX, event.clientY);
    const paragraph = this.index.get(at?.offsetNode ?? at?.startContainer);
    if (paragraph === undefined) return;
    const word = wordAt(this.words, paragraph, at.offset ?? at.startOffset);
    if (word >= 0) this.seek(this.words.start[word], true);
  }

  range(paragraph, from, to) {
    const range = new Range();
    range.setStart(this.nodes[paragraph], from);
    range.setEnd(this.nodes[paragraph], to);
    return range;
  }

  mark(name, ranges) {
    if (!CSS.highlights) return;
    if (ranges.length) CSS.highlights.set(name, new Highlight(...ranges)); else CSS.highlights.delete(name);
  }

  word(index) {
    return this.range(this.words.paragraph[index], this.words.from[index], this.words.to[index]);
  }

  /** Mark the word that is heard, at once and for each frame while the player plays. */
  follow() {
    cancelAnimationFrame(this.frame);
    const place = lastAtMost(this.times, this.player.currentTime + 0.01);
    const word = place < 0 ? -1 : this.order[place];
    if (word !== this.current) {
      const [before, after] = [this.words.paragraph[this.current], this.words.paragraph[word]];
      this.current = word;
      this.mark("now", word < 0 ? [] : [this.word(word)]);
      if (before !== after) {
        this.blocks[before]?.classList.remove("now");
        this.blocks[after]?.classList.add("now");
        if (!this.player.paused) this.blocks[after]?.scrollIntoView({block: "nearest"});
      }
    }
    if (!this.player.paused) this.frame = requestAnimationFrame(() => this.follow());
  }

  /** Shade the words whose confidence is low, or none. */
  shade(on) {
    const low = on ? [...this.words.confidence.keys()].filter((index) => this.words.confidence[index] < UNSURE) : [];
    this.mark("doubtful", low.filter((index) => this.words.confidence[index] < DOUBTFUL).map((index) => this.word(index)));
    this.mark("unsure", low.filter((index) => this.words.confidence[index] >= DOUBTFUL).map((index) => this.word(index)));
  }

  /** Mark each occurrence of *text*, and go to the first. Returns a sentence about them. */
  search(text) {
    this.places = occurrences(this.paragraphs, text.trim());
    this.mark("found", this.places.map((place) => this.range(...place)));
    this.place = -1;
    return text.trim() ? this.step(1) : (this.mark("found-now", []), "");
  }

  /** Go to the next occurrence, or with -1 to the previous one. */
  step(by) {
    const many = this.places.length;
    if (!many) return this.mark("found-now", []), "not found";
    this.place = (this.place + by + many) % many;
    const found = this.range(...this.places[this.place]);
    this.mark("found-now", [found]);
    found.startContainer.parentElement.scrollIntoView({block: "center"});
    return `${this.place + 1} of ${many}`;
  }
}

customElements.define("transcript-view", TranscriptView);

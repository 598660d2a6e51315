// The waveform of a recording, drawn from the peaks that the server made. A click plays from there; the player beside it is for the keyboard.

import {ask} from "./lib/api.js";
import {columns, parsed} from "./lib/peaks.js";

class WaveForm extends HTMLElement {
  /** Draw the peaks of *job*, and follow *player*, an audio element. Stays empty where the server has no peaks. */
  async show(job, player) {
    const answer = await ask(`/v2/jobs/${job}/peaks`).catch(() => null);
    this.peaks = answer && parsed(await answer.arrayBuffer());
    this.hidden = !this.peaks?.seconds;
    if (this.hidden) return;
    this.player = player;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    this.replaceChildren(this.canvas);
    this.canvas.addEventListener("click", (event) => this.seek(event));
    for (const name of ["timeupdate", "seeked"]) player.addEventListener(name, () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.resize()).observe(this);
  }

  seek(event) {
    const {left, width} = this.canvas.getBoundingClientRect();
    this.player.currentTime = (event.clientX - left) / width * this.peaks.seconds;
    this.player.play().catch(() => null);  // the page tells that the media cannot be played
  }

  resize() {
    const scale = devicePixelRatio || 1, {width, height} = this.canvas.getBoundingClientRect();
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    this.bars = this.peaks.channels.map((channel) => columns(channel, this.canvas.width));
    this.draw();
  }

  /** One band for each channel: what was heard in the accent colour, the rest in a soft one. */
  draw() {
    if (!this.bars) return;
    const pen = this.canvas.getContext("2d"), {width, height} = this.canvas, style = getComputedStyle(this);
    const heard = this.player.currentTime / this.peaks.seconds * width, band = height / this.bars.length;
    pen.clearRect(0, 0, width, height);
    this.bars.forEach((bars, place) => {
      const middle = band * (place + 0.5);
      for (let x = 0; x < width; x += 1) {
        const [low, high] = [bars[2 * x], bars[2 * x + 1]];
        pen.fillStyle = x < heard ? style.getPropertyValue("--accent") : style.getPropertyValue("--wave");
        pen.fillRect(x, middle - high * band / 2, 1, Math.max(1, (high - low) * band / 2));
      }
    });
  }
}

customElements.define("wave-form", WaveForm);

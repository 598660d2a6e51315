// Stacked bars as SVG. The table beside it has the same figures, so that screen readers get its description only.

import {LitElement, html, nothing, svg} from "lit";

const [WIDTH, HEIGHT, FEW] = [1000, 100, 7];

class BarChart extends LitElement {
  /** *bars*: `{name, parts}`, a number for each of *names*; *unit*: of the numbers; *label*: what the chart shows. */
  static properties = {bars: {attribute: false}, names: {attribute: false}, unit: {}, label: {}};

  createRenderRoot() {
    return this;
  }

  render() {
    const sums = this.bars.map(({parts}) => parts.reduce((one, other) => one + other, 0)), most = Math.max(...sums, 0) || 1;
    const few = this.bars.length <= FEW;
    const each = WIDTH / this.bars.length, gap = this.bars.length > 120 ? 0 : each * 0.15, top = this.bars[sums.indexOf(most)]?.name;
    return html`<figure class="chart">
      <figcaption>${this.names.length === 1 ? nothing : this.names.map((name, number) => html`<span class="key"><svg viewBox="0 0 10 10" aria-hidden="true"><rect class=${`bar-${number % 6}`} width="10" height="10"></rect></svg>
          ${name}</span>`)}
        <span class="note">${this.unit}; the scale ends at ${most.toLocaleString("en", {maximumFractionDigits: 2})}</span></figcaption>
      <svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img"
        aria-label=${`${this.label}, ${this.unit}. ${top ? `The most is ${most.toLocaleString("en", {maximumFractionDigits: 2})}: ${top}.` : "There is none."} The table has all figures.`}>
        ${this.bars.map((bar, number) => this.bar(bar, number * each + gap / 2, each - gap, most))}</svg>
      <div class=${few ? "axis few" : "axis"} aria-hidden="true">${(few ? this.bars : [this.bars[0], this.bars.at(-1)]).map(({name}) => html`<span dir="auto">${name}</span>`)}</div></figure>`;
  }

  bar({name, parts}, x, width, most) {
    let below = 0;
    return parts.map((value, number) => {
      const height = value / most * HEIGHT, y = HEIGHT - below - height;
      below += height;
      return svg`<rect class=${`bar-${number % 6}`} x=${x} y=${y} width=${width} height=${height}><title>${`${name} ${this.names[number]}: ${value.toLocaleString("en", {maximumFractionDigits: 4})}`}</title></rect>`;
    });
  }
}

customElements.define("bar-chart", BarChart);

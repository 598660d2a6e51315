// Captions alone, in large letters, over one colour: another program can put them over a picture. The page of live captions sends them.

const CHANNEL = "sottovoce-captions";

class CaptionOverlay extends HTMLElement {
  connectedCallback() {
    const asked = new URLSearchParams(location.search);
    const back = asked.get("background");
    if (["green", "black", "transparent"].includes(back)) document.documentElement.dataset.background = back;
    this.lines = Math.min(Math.max(Number(asked.get("lines")) || 2, 1), 6);
    this.channel = new BroadcastChannel(CHANNEL);
    this.channel.onmessage = ({data}) => { if (data.recent) this.show(data); };
    this.channel.postMessage("hello");
    this.textContent = "Captions appear here while the page of live captions is open in this browser.";
  }

  show({recent, partial}) {
    const text = document.createElement("p"), open = document.createElement("span");
    const last = recent.at(-1);
    open.className = "partial";
    open.textContent = partial;
    text.dir = "auto";
    text.append(`${last?.speaker ? `${last.speaker}: ` : ""}${last?.text ?? ""} `, open);
    this.style.setProperty("--lines", this.lines);
    this.replaceChildren(text);
    this.scrollTop = this.scrollHeight;
  }
}

customElements.define("caption-overlay", CaptionOverlay);

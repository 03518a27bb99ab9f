"use strict";

// Fetches a clip's frames as they are stored: JPEGs end to end, their sizes in a header.
async function framesOf(clipId) {
  const answer = await fetch(`/frames?id=${encodeURIComponent(clipId)}`);
  if (!answer.ok) throw new Error(await answer.text());
  const sizes = JSON.parse(answer.headers.get("x-frame-sizes"));
  const content = await answer.arrayBuffer();
  let begin = 0;
  const jpegs = sizes.map((size) => {
    const jpeg = new Blob([content.slice(begin, begin + size)], { type: "image/jpeg" });
    begin += size;
    return jpeg;
  });
  return Promise.all(jpegs.map((jpeg) => createImageBitmap(jpeg)));
}

// Plays one clip over its picture; what is decoded is let go when it stops for good.
class Player {
  constructor(element) {
    this.element = element;
    this.index = 0;
    this.frames = null;
    this.timer = 0;
    this.wanted = false;
  }

  async load() {
    if (this.frames) return;
    this.loading ??= framesOf(this.element.dataset.clip);
    const frames = await this.loading;
    if (this.frames) return;
    this.frames = frames;
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.frames[0].width;
    this.canvas.height = this.frames[0].height;
    this.element.querySelector(".picture").append(this.canvas);
  }

  show(index) {
    const count = this.frames.length;
    this.index = (index + count) % count;
    this.canvas.getContext("2d").drawImage(this.frames[this.index], 0, 0);
    const output = this.element.querySelector("output");
    if (output) output.textContent = `frame ${this.index} of ${count}`;
    this.element.dataset.shown = this.index;
  }

  async play() {
    this.wanted = true;
    await this.load();
    if (!this.wanted || this.timer) return;
    this.show(this.index);
    const pause = 1000 / Math.min(60, Math.max(1, Number(this.element.dataset.fps)));
    this.timer = setInterval(() => this.show(this.index + 1), pause);
  }

  pause() {
    this.wanted = false;
    clearInterval(this.timer);
    this.timer = 0;
  }

  async step(by) {
    this.pause();
    await this.load();
    this.show(this.index + by);
  }

  close() {
    this.pause();
    this.canvas?.remove();
    this.frames?.forEach((frame) => frame.close());
    this.frames = this.loading = null;
    this.index = 0;
  }
}

const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;

function playWhileLookedAt(card) {
  if (Number(card.dataset.frames) === 0) return;
  const player = new Player(card);
  const play = () => player.play().catch(() => {});
  const stop = () => player.close();
  if (!isCalm) card.addEventListener("mouseenter", play);
  card.addEventListener("mouseleave", stop);
  if (!isCalm) card.addEventListener("focus", play);
  card.addEventListener("blur", stop);
}

// Moves the focus between cards as they lie: by one, or to the row above or below.
function moveFocus(cards, key) {
  const at = cards.indexOf(document.activeElement);
  if (at < 0) {
    cards[0]?.focus();
    return;
  }
  const top = (card) => card.getBoundingClientRect().top;
  const left = (card) => card.getBoundingClientRect().left;
  const sameColumn = (card) => Math.abs(left(card) - left(cards[at])) < 4;
  const next = {
    ArrowLeft: () => cards[at - 1],
    ArrowRight: () => cards[at + 1],
    ArrowUp: () => cards.slice(0, at).reverse().find(sameColumn),
    ArrowDown: () => cards.slice(at + 1).find(sameColumn),
  }[key]();
  next?.focus();
}

async function decide(button) {
  const { clip, label } = button.dataset;
  const answer = await fetch("/corrections", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ clip_id: clip, label }),
  });
  if (!answer.ok) {
    document.getElementById("decision").textContent = await answer.text();
    return;
  }
  document.querySelector('a[rel="next"]').click();
}

function main() {
  const cards = [...document.querySelectorAll(".card")];
  cards.forEach(playWhileLookedAt);
  const choices = [...document.querySelectorAll("button[data-key]")];
  choices.forEach((button) => button.addEventListener("click", () => decide(button)));
  const element = document.querySelector(".player");
  const player = element ? new Player(element) : null;
  if (player && !isCalm) player.play().catch(() => {});
  element?.addEventListener("click", () => (player.timer ? player.pause() : player.play()));
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (typing && event.key === "Escape") event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target.closest("button, summary");
    const rel = { n: "next", p: "prev", u: "up" }[event.key];
    if (rel) document.querySelector(`a[rel="${rel}"]`)?.click();
    else if (event.key === "/") document.querySelector("input[type=search]")?.focus();
    else if (event.key === " " && player && !onButton) {
      if (player.timer) player.pause();
      else player.play();
    } else if (event.key.startsWith("Arrow") && cards.length) moveFocus(cards, event.key);
    else if (event.key === "ArrowLeft" && player) player.step(-1);
    else if (event.key === "ArrowRight" && player) player.step(1);
    else {
      choices.find((button) => button.dataset.key === event.key)?.click();
      return;
    }
    event.preventDefault();
  });
}

main();

// A deck of 1280 × 720: what does not fit on a slide goes on on the next one.

import Reveal from "./reveal/reveal.esm.js";

const WIDTH = 1280, HEIGHT = 720, BOTTOM = 44, SMALLEST = 0.6; // of what is too tall by itself

/** Go on with a new slide before the block that would end below the edge. */
function paginate(slide) {
  const made = slide.cloneNode(false), blocks = [...slide.querySelectorAll(":scope > .block")];
  const end = slide.getBoundingClientRect().top + HEIGHT - BOTTOM;
  const first = blocks.findIndex((block, i) => i > 0 && block.getBoundingClientRect().bottom > end);
  if (first < 0) return;
  made.append(slide.firstElementChild.cloneNode(true), ...blocks.slice(first));
  slide.after(made);
  paginate(made);
}

/** Make what is too wide or too tall by itself smaller, and where it would be too small, let it scroll. */
function fit(slide) {
  const place = slide.getBoundingClientRect(), scale = place.width / WIDTH || 1;
  for (const wide of slide.querySelectorAll(".formula, pre")) {
    wide.style.zoom = 1;
    if (wide.clientWidth) wide.style.zoom = Math.max(SMALLEST, Math.min(1, wide.clientWidth / wide.scrollWidth));
  }
  for (const block of slide.querySelectorAll(":scope > .block")) {
    const room = HEIGHT - BOTTOM - (block.getBoundingClientRect().top - place.top) / scale;
    block.style.zoom = 1;
    const panels = [...block.querySelectorAll(".mtl-panels > svg")], edge = (node) => Math.round(node.getBoundingClientRect().top);
    panels.forEach((panel) => { panel.style.maxHeight = ""; });
    const there = panels.filter((panel) => panel.style.display !== "none"), columns = there.slice(0, there.length === 4 ? 2 : 3);
    if (there.length) there[0].parentElement.style.cssText = `display: grid; grid-template-columns: ${columns.map((panel) => `minmax(0, ${panel.viewBox.baseVal.width}fr)`).join(" ")}`;
    const height = () => block.getBoundingClientRect().height / scale, rows = new Set(there.map(edge)).size;
    const less = there.length ? (height() - room) / rows : 0; // panels fill the width, or the height
    if (less > 0) there.forEach((panel) => { panel.style.maxHeight = `${panel.getBoundingClientRect().height / scale - less}px`; });
    const tall = height();
    if (tall <= room + 1) continue;
    block.style.zoom = Math.max(SMALLEST, room / tall);
    if (room / tall < SMALLEST) block.style.maxHeight = `${room / SMALLEST}px`;
  }
}

await document.fonts.ready;
await Promise.all([...document.images].map((image) => { image.loading = "eager"; return image.decode().catch(() => {}); }));
document.body.classList.add("measured");
document.querySelectorAll(".slides > section").forEach(paginate);
document.body.classList.remove("measured");
const keys = (event) => !event?.target?.closest?.(".mtl, input, textarea, button, summary");
const deck = window.deck = new Reveal(document.querySelector(".reveal"), {
  width: WIDTH, height: HEIGHT, margin: 0, minScale: 0.1, maxScale: 4, center: false, hash: true, transition: "none",
  navigationMode: "linear", slideNumber: "c/t", keyboardCondition: keys, touch: false,
});
await deck.initialize();
const show = () => {
  const slide = deck.getCurrentSlide();
  fit(slide);
  new ResizeObserver(() => fit(slide)).observe(slide.lastElementChild); // an explorable comes alive after its slide
};
deck.on("slidechanged", show);
show();
document.documentElement.dataset.slides = deck.getTotalSlides();

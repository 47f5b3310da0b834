// The drawing kit: what explorables share. Panels of SVG that wrap on a phone, handles that are
// dragged or moved with arrow keys, sliders, buttons, undo, and a sentence that is read aloud.
// Events only change the state; one drawing a frame moves nodes that were made once.

export const BLUE = "#0072B2", VERMILION = "#D55E00", GREEN = "#009E73", PURPLE = "#CC79A7";
export const ORANGE = "#E69F00", SKY = "#56B4E9", GREY = "#808080";
export const INK = "var(--mtl-ink)", FAINT = "var(--mtl-faint)", PAPER = "var(--mtl-paper)";
export const TASK_COLOURS = {
  digit: BLUE, box: VERMILION, mask: GREEN, twin: SKY, left: PURPLE, right: ORANGE,
};
const DASHES = [undefined, "7 4", "7 3 2 3", "2 4"];
/** A colour for each task, its own or that of its place; and with a line, as attributes. */
export const coloursOf = (tasks) => tasks.map((task, i) => TASK_COLOURS[task] ?? [BLUE, VERMILION, INK, GREY][i % 4]);
export const looksOf = (tasks) => coloursOf(tasks).map((stroke, i) => ({ stroke, "stroke-dasharray": DASHES[i % 4] }));
const STYLE = `
.mtl { --mtl-ink: var(--vscode-editor-foreground, var(--jp-content-font-color1, var(--pst-color-text-base, #000)));
  --mtl-paper: var(--vscode-editor-background, var(--jp-layout-color0, var(--pst-color-background, #fff)));
  --mtl-faint: color-mix(in srgb, var(--mtl-ink) 14%, transparent);
  color: var(--mtl-ink); background: var(--mtl-paper); font: 15px/1.4 system-ui, sans-serif;
  max-width: 920px; container-type: inline-size; }
.mtl-row { display: flex; flex-wrap: wrap; gap: 6px 16px; align-items: center; margin: 4px 0; }
.mtl-panels { align-items: flex-start; } .mtl-row > svg, .mtl-row > img { min-width: 0; max-width: 100%; display: block; overflow: hidden;
  touch-action: pan-y; font: 13px system-ui, sans-serif; fill: var(--mtl-ink); }
.mtl label { display: inline-flex; align-items: center; gap: 6px; font-size: 14px; }
.mtl input[type=range] { width: 150px; min-height: 32px; accent-color: ${BLUE}; }
.mtl output { min-width: 3.4em; font-variant-numeric: tabular-nums; }
.mtl button, .mtl select { font: inherit; font-size: 14px; min-height: 32px; padding: 2px 12px;
  color: var(--mtl-ink); background: var(--mtl-faint); border: 1px solid ${GREY};
  border-radius: 6px; cursor: pointer; }
.mtl button[aria-pressed=true] { background: ${BLUE}; color: #fff; border-color: ${BLUE}; }
.mtl button:disabled { opacity: 0.45; cursor: default; }
.mtl-say { margin: 4px 8px; min-height: 2.8em; }
.mtl-part { container-type: normal; background: none; } .mtl-row:empty { display: none; }
.mtl-grip { cursor: grab; touch-action: none; outline: none; }
.mtl-grip:active { cursor: grabbing; }
.mtl-grip:focus-visible .mtl-ring { stroke-width: 3; stroke-opacity: 1; }
`;
const SVG = "http://www.w3.org/2000/svg";
const NARROW = 440; // no panel is made narrower; on a smaller screen it shrinks with its words
const GRIP = 16; // radius of a handle in pixels on the screen
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Of words that stand on lines. */
export const HALO = { stroke: PAPER, "stroke-width": 3, "paint-order": "stroke" };
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
export const dot = (a, b) => { let sum = 0; for (let i = 0; i < a.length; i++) sum += a[i] * b[i]; return sum; }; // gradients are long
export const norm = (a) => Math.hypot(...a);
/** p a + q b + …: the sum of vectors with weights, given by turns. */
export function mix(...parts) {
  const sum = parts[1].map(() => 0);
  for (let k = 0; k < parts.length; k += 2) parts[k + 1].forEach((x, i) => { sum[i] += parts[k] * x; });
  return sum;
}
/** A number in words as Python's format would write it, with a true minus sign. */
export const fixed = (value, digits = 2) => {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
};
/** A number as it is, and in three digits, with a true minus sign. */
const plain = (value) => String(value).replace("-", "−");
export const short = (value) => plain(Number(value.toPrecision(3)));
/** A colour for words: nearer to the ink, so that it can be read on paper of either kind. */
export const inked = (colour) => `color-mix(in srgb, ${colour} 72%, ${INK})`;
/** A power of ten by its exponent. */
export const power = (exponent) => short(10 ** exponent);

/** Set attributes of a node; what is undefined is removed. */
export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined) node.removeAttribute(name);
    else node.setAttribute(name, value);
  }
  return node;
}

/** Make a node of SVG in a parent. */
export function draw(name, attributes, parent, text) {
  const node = set(document.createElementNS(SVG, name), attributes);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}

/** Round numbers for an axis, from low to high, about so many. */
export function ticks(low, high, count = 5) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((k) => k * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** An SVG with a plane of numbers in it. */
class Panel {
  constructor(view, { width = 430, height = 360, x = [0, 1], y = [0, 1], title = "", pad = [46, 14, 34, 44], equal = false, label }) {
    const [left, right, top, bottom] = pad;
    width = Math.min(width, Math.max(NARROW, view.root.clientWidth || innerWidth)); // on a phone words stay words
    this.view = view;
    this.svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label ?? title }, view.panels);
    this.svg.style.flex = `${width} 1 ${0.72 * width}px`;
    this.svg.style.maxWidth = `min(100%, ${1.1 * width}px)`;
    this.area = { left, top, width: width - left - right, height: height - top - bottom };
    this.x = x; this.y = y; this.equal = equal;
    if (title) this.title = draw("text", { x: 8, y: 18, "font-weight": 700, "font-size": 14 }, this.svg, title);
    const clip = `mtl-${Math.random().toString(36).slice(2)}`;
    const shape = draw("clipPath", { id: clip }, draw("defs", {}, this.svg));
    draw("rect", { x: left, y: top, width: this.area.width, height: this.area.height }, shape);
    this.back = draw("g", {}, this.svg);
    this.inside = draw("g", { "clip-path": `url(#${clip})` }, this.svg);
    this.words = draw("g", { "pointer-events": "none" }, this.svg);
    this.above = draw("g", {}, this.svg);
    this.grips = [];
  }

  /** Pixels of the drawing for a point of the plane. */
  at([x, y]) {
    const { left, top, width, height } = this.area;
    const sx = width / (this.x[1] - this.x[0]), sy = height / (this.y[1] - this.y[0]);
    const s = Math.min(sx, sy);
    const [kx, ky] = this.equal ? [s, s] : [sx, sy];
    return [left + (width - kx * (this.x[1] - this.x[0])) / 2 + kx * (x - this.x[0]),
      top + height - (height - ky * (this.y[1] - this.y[0])) / 2 - ky * (y - this.y[0])];
  }

  /** The point of the plane under a pointer. */
  under(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    const [x0, y0] = this.at([0, 0]), [x1, y1] = this.at([1, 1]);
    return [(x - x0) / (x1 - x0), (y - y0) / (y1 - y0)];
  }

  /** Axes with labels and ticks; called again, they move where the plane has changed. */
  axes(xLabel, yLabel, { xTicks, yTicks, format = plain, yFormat = format } = {}) {
    const wanted = JSON.stringify([this.x, this.y, xLabel, yLabel, xTicks, yTicks]);
    if (wanted === this.axed) return;
    this.axed = wanted;
    this.back.replaceChildren();
    const { left, top, width, height } = this.area, base = top + height;
    for (const value of xTicks ?? ticks(...this.x)) {
      const [px] = this.at([value, this.y[0]]);
      draw("line", { x1: px, x2: px, y1: top, y2: base, stroke: FAINT }, this.back);
      draw("text", { x: px, y: base + 16, "text-anchor": "middle", "font-size": 12 }, this.back, format(value));
    }
    for (const value of yTicks ?? ticks(...this.y)) {
      const [, py] = this.at([this.x[0], value]);
      draw("line", { x1: left, x2: left + width, y1: py, y2: py, stroke: FAINT }, this.back);
      draw("text", { x: left - 6, y: py + 4, "text-anchor": "end", "font-size": 12 }, this.back, yFormat(value));
    }
    if (xLabel) draw("text", { x: left + width / 2, y: base + 34, "text-anchor": "middle" }, this.back, xLabel);
    if (yLabel) draw("text", { x: 12, y: top + height / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${top + height / 2})` }, this.back, yLabel);
  }

  /** A line through points: `curve(points)` moves it; null breaks it. */
  curve(colour, attributes = {}) {
    const path = draw("path", { fill: "none", stroke: colour, "stroke-width": 2, "stroke-linejoin": "round", ...attributes }, this.inside);
    return (points, changed) => {
      let pen = "M", d = "";
      for (const point of points) {
        if (point === null) { pen = "M"; continue; }
        const [x, y] = this.at(point);
        d += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
        pen = "L";
      }
      set(path, { d, ...changed });
    };
  }

  /** Lines on which a function of the plane has some values; drawn once. */
  contours(value, levels, { cells = 90, colour = GREY, width = 0.8 } = {}) {
    const grid = (low, high) => Array.from({ length: cells + 1 }, (_, i) => low + ((high - low) * i) / cells);
    const xs = grid(...this.x), ys = grid(...this.y), z = ys.map((y) => xs.map((x) => value(x, y)));
    let d = "";
    for (let r = 0; r < cells; r++) for (let c = 0; c < cells; c++) {
      const corners = [[c, r], [c + 1, r], [c + 1, r + 1], [c, r + 1]];
      for (const level of levels) {
        const cut = corners.flatMap(([i, j], k) => {
          const [m, n] = corners[(k + 1) % 4], a = z[j][i] - level, b = z[n][m] - level;
          if (a < 0 === b < 0) return [];
          const t = a / (a - b);
          return [this.at([xs[i] + t * (xs[m] - xs[i]), ys[j] + t * (ys[n] - ys[j])])];
        });
        for (let k = 0; k + 1 < cut.length; k += 2) d += `M${cut[k].map((v) => v.toFixed(1)).join(" ")}L${cut[k + 1].map((v) => v.toFixed(1)).join(" ")}`;
      }
    }
    this.lines ??= draw("path", { fill: "none", stroke: colour, "stroke-width": width, opacity: 0.7 }, this.inside);
    set(this.lines, { d });
  }

  /** Names right of the plane, as `ends(names, heights, colours)`; moved apart where they overlap. */
  ends() {
    const nodes = [];
    return (names, heights, colours) => {
      while (nodes.length < names.length) nodes.push(draw("text", { x: this.area.left + this.area.width + 6, "font-weight": 700, "font-size": 13 }, this.above));
      nodes.slice(names.length).forEach((node) => { node.textContent = ""; });
      let below = -Infinity;
      for (const [y, i] of names.map((_, i) => [this.at([0, heights[i]])[1] + 4, i]).sort((a, b) => a[0] - b[0])) {
        below = Math.max(y, below + 15);
        nodes[i].textContent = names[i];
        set(nodes[i], { y: below, fill: inked(colours[i]) });
      }
    };
  }

  /** A filled area between points. */
  patch(colour, opacity) {
    const path = draw("path", { fill: colour, "fill-opacity": opacity }, this.inside);
    return (points) => set(path, { d: points.length ? `M${points.map((p) => this.at(p).join(" ")).join("L")}Z` : "" });
  }

  dot(colour, radius = 5, attributes = {}) {
    const node = draw("circle", { r: radius, fill: colour, ...attributes }, this.above);
    return (point, changed) => {
      const [cx, cy] = this.at(point);
      set(node, { cx, cy, ...changed });
    };
  }

  text(attributes, words = "") {
    const node = draw("text", attributes, this.above, words);
    return (point, changed) => {
      if (point) { const [x, y] = this.at(point); set(node, { x, y }); }
      if (changed !== undefined) node.textContent = changed;
    };
  }

  /** An arrow from a point, the origin if left out, with its name at the tip, or where it leaves the plane; null hides it. */
  arrow(name, colour, width = 2.5, { dash } = {}) {
    const group = draw("g", {}, this.inside);
    const line = draw("line", { stroke: colour, "stroke-width": width, "stroke-dasharray": dash }, group);
    const head = draw("polygon", { fill: colour }, group);
    const label = draw("text", { fill: inked(colour), "font-weight": 700, "text-anchor": "middle", "dominant-baseline": "middle", ...HALO }, this.words, name);
    const { left, top, width: wide, height } = this.area;
    const stay = (from, to, low, high) => (to > high ? (high - from) / (to - from) : to < low ? (low - from) / (to - from) : 1);
    return (vector, from = [0, 0]) => {
      for (const node of [group, label]) set(node, { display: vector ? undefined : "none" });
      if (!vector) return;
      const [x0, y0] = this.at(from), [x, y] = this.at(mix(1, from, 1, vector));
      const length = Math.hypot(x - x0, y - y0);
      if (length < 2) {
        set(head, { points: "" });
        set(line, { x1: x0, y1: y0, x2: x0, y2: y0 });
        set(label, { x: x0 + 26, y: y0 + 16 });
        label.textContent = name && `${name} = 0`;
        return;
      }
      const u = (x - x0) / length, w = (y - y0) / length, h = Math.min(4.5 * Math.sqrt(width) + 4, length), s = 0.42 * h;
      set(line, { x1: x0, y1: y0, x2: x - 0.8 * u * h, y2: y - 0.8 * w * h });
      set(head, { points: `${x},${y} ${x - u * h - w * s},${y - w * h + u * s} ${x - u * h + w * s},${y - w * h - u * s}` });
      const end = Math.min(stay(x0, x + 18 * u, left + 26, left + wide - 26), stay(y0, y + 14 * w, top + 9, top + height - 9)), t = end < 1 ? 0.88 * end : 1;
      set(label, { x: x0 + t * (x + 18 * u - x0), y: y0 + t * (y + 14 * w - y0) });
      label.textContent = name;
    };
  }

  /** A handle that is dragged, or moved with the arrow keys.
   *  @param place called with the new point of the plane, which it may bend to its rules, and whether
   *      a pointer holds it; `drop` is called when the pointer lets go
   *  @param words the point in words, for those who do not see it */
  handle(label, colour, place, { step = 0.1, words = (p) => p.map((v) => fixed(v)).join(", "), along = "xy", drop } = {}) {
    const grip = draw("g", { class: "mtl-grip", tabindex: 0, role: "slider", "aria-label": label }, this.above);
    const ring = draw("circle", { class: "mtl-ring", fill: colour, "fill-opacity": 0.14, stroke: colour, "stroke-opacity": 0.55, "stroke-width": 1.5 }, grip);
    this.grips.push(ring);
    this.scale();
    let point = [0, 0], offset = [0, 0];
    grip.addEventListener("pointerdown", (event) => {
      grip.setPointerCapture(event.pointerId);
      event.preventDefault();
      grip.focus({ focusVisible: false });
      offset = mix(1, point, -1, this.under(event)); // so that it does not jump to the pointer
      this.view.remember();
    });
    grip.addEventListener("pointermove", (event) => {
      if (grip.hasPointerCapture(event.pointerId)) place(mix(1, this.under(event), 1, offset), true);
    });
    if (drop) grip.addEventListener("lostpointercapture", drop);
    grip.addEventListener("keydown", (event) => {
      const way = ARROWS[event.key];
      if (!way || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation(); // JupyterLab's own arrow keys
      this.view.remember();
      place(mix(1, point, event.shiftKey ? step * 5 : step, way));
    });
    return (now, shown = true) => {
      point = now;
      const [x, y] = this.at(now);
      set(grip, { transform: `translate(${x} ${y})`, display: shown ? undefined : "none",
        "aria-valuetext": words(now), "aria-valuenow": now[along === "y" ? 1 : 0].toFixed(3) });
    };
  }

  show(shown) { this.svg.style.display = shown ? "block" : "none"; }

  /** Keep handles as large on the screen as a finger needs. */
  scale() {
    const width = this.svg.getBoundingClientRect().width || this.svg.viewBox.baseVal.width;
    const factor = Math.max(1, this.svg.viewBox.baseVal.width / width);
    this.grips.forEach((ring) => set(ring, { r: GRIP * factor }));
  }
}

/** What an explorable builds with: panels and controls whose changes go to the model. */
class View {
  constructor(model, el, names, hand) {
    this.model = model; this.names = names; this.hand = hand; this.past = []; this.heard = []; this.due = 0;
    this.root = document.createElement("div");
    this.root.className = "mtl";
    const style = document.createElement("style");
    style.textContent = STYLE;
    this.controls = this.row(); this.panels = this.row();
    this.panels.classList.add("mtl-panels");
    this.below = this.row();
    this.say = document.createElement("p");
    this.say.className = "mtl-say";
    this.say.setAttribute("aria-live", "polite");
    this.root.append(style, this.controls, this.panels, this.say, this.below);
    el.appendChild(this.root);
    this.first = this.state(hand);
    this.all = [];
  }

  row() { return Object.assign(document.createElement("div"), { className: "mtl-row" }); }

  state(names = this.names) {
    return Object.fromEntries(names.map((name) => [name, this.model.get(name)]));
  }

  /** Keep the state as one to come back to; called when a hand begins to change it. */
  remember() {
    const now = JSON.stringify(this.state(this.hand));
    if (this.past.at(-1) !== now) this.past.push(now);
    if (this.past.length > 200) this.past.shift();
  }

  /** Change the state; the model is told once a frame. */
  change(values) {
    for (const [name, value] of Object.entries(values)) this.model.set(name, value);
    this.due ||= requestAnimationFrame(() => { this.due = 0; this.model.save_changes(); });
  }

  undo() {
    const now = JSON.stringify(this.state(this.hand));
    while (this.past.length && this.past.at(-1) === now) this.past.pop();
    if (this.past.length) this.change(JSON.parse(this.past.pop()));
  }

  panel(options) {
    const panel = new Panel(this, options);
    this.all.push(panel);
    return panel;
  }

  button(words, act, { row = this.controls, label } = {}) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: words });
    if (label) button.setAttribute("aria-label", label);
    button.onclick = () => act(button);
    row.append(button);
    return button;
  }

  /** Undo, and the state of the beginning. */
  history() {
    this.button("Undo", () => this.undo());
    this.button("As it was", () => { this.remember(); this.change(this.first); });
  }

  /** A button that stays down: a trait that is true or false. */
  toggle(words, name) {
    const button = this.button(words, () => { this.remember(); this.change({ [name]: !this.model.get(name) }); });
    this.follow(() => set(button, { "aria-pressed": Boolean(this.model.get(name)) }), [name]);
    return button;
  }

  /** Boxes to tick in a row: a trait that is a list of words, or of what they stand for. */
  checks(row, name, options, words = options) {
    options.forEach((option, i) => {
      const box = document.createElement("input"), label = document.createElement("label");
      box.type = "checkbox";
      box.onchange = () => {
        this.remember();
        this.change({ [name]: options.filter((other) => (other === option ? box.checked : this.model.get(name).includes(other))) });
      };
      label.append(box, words[i]);
      row.append(label);
      this.follow(() => { box.checked = this.model.get(name).includes(option); }, [name]);
    });
  }

  /** A list of words to choose from: a trait that is one of them. */
  choose(words, name, options) {
    const label = document.createElement("label"), list = document.createElement("select");
    for (const option of options) list.add(new Option(option, option));
    list.onchange = () => { this.remember(); this.change({ [name]: list.value }); };
    label.append(words, list);
    this.controls.append(label);
    this.follow(() => { list.value = this.model.get(name); }, [name]);
    return list;
  }

  /** A slider; with `log` it moves in powers of ten, with `place` one number of a trait that is a list. */
  slider(words, name, low, high, { step = 0.01, log = false, format = (v) => fixed(v), row = this.controls, place } = {}) {
    const now = () => (place === undefined ? this.model.get(name) : this.model.get(name)[place]);
    const label = document.createElement("label"), input = document.createElement("input");
    const shown = document.createElement("output");
    Object.assign(input, { type: "range", min: log ? Math.log10(low) : low, max: log ? Math.log10(high) : high, step });
    input.addEventListener("pointerdown", () => this.remember());
    input.addEventListener("keydown", (event) => { event.stopPropagation(); this.remember(); });
    input.oninput = () => {
      const value = log ? Number((10 ** Number(input.value)).toPrecision(3)) : Number(input.value);
      this.change({ [name]: place === undefined ? value : this.model.get(name).map((old, i) => (i === place ? value : old)) });
    };
    label.append(words, input, shown);
    row.append(label);
    this.follow(() => {
      const value = now();
      if (document.activeElement !== input || !input.matches(":active")) input.value = log ? Math.log10(value) : value;
      input.setAttribute("aria-valuetext", format(value));
      shown.textContent = format(value);
    }, [name]);
    return input;
  }

  /** Call a function now, and whenever one of the traits changes. */
  follow(act, names) {
    for (const name of names) this.listen(`change:${name}`, act);
    act();
  }

  /** Call a function at an event of the model, as long as the picture is there. */
  listen(event, act) {
    this.model.on(event, act);
    this.heard.push([event, act]);
  }
}

const SILENCE = 8; // seconds without a word after which a kernel that trains is taken for busy or dead

/** For what trains in a kernel: buttons by what they ask of it, a sign twice a second that somebody
 *  watches, and a sentence where no kernel answers. Without a kernel the buttons rest. */
export function kernelOf(view, acts, heard) {
  const { model } = view, there = !(model instanceof Model);
  const tell = (act) => model.send(typeof act === "string" ? { do: act } : act);
  const buttons = acts.map(([words, act, label]) => view.button(words, () => tell(typeof act === "function" ? act() : act), { label }));
  buttons.forEach((button) => { button.disabled = !there; });
  let last = performance.now();
  const hear = () => { last = performance.now(); };
  view.follow(hear, heard);
  view.listen("msg:custom", hear);
  const beat = setInterval(() => {
    if (!there || !model.get("running")) return hear();
    if (!document.hidden) tell("beat");
    const silent = Math.round((performance.now() - last) / 1000);
    if (silent >= SILENCE) view.say.textContent = `No word from the kernel for ${silent} seconds: it is busy with another cell, or it has died. If it has, restart it and run this cell again.`;
  }, 500);
  view.end = () => clearInterval(beat);
  return { buttons, rests: !there, note: there ? "" : " It trains in a notebook; here you see the run with which the lesson begins." };
}

/** Make a module of anywidget from a picture and its state.
 *  @param names the traits that the picture shows
 *  @param hand those of them that a hand moves, for Undo; the kernel's own are not taken back
 *  @param build builds the nodes with a View; gives what moves them: gets the state, gives the sentence */
export function explorable({ names, hand = names, build }) {
  return {
    render({ model, el }) {
      const view = new View(model, el, names, hand);
      const paint = build(view);
      let due = 0;
      const now = () => {
        due = 0;
        view.say.textContent = paint(view.state());
        view.root.dataset.drawn = String(Number(view.root.dataset.drawn ?? 0) + 1);
      };
      const ask = view.ask = () => { due ||= requestAnimationFrame(now); };
      for (const name of names) view.listen(`change:${name}`, ask);
      const sized = new ResizeObserver(() => view.all.forEach((panel) => panel.scale()));
      sized.observe(view.root);
      now();
      return () => {
        sized.disconnect();
        cancelAnimationFrame(due);
        for (const [event, act] of view.heard) model.off(event, act);
        view.end?.();
      };
    },
  };
}

/** Stands in for the kernel's model on a page without one. */
export class Model {
  constructor(state) { this.values = { ...state }; this.listeners = {}; }
  get(name) { return this.values[name]; }
  set(name, value) {
    if (JSON.stringify(value) === JSON.stringify(this.values[name])) return;
    this.values[name] = value;
    (this.listeners[`change:${name}`] ?? []).forEach((act) => act());
  }
  save_changes() {}
  send() {}
  on(event, act) { (this.listeners[event] ??= []).push(act); }
  off(event, act) { this.listeners[event] = (this.listeners[event] ?? []).filter((other) => other !== act); }
}

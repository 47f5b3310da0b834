// Draw a digit. Moved: the pen. What answers: three tasks of one trained network, in the page: which
// digit, where its box, which pixels are ink.
import { BLUE, VERMILION, GREEN, GREY, draw, explorable, fixed, set } from "./kit.js";
import { HEADS, SIDE, Net } from "./net.js";

const FINE = 4; // dots of the sheet for each pixel of the image

/** Numbers of 16 bits, in base64, as 64-bit ones. */
export function halves(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), words = new Uint16Array(bytes.buffer);
  return Float64Array.from(words, (h) => {
    const sign = h & 0x8000 ? -1 : 1, exponent = (h >> 10) & 31, part = h & 1023;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + part / 1024) : 2 ** -14 * (part / 1024));
  });
}

/** The trained network of a state. */
export const network = ({ width, tasks, numbers }) => new Net(width, tasks, 1).load(halves(numbers));

/** The image (784) that strokes of a thickness leave on a sheet. */
export function ink(strokes, thickness) {
  const sheet = new OffscreenCanvas(SIDE * FINE, SIDE * FINE), pen = sheet.getContext("2d", { willReadFrequently: true });
  pen.fillRect(0, 0, SIDE * FINE, SIDE * FINE);
  Object.assign(pen, { strokeStyle: "#fff", lineWidth: thickness * FINE, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    pen.beginPath();
    stroke.forEach(([x, y], k) => (k ? pen.lineTo(x * FINE, y * FINE) : pen.moveTo(x * FINE, y * FINE)));
    if (stroke.length === 1) pen.lineTo(stroke[0][0] * FINE + 0.01, stroke[0][1] * FINE);
    pen.stroke();
  }
  const dots = pen.getImageData(0, 0, SIDE * FINE, SIDE * FINE).data, image = new Float64Array(SIDE * SIDE);
  for (let y = 0; y < SIDE * FINE; y++) for (let x = 0; x < SIDE * FINE; x++) {
    image[Math.floor(y / FINE) * SIDE + Math.floor(x / FINE)] += dots[4 * (y * SIDE * FINE + x)] / 255 / FINE ** 2;
  }
  return image;
}

/** What the network answers to an image: shares of the ten digits, a box, and the ink. */
export function answer(net, image) {
  const out = net.forward(image, 1), top = Math.max(...out.digit), powers = Array.from(out.digit, (v) => Math.exp(v - top));
  const total = powers.reduce((a, b) => a + b);
  return { digit: powers.map((p) => p / total), box: Array.from(out.box), mask: Array.from(out.mask, (v) => v > 0) };
}

/** The sentence below the picture. */
export function describe({ strokes }, { digit, box, mask }, image) {
  if (!strokes.length) return "Draw a digit, small or large, anywhere: three tasks of one network answer with every move.";
  const order = digit.map((_, i) => i).sort((a, b) => digit[b] - digit[a]), share = (i) => `${(100 * digit[i]).toFixed(0)}%`;
  const inked = Array.from(image, (v) => v > 0.5), both = inked.filter((v, i) => v && mask[i]).length, either = inked.filter((v, i) => v || mask[i]).length;
  return `Digit: ${order[0]} (${share(order[0])}), then ${order[1]} (${share(order[1])}). Box: from ${fixed(box[0])}, ${fixed(box[1])} to ${fixed(box[2])}, ${fixed(box[3])}. ` +
    `Mask: it shares ${either ? ((100 * both) / either).toFixed(0) : 0}% with your ink.`;
}

function build(view) {
  view.history();
  view.button("Clear", () => { view.remember(); view.change({ strokes: [] }); });
  view.slider("thickness", "thickness", 1, 5, { step: 0.1, format: (t) => `${fixed(t, 1)} pixels` });
  view.toggle("Show the mask", "mask");
  const pad = view.panel({ title: "Draw here", x: [0, SIDE], y: [SIDE, 0], width: 430, height: 460, pad: [10, 10, 30, 10] });
  const bars = view.panel({ title: "Which digit?", x: [0, 1], y: [10, 0], width: 450, height: 460, pad: [34, 60, 30, 40] });
  bars.axes("share", "", { yTicks: [], format: (v) => `${Math.round(100 * v)} %` });
  const { left, top, width, height } = pad.area;
  const paper = draw("rect", { x: left, y: top, width, height, fill: "#000", style: "touch-action:none;cursor:crosshair" }, pad.back);
  const lines = draw("g", { fill: "none", stroke: "#fff", "stroke-linecap": "round", "stroke-linejoin": "round", "pointer-events": "none" }, pad.inside);
  const cells = draw("path", { fill: GREEN, "fill-opacity": 0.45, "pointer-events": "none" }, pad.inside);
  const frame = draw("rect", { fill: "none", stroke: VERMILION, "stroke-width": 3, "pointer-events": "none" }, pad.inside);
  const rows = Array.from({ length: HEADS.digit }, (_, i) => ({
    bar: draw("rect", { x: bars.area.left, y: bars.at([0, i])[1] + 4, height: bars.area.height / 10 - 8, fill: BLUE }, bars.inside),
    name: draw("text", { x: bars.area.left - 8, y: bars.at([0, i + 0.5])[1] + 5, "text-anchor": "end", "font-weight": 700 }, bars.above, String(i)),
    share: draw("text", { y: bars.at([0, i + 0.5])[1] + 5, "font-size": 12 }, bars.above),
  }));
  const point = (event) => pad.under(event).map((v) => Number(Math.min(SIDE, Math.max(0, v)).toFixed(2)));
  paper.addEventListener("pointerdown", (event) => {
    paper.setPointerCapture(event.pointerId);
    event.preventDefault();
    view.remember();
    view.change({ strokes: [...view.model.get("strokes"), [point(event)]] });
  });
  paper.addEventListener("pointermove", (event) => {
    if (!paper.hasPointerCapture(event.pointerId)) return;
    const strokes = view.model.get("strokes"), last = strokes.at(-1);
    view.change({ strokes: [...strokes.slice(0, -1), [...last, point(event)]] });
  });
  const net = network(view.state());
  return (state) => {
    const image = ink(state.strokes, state.thickness), said = answer(net, image), drawn = state.strokes.length > 0;
    const scale = width / SIDE;
    while (lines.childNodes.length < state.strokes.length) draw("path", {}, lines);
    [...lines.childNodes].forEach((node, k) => {
      const stroke = state.strokes[k] ?? [];
      set(node, { "stroke-width": state.thickness * scale,
        d: stroke.map((p, i) => `${i ? "L" : "M"}${pad.at(p).map((v) => v.toFixed(1)).join(" ")}`).join("") + (stroke.length === 1 ? "l0.01 0" : "") });
    });
    set(cells, { d: drawn && state.mask ? said.mask.map((on, i) => (on ? `M${left + scale * (i % SIDE)} ${top + scale * Math.floor(i / SIDE)}h${scale}v${scale}h${-scale}z` : "")).join("") : "" });
    const [x0, y0] = pad.at([SIDE * said.box[0], SIDE * said.box[1]]), [x1, y1] = pad.at([SIDE * said.box[2], SIDE * said.box[3]]);
    set(frame, { display: drawn ? undefined : "none", x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) });
    const best = said.digit.indexOf(Math.max(...said.digit));
    rows.forEach(({ bar, share }, i) => {
      const long = drawn ? said.digit[i] * bars.area.width : 0;
      set(bar, { width: long, fill: i === best ? BLUE : GREY });
      set(share, { x: bars.area.left + long + 6 });
      share.textContent = drawn ? `${(100 * said.digit[i]).toFixed(0)} %` : "";
    });
    return describe(state, said, image);
  };
}

export default explorable({ names: ["strokes", "thickness", "mask", "width", "tasks", "numbers"], hand: ["strokes", "thickness", "mask"], build });

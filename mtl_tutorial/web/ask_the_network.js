// Ask the network. Moved: the digit that is seen, picked or drawn, and its place; the digit that is
// heard; the words of the question. What answers: a transformer, in the page; and where each word looks.
import { BLUE, VERMILION, GREEN, ORANGE, GREY, clamp, dot, draw, explorable, set } from "./kit.js";

const WIDE = "width: min(20em, 60cqw)", SMALL = 8, PEN = 1.5, STEP = 4; // pixels of a digit, of a pen, and between the places of training
const COUNTING = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const upTo = (count, of) => Array.from({ length: count }, (_, i) => of(i)), bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const share = (part) => `${(100 * part).toFixed(0)}%`, add = (a, b) => a.map((v, k) => v + b[k]);
const softmax = (logits) => {
  const top = Math.max(...logits), powers = logits.map((v) => Math.exp(v - top)), total = powers.reduce((a, b) => a + b);
  return powers.map((v) => v / total);
};

/** The network of a state, with its parameters, of 16 bits each, by name. */
export function unpack({ layout, numbers, ...rest }) {
  const number = (h, exponent, part) => (h & 0x8000 ? -1 : 1) * (exponent ? 2 ** (exponent - 25) * (1024 + part) : 2 ** -24 * part);
  const flat = Float64Array.from(new Uint16Array(bytes(numbers).buffer), (h) => number(h, (h >> 10) & 31, h & 1023));
  let at = 0;
  return { ...rest, p: Object.fromEntries(layout.map(([name, shape]) => [name, flat.subarray(at, at += shape.reduce((a, b) => a * b))])) };
}

/** Logits of the answers, a box, and by block and head who looked at whom, for an image, a sound, and words by number. */
export function ask({ p, heads, blocks, sizes, answers }, image, sound, words) {
  const edge = Math.sqrt(sizes.pixels), across = Math.sqrt(sizes.patches), d = p["encoder.norm.bias"].length, size = d / heads, looks = [];
  const of = (name) => [p[`${name}.weight`], p[`${name}.bias`]], sum = (a, b, from, count) => { let s = 0; for (let k = 0; k < count; k++) s += a[k] * b[from + k]; return s; };
  const linear = (name, x) => { const [w, bias] = of(name), n = x.length; return bias.map((b, k) => b + sum(x, w, k * n, n)); };
  const standard = (name, x) => {
    const [w, b] = of(name), mean = x.reduce((a, v) => a + v) / d, spread = Math.sqrt(x.reduce((a, v) => a + (v - mean) ** 2, 0) / d + 1e-5);
    return x.map((v, k) => ((v - mean) / spread) * w[k] + b[k]);
  };
  const pixel = (n, i) => image[(edge * Math.floor(n / across) + Math.floor(i / edge)) * edge * across + edge * (n % across) + (i % edge)];
  let rows = [new Float64Array(d), ...upTo(sizes.patches, (n) => linear("encoder.patch", upTo(sizes.pixels, (i) => pixel(n, i)))),
    ...upTo(sizes.columns, (t) => linear("encoder.column", upTo(sizes.bands, (b) => sound[b * sizes.columns + t]))),
    ...words.map((w) => p["encoder.word.weight"].subarray(w * d, (w + 1) * d))].map((x, i) => add(x, p["encoder.place"].subarray(i * d)));
  for (let n = 0; n < blocks; n++) {
    const at = `encoder.blocks.${n}`, qkv = rows.map((x) => linear(`${at}.to_qkv`, standard(`${at}.norm_1`, x)));
    const [q, k, v] = upTo(3, (kind) => upTo(heads, (h) => qkv.map((x) => x.subarray(kind * d + h * size, kind * d + (h + 1) * size))));
    const look = looks[n] = upTo(heads, (h) => q[h].map((own) => softmax(k[h].map((other) => sum(own, other, 0, size) / Math.sqrt(size)))));
    rows = (n < blocks - 1 ? rows : rows.slice(0, 1)).map((x, i) => { // from the last block on, the readout alone is read
      const seen = new Float64Array(d);
      for (let h = 0; h < heads; h++) look[h][i].forEach((weight, j) => { for (let c = 0; c < size; c++) seen[h * size + c] += weight * v[h][j][c]; });
      return add(x, linear(`${at}.to_out`, seen));
    }).map((x) => add(x, linear(`${at}.second`, linear(`${at}.first`, standard(`${at}.norm_2`, x)).map((v) => Math.max(v, 0)))));
  }
  const features = standard("encoder.norm", rows[0]), box = [...linear("answers.of_4", features)].map((v) => 1 / (1 + Math.exp(-v)));
  return { logits: [...linear(`answers.of_${answers.length}`, features)], box, looks };
}

/** A question's words by number, with 0 in the places left over; or a sentence on what is no question. */
export function read(text, { words, sizes }) {
  const said = text.toLowerCase().replaceAll("?", " ").split(/\s+/).filter(Boolean), strange = said.find((word) => words.indexOf(word) < 1);
  if (strange) return `The network does not know the word “${strange}”. It knows: ${words.slice(1).join(", ")}.`;
  if (!said.length || said.length > sizes.words) return `A question has 1 to ${sizes.words} words; this one has ${said.length}.`;
  return upTo(sizes.words, (i) => (i < said.length ? words.indexOf(said[i]) : 0));
}

/** The right word for a question of the grammar; none where the answer is a box. */
export function truth(text, seen, heard) {
  const words = text.split(" "), last = words.at(-1), value = words.includes("plus") ? seen + heard : words.includes("heard") ? heard : seen;
  const yes = { even: value % 2 === 0, same: seen === heard }[last] ?? value > COUNTING.indexOf(last);
  return words[0] === "where" ? "" : words[0] === "which" ? String(value) : yes ? "yes" : "no";
}

/** The 8 × 8 pixels that strokes leave, brought to the size that the digits of training have. */
export function ink(strokes) {
  const ends = [0, 1].map((k) => strokes.flat().reduce(([low, high], p) => [Math.min(low, p[k]), Math.max(high, p[k])], [Infinity, -Infinity]));
  const scale = (SMALL - PEN) / Math.max(...ends.map(([low, high]) => high - low), 2), fit = (p) => p.map((v, k) => SMALL / 2 + scale * (v - (ends[k][0] + ends[k][1]) / 2));
  const lines = strokes.flatMap((stroke) => stroke.map((p, i) => [fit(stroke[Math.max(i - 1, 0)]), fit(p)]));
  const far = (x, y) => lines.reduce((least, [[x0, y0], [x1, y1]]) => {
    const way = [x1 - x0, y1 - y0], from = [x - x0, y - y0], t = clamp(dot(way, from) / (dot(way, way) || 1), 0, 1);
    return Math.min(least, Math.hypot(from[0] - t * way[0], from[1] - t * way[1]));
  }, Infinity);
  return upTo(SMALL ** 2, (n) => clamp(PEN / 2 + 0.5 - far((n % SMALL) + 0.5, Math.floor(n / SMALL) + 0.5), 0, 1));
}

/** An image of a side, with a digit at a place; and the box around its ink, in shares of the side. */
export function scene(digit, [x, y], side) {
  const image = new Float64Array(side * side), places = digit.map((_, i) => [x + (i % SMALL), y + Math.floor(i / SMALL)]);
  places.forEach(([u, v], i) => { image[v * side + u] = digit[i]; });
  const inside = places.filter((_, i) => digit[i] > 0.3 * Math.max(...digit)), ends = (of, more) => [0, 1].map((k) => (of(...inside.map((p) => p[k])) + more) / side);
  return { image, box: [...ends(Math.min, 0), ...ends(Math.max, 1)] };
}

/** Area of what two boxes share, over that of both. */
export function overlap(a, b) {
  const area = ([x0, y0, x1, y1]) => Math.max(x1 - x0, 0) * Math.max(y1 - y0, 0), both = area(a.map((v, k) => (k < 2 ? Math.max : Math.min)(v, b[k])));
  return both / (area(a) + area(b) - both);
}

/** The sentence below the picture: what is asked, answered and right; then where a word looks. */
export function describe({ question, seen, heard, place, strokes, scenes, block, network }, { best, right, iou, parts, name }) {
  const trained = !scenes.questions.includes(question) ? "no question of the grammar" : scenes.held_out.includes(question) ? "which was never asked in training" : "as in training";
  const judged = right && `, and ${best[0][0] === right ? "that" : `“${right}”`} is right`, there = strokes.length ? `what you draw counts as ${seen}` : `${seen} is seen`;
  const said = question.startsWith("where") ? `a box that shares ${share(iou)} with the digit's` : `“${best[0][0]}” (${share(best[0][1])})${judged}: ${there} and ${heard} is heard`;
  return `Asked “${question}”, ${trained}, it answers ${said}.${place.some((v) => v % STEP) ? " The digit stands between the nine places of training." : ""} In block ${block}` +
    `${name && block === network.blocks ? ` (too late for the answer: see block ${block - 1})` : ""} ${name || "the answer"} looks at the image with ${share(parts[0])}, at the sound with ${share(parts[1])}, at words with ${share(parts[2])}.`;
}

/** The tones of a key, on a phone that hums. */
function play(audio, keys, hum) {
  for (const [hertz, loud, from, to] of [...keys.map((key) => [key, 0.12, 0.1, 0.5]), [hum, 0.06, 0, 0.64]]) {
    const tone = new OscillatorNode(audio, { frequency: hertz });
    tone.connect(new GainNode(audio, { gain: loud })).connect(audio.destination);
    tone.start(audio.currentTime + from); tone.stop(audio.currentTime + to);
  }
}

/** Rectangles over a plane of whole numbers, row by row from 0. */
const tiles = (panel, columns, rows, [wide, high], attributes) => upTo(columns * rows, (i) => {
  const c = i % columns, r = Math.floor(i / columns), [x, y0] = panel.at([wide * c, high * r]), [x1, y1] = panel.at([wide * (c + 1), high * (r + 1)]);
  return draw("rect", { x, y: Math.min(y0, y1), width: x1 - x, height: Math.abs(y1 - y0), "pointer-events": "none", ...attributes }, panel.inside);
});

function build(view) {
  const { model } = view, { network, scenes } = view.state(), net = unpack(network), { sizes, blocks, words: known } = network;
  const edge = Math.sqrt(sizes.pixels), across = Math.sqrt(sizes.patches), side = edge * across, first = 1 + sizes.patches, middle = first + sizes.columns;
  const whole = (name) => Math.round(model.get(name)), by = (values) => { view.remember(); view.change(values); }, digits = { step: 1, format: (v) => String(Math.round(v)) };
  view.history();
  for (const option of Object.assign(view.choose("question", "question", scenes.questions), { style: WIDE }).options) if (scenes.held_out.includes(option.value)) option.text += " (never trained)";
  const field = Object.assign(document.createElement("input"), { style: `font: inherit; ${WIDE}` }), label = document.createElement("label");
  field.onkeydown = (event) => event.stopPropagation(); // JupyterLab's own keys
  field.oninput = field.onchange = ({ type }) => {
    const found = read(field.value, network);
    if (typeof found !== "string") by({ question: found.filter(Boolean).map((w) => known[w]).join(" ") });
    else if (type === "change") view.say.textContent = found;
  };
  view.follow(() => { if (document.activeElement !== field) field.value = model.get("question"); }, ["question"]);
  label.append("or type one", field); view.controls.append(label);
  view.slider("seen", "seen", 0, 9, digits);
  view.button("Clear the drawing", () => by({ strokes: [] }));
  view.slider("heard", "heard", 0, 9, digits);
  let audio;
  view.button("Hear it", () => play(audio ??= new AudioContext(), scenes.tones[whole("heard")], scenes.hums[whole("take")])); view.end = () => audio?.close();
  view.button("Other writing, other phone", () => by({ take: (whole("take") + 1) % scenes.hums.length }));
  view.slider("looks in block", "block", 1, blocks, digits);
  const row = Object.assign(view.row(), { style: "flex-basis: 100%", textContent: "Orange is where this looks:" }), chips = upTo(1 + sizes.words, (word) => {
    const chip = view.button("", () => view.change({ word }), { row });
    chip.onpointerenter = chip.onfocus = chip.onclick;
    chip.onkeydown = (event) => {
      const other = { ArrowRight: chip.nextElementSibling, ArrowLeft: chip.previousElementSibling }[event.key];
      if (other) { event.stopPropagation(); other.focus(); }
    };
    return chip;
  });
  view.panels.append(row);
  const seen = view.panel({ title: "It sees", x: [0, side], y: [side, 0], width: 270, height: 286, pad: [14, 14, 30, 14] });
  const heard = view.panel({ title: "It hears", x: [0, sizes.columns], y: [0, sizes.bands], width: 196, height: 286, pad: [10, 10, 30, 28] });
  const bars = view.panel({ title: "It answers", x: [0, 1], y: [3, 0], width: 240, height: 286, pad: [66, 60, 30, 50] }), note = draw("text", { x: 8, y: 262 }, bars.above);
  const pad = view.panel({ title: "Or draw it", x: [0, SMALL], y: [SMALL, 0], width: 190, height: 238, pad: [10, 10, 30, 38] }), { left: x, top: y, width, height } = pad.area;
  draw("text", { x: 10, y: 275 }, heard.back, "time →, high pitch on top");
  ["and set “seen” to", "what you mean"].forEach((text, i) => draw("text", { x, y: y + height + 16 + 15 * i }, pad.back, text));
  const paper = draw("rect", { x, y, width, height, fill: "#000", style: "touch-action:none;cursor:crosshair" }, pad.back), pen = pad.curve("#fff", { "stroke-width": 14, "stroke-linecap": "round", "pointer-events": "none" });
  const more = (event, strokes, last) => view.change({ strokes: [...strokes, [...last, pad.under(event).map((v) => Number(clamp(v, 0, SMALL).toFixed(2)))]] });
  paper.onpointerdown = (event) => { paper.setPointerCapture(event.pointerId); event.preventDefault(); view.remember(); more(event, model.get("strokes"), []); };
  paper.onpointermove = (event) => { if (paper.hasPointerCapture(event.pointerId)) more(event, model.get("strokes").slice(0, -1), model.get("strokes").at(-1)); };
  const shades = [], sharp = { "shape-rendering": "crispEdges" }, dots = [...tiles(seen, side, side, [1, 1], sharp), ...tiles(heard, sizes.columns, sizes.bands, [1, 1], sharp)];
  const looked = [...tiles(seen, across, across, [edge, edge], { fill: ORANGE }), ...tiles(heard, sizes.columns, 1, [1, sizes.bands], { fill: ORANGE })];
  const frames = [[GREEN, "3 5"], [VERMILION]].map(([colour, dash]) => seen.curve(colour, { "stroke-width": 3, "stroke-dasharray": dash, "pointer-events": "none" }));
  const grip = seen.handle("place of the digit", BLUE, (p) => view.change({ place: p.map((v) => clamp(Number((v - SMALL / 2).toFixed(2)), 0, side - SMALL)) }),
    { step: 1, words: (p) => `${p.map((v) => Math.round(v - SMALL / 2)).join(" and ")} pixels from left and top`, drop: () => view.change({ place: model.get("place").map(Math.round) }) });
  const rows = upTo(3, () => [bars.curve(GREY, { "stroke-width": 36 }), bars.text({ "text-anchor": "end", dx: -8, dy: 5, "font-weight": 700 }), bars.text({ dx: 6, dy: 5 })]);
  return (given) => {
    const state = { ...given, seen: whole("seen"), heard: whole("heard"), take: whole("take"), block: Math.min(whole("block"), blocks), place: given.place.map(Math.round) }, { question } = state;
    const digit = state.strokes.length ? ink(state.strokes) : Array.from(bytes(scenes.images[state.seen][state.take]), (v) => v / 255), { image, box } = scene(digit, state.place, side);
    const sound = Array.from(bytes(scenes.sounds[state.heard][state.take]), (v) => v / 100 - 1), numbers = read(question, network), count = numbers.filter(Boolean).length, word = Math.min(whole("word"), count);
    const said = ask(net, image, sound, numbers), heads = said.looks[state.block - 1], from = word && middle + word - 1;
    const look = upTo(middle + sizes.words, (j) => heads.reduce((sum, head) => sum + head[from][j] / heads.length, 0)), top = Math.max(...look);
    [...image, ...sound.map((v) => (1 + v) / 2)].map((v) => Math.round(255 * clamp(v, 0, 1))).forEach((v, i) => { if (shades[i] !== v) set(dots[i], { fill: `rgb(${shades[i] = v},${v},${v})` }); });
    looked.forEach((tile, i) => set(tile, { "fill-opacity": (0.7 * look[1 + i]) / top }));
    chips.forEach((chip, k) => {
      chip.textContent = k ? known[numbers[k - 1]] : "the answer";
      set(chip, { "aria-pressed": k === word, style: k > count ? "display:none" : `box-shadow: inset 0 -5px color-mix(in srgb, ${ORANGE} ${share(look[k && middle + k - 1] / top)}, transparent)` });
    });
    const where = question.startsWith("where"), right = scenes.questions.includes(question) && truth(question, state.seen, state.heard), iou = overlap(said.box, box);
    const best = softmax(said.logits).map((part, i) => [network.answers[i], part]).sort((a, b) => b[1] - a[1]).slice(0, 3), shown = where ? [["overlap", iou]] : best;
    rows.forEach(([bar, name, part], i) => {
      const [text, value] = shown[i] ?? ["", 0];
      bar([[0, i + 0.5], [value, i + 0.5]], { stroke: where ? VERMILION : text === right ? GREEN : GREY });
      name([0, i + 0.5], text); part([value, i + 0.5], text && share(value) + (text === right ? " ✓" : ""));
    });
    note.textContent = scenes.held_out.includes(question) ? "never asked in training" : where ? "dotted: the digit's own box" : right ? "asked in training" : "no question of the grammar";
    [box, said.box].forEach(([x0, y0, x1, y1], i) => frames[i](where ? [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]].map((p) => p.map((v) => side * v)) : []));
    grip(given.place.map((v) => v + SMALL / 2)); pen(state.strokes.flatMap((stroke) => [[stroke[0][0] + 0.01, stroke[0][1]], ...stroke, null]));
    const parts = [[1, first], [first, middle], [middle]].map((ends) => look.slice(...ends).reduce((sum, v) => sum + v));
    return describe(state, { best, right, iou, parts, name: word && `the word “${known[numbers[word - 1]]}”` });
  };
}

const HAND = ["question", "seen", "heard", "take", "place", "strokes", "word", "block"];
export default explorable({ names: [...HAND, "network", "scenes"], hand: HAND, build });

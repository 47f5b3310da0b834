// Scenes with the answers to them, and a sheet to draw on.
import { ink } from "./draw_a_digit.js";
import { byName, classOf } from "./engine.js";
import { clamp } from "./kit.js";
import { HEADS, KINDS, SIDE } from "./net.js";
import { guesses } from "./reading.js";

const SEVEN = [[[8, 6], [20, 6], [12, 22]]], PEN = 2.4; // an example, and pixels of a line

/** Make a node of the page with its properties and children. */
export const make = (name, attributes, parent, ...children) => {
  const node = Object.assign(document.createElement(name), attributes);
  node.append(...children);
  parent?.append(node);
  return node;
};

/** A scene with what is true (dotted) and what the network answers, and the words below it. */
export function picture(parent, { side = 84, className = "" } = {}) {
  const figure = make("figure", {}, parent), canvas = make("canvas", { width: side, height: side, className }, figure), words = make("figcaption", {}, figure);
  const small = new OffscreenCanvas(SIDE, SIDE), pen = small.getContext("2d"), screen = canvas.getContext("2d"), scale = canvas.width / SIDE;
  canvas.setAttribute("role", "img");
  return { canvas, show(pixels, answer, truth) {
    const image = pen.createImageData(SIDE, SIDE);
    pixels.forEach((v, k) => {
      const marked = answer?.mask && answer.mask[k] > 0, grey = 255 * clamp(v, 0, 1);
      image.data.set([grey * (marked ? 0.45 : 1), marked ? 0.45 * grey + 0.55 * 158 : grey, marked ? 0.45 * grey + 0.55 * 115 : grey, 255], 4 * k);
    });
    pen.putImageData(image, 0, 0);
    Object.assign(screen, { imageSmoothingEnabled: false });
    screen.drawImage(small, 0, 0, canvas.width, canvas.height);
    for (const [box, dash, colour] of [[truth?.box, [2, 3], "#fff"], [answer?.box, [], "#D55E00"]]) {
      if (!box) continue;
      const [x0, y0, x1, y1] = Array.from(box, (v) => v * SIDE * scale);
      Object.assign(screen, { strokeStyle: colour, lineWidth: 2 }).setLineDash(dash);
      screen.strokeRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
    }
    const said = answer ? Object.keys(answer).filter((task) => KINDS[task] === "class").map((task) => classOf(answer[task], 0)) : [];
    const right = truth ? Object.keys(answer).filter((task) => KINDS[task] === "class").map((task) => truth[task][0]) : said;
    words.textContent = !said.length ? "" : String(said) === String(right) ? `${said.join(" ")}${truth ? " ✓" : ""}` : `${said.join(" ")} ✗ it is ${right.join(" ")}`;
    canvas.setAttribute("aria-label", `${truth ? `Scene with ${right.join(" and ") || "a digit"}` : "Your drawing"}${said.length ? `; the network says ${said.join(" and ")}` : ""}`);
  } };
}

/** The part of answers, or of truths, that belongs to scene b. */
export const rowOf = (all, b, truths) => byName(all, (values, task) => {
  const n = truths && KINDS[task] === "class" ? 1 : HEADS[task];
  return values.slice(b * n, (b + 1) * n);
});

/** A sheet to draw on. @param ask called with an image, 0 to 1, that wants an answer; gives what takes answers, and what asks again */
export function sheet(view, parent, ask) {
  const pad = picture(parent, { side: 168, className: "pg-pad" }), tools = make("div", {}, parent), opinion = make("p", {}, parent);
  let strokes = [], said = null, asked = 0, waiting = false;
  const points = () => strokes.flat().length;
  const again = () => {
    const image = ink(strokes, PEN);
    pad.show(image, said);
    if (waiting || !strokes.length || !ask(image)) return;
    waiting = true;
    asked = points();
  };
  const take = (answers) => {
    waiting = false;
    said = strokes.length ? answers : null;
    opinion.textContent = said ? guesses(said) : "";
    if (answers && points() !== asked) again(); // the pen went on
    else pad.show(ink(strokes, PEN), said);
  };
  const point = ({ clientX, clientY }) => {
    const box = pad.canvas.getBoundingClientRect();
    return [((clientX - box.left) / box.width) * SIDE, ((clientY - box.top) / box.height) * SIDE];
  };
  pad.canvas.addEventListener("pointerdown", (event) => { pad.canvas.setPointerCapture(event.pointerId); event.preventDefault(); strokes.push([point(event)]); again(); });
  pad.canvas.addEventListener("pointermove", (event) => { if (pad.canvas.hasPointerCapture(event.pointerId)) { strokes.at(-1).push(point(event)); again(); } });
  view.button("A seven", () => { strokes = structuredClone(SEVEN); again(); }, { row: tools });
  view.button("Clear", () => { strokes = []; take(null); }, { row: tools });
  take(null);
  return { take, again };
}

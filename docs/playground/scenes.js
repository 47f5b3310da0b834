// Scenes as mtl_tutorial.data composes them, from the digits that come with the page: one digit of
// random size at a random place in a noisy image, or two that overlap.
import { SIDE } from "./net.js";
import { normal, randomness } from "./statistics.js";

const SMALL = 8, LARGE = 20, FRAME = 4, INK = 0.3, EXTENT = [14, 22], NOISE = 0.1;
const NORMAL = Float64Array.from({ length: 2 ** 16 }, normal(randomness(0))); // drawn from, for speed
const SHIFT = 6, CANVAS = 36, MEAN = 0.1307, DEVIATION = 0.3081; // of two digits
export const PIXELS = SIDE * SIDE;
export const TASKS = { located_digits: ["digit", "box", "mask"], two_digits: ["left", "right"] };

/** Digits of a split: images of 28×28 whole numbers from 0 to 255, one after the other, and classes. */
export function unpack({ pixels, labels }) {
  const count = labels.length, images = new Uint8Array(count * PIXELS), step = SMALL / LARGE;
  const ends = Array.from({ length: LARGE }, (_, i) => {
    const place = Math.max(0, (i + 0.5) * step - 0.5), low = Math.floor(place);
    return [low, Math.min(low + 1, SMALL - 1), place - low];
  });
  for (let n = 0; n < count; n++) {
    const at = (y, x) => (pixels.charCodeAt((n * SMALL + y) * SMALL + x) - 97) / 16; // "a" is paper, "q" is ink
    ends.forEach(([y0, y1, v], r) => ends.forEach(([x0, x1, u], c) => {
      const value = (1 - v) * ((1 - u) * at(y0, x0) + u * at(y0, x1)) + v * ((1 - u) * at(y1, x0) + u * at(y1, x1));
      images[n * PIXELS + (r + FRAME) * SIDE + c + FRAME] = Math.round(255 * value);
    }));
  }
  return { images, labels: Uint8Array.from(labels), count };
}

/** The smallest box around the ink of an image: x0, y0, x1, y1 in pixels. */
function tightBox(ink, at = 0) {
  let x0 = SIDE, y0 = SIDE, x1 = 0, y1 = 0;
  for (let y = 0; y < SIDE; y++) for (let x = 0; x < SIDE; x++) {
    if (!ink[at + y * SIDE + x]) continue;
    x0 = Math.min(x0, x); x1 = Math.max(x1, x + 1); y0 = Math.min(y0, y); y1 = y + 1;
  }
  return [x0, y0, x1, y1];
}

/** Which pixels are ink: brighter than 0.3 of the brightest. */
function inked(image, from, ink, to) {
  let top = 0;
  for (let k = 0; k < PIXELS; k++) top = Math.max(top, image[from + k]);
  for (let k = 0; k < PIXELS; k++) ink[to + k] = image[from + k] > INK * top ? 1 : 0;
}

/** One digit of random size at a random place; tasks digit, box, mask. */
export class LocatedDigits {
  constructor(digits) {
    this.digits = digits;
    const ink = new Uint8Array(PIXELS);
    this.boxes = Array.from({ length: digits.count }, (_, n) => { inked(digits.images, n * PIXELS, ink, 0); return tightBox(ink); });
  }

  draw(count, random) {
    const index = Array.from({ length: count }, () => Math.floor(random() * this.digits.count));
    return this.compose(index, Array.from({ length: 3 * count }, random), () => NORMAL[Math.floor(NORMAL.length * random())]);
  }

  /** @param chance three numbers from 0 to 1 a scene: size, x and y; @param noise gives normal numbers */
  compose(index, chance, noise) {
    const count = index.length, images = new Float64Array(count * PIXELS), source = this.digits.images;
    const digit = new Float64Array(count), box = new Float64Array(4 * count), mask = new Float64Array(count * PIXELS);
    index.forEach((n, b) => {
      const [x0, y0, x1, y1] = this.boxes[n], [size, right, down] = chance.slice(3 * b, 3 * b + 3);
      const step = Math.max(x1 - x0, y1 - y0) / (EXTENT[0] + (EXTENT[1] - EXTENT[0]) * size);
      const left = x0 - right * (SIDE * step - (x1 - x0)), top = y0 - down * (SIDE * step - (y1 - y0));
      const pixel = (x, y) => (x < 0 || y < 0 || x >= SIDE || y >= SIDE ? 0 : source[n * PIXELS + y * SIDE + x] / 255);
      for (let r = 0; r < SIDE; r++) for (let c = 0; c < SIDE; c++) {
        const x = left + (c + 0.5) * step - 0.5, y = top + (r + 0.5) * step - 0.5;
        if (x <= -1 || y <= -1 || x >= SIDE || y >= SIDE) continue;
        const i = Math.floor(x), j = Math.floor(y), u = x - i, v = y - j;
        images[b * PIXELS + r * SIDE + c] = (1 - v) * ((1 - u) * pixel(i, j) + u * pixel(i + 1, j)) + v * ((1 - u) * pixel(i, j + 1) + u * pixel(i + 1, j + 1));
      }
      inked(images, b * PIXELS, mask, b * PIXELS);
      digit[b] = this.digits.labels[n];
      box.set(tightBox(mask, b * PIXELS).map((v) => v / SIDE), 4 * b);
    });
    for (let k = 0; k < images.length; k++) images[k] = Math.min(1, Math.max(0, images[k] + NOISE * noise()));
    return { images, targets: { digit, box, mask } };
  }
}

/** Two digits that overlap, one at the top left and one at the bottom right; tasks left, right. */
export class TwoDigits {
  /** @param partner the right digit of each left one; drawn where left out */
  constructor(digits, random, partner = Array.from({ length: digits.count }, () => Math.floor(random() * digits.count))) {
    Object.assign(this, { digits, partner });
  }

  draw(count, random) { return this.compose(Array.from({ length: count }, () => Math.floor(random() * this.digits.count))); }

  compose(index) {
    const count = index.length, images = new Float64Array(count * PIXELS), { images: source, labels } = this.digits;
    const pixel = (n, x, y) => (x < 0 || y < 0 || x >= SIDE || y >= SIDE ? 0 : source[n * PIXELS + y * SIDE + x]);
    const near = (k) => Math.floor(((k + 0.5) * CANVAS) / SIDE);
    index.forEach((n, b) => {
      for (let r = 0; r < SIDE; r++) for (let c = 0; c < SIDE; c++) {
        const x = near(c), y = near(r), value = Math.max(pixel(n, x, y), pixel(this.partner[n], x - SHIFT, y - SHIFT));
        images[b * PIXELS + r * SIDE + c] = (value / 255 - MEAN) / DEVIATION;
      }
    });
    return { images, targets: { left: Float64Array.from(index, (n) => labels[n]), right: Float64Array.from(index, (n) => labels[this.partner[n]]) } };
  }
}

/** The brightness, 0 to 1, of an image of these scenes; and the reverse. */
export const toPixels = (kind, image) => (kind === "two_digits" ? image.map((v) => v * DEVIATION + MEAN) : image);
export const fromPixels = (kind, image) => (kind === "two_digits" ? image.map((v) => (v - MEAN) / DEVIATION) : image);

/** The scenes of a kind, of both splits. @param data what digits.json holds */
export function scenesOf(kind, data, random) {
  return Object.fromEntries(Object.entries(data).map(([split, packed]) => {
    const digits = unpack(packed);
    return [split, kind === "two_digits" ? new TwoDigits(digits, random) : new LocatedDigits(digits)];
  }));
}

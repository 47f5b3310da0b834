// What is alive on the site: explorables, guesses, and exercises that need no kernel.
// Explorables are loaded when they come near; a guess opens what tells it.

const data = (place) => JSON.parse(place.querySelector("script").textContent);
const node = (name, attributes = {}, ...parts) => {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...parts);
  return made;
};

/** Words with `code`, and an index after a letter, such as α_ab, as it is set. */
const rich = (text) => text.split("`").flatMap((part, i) => {
  const set = part.split(/(?<![\p{L}\d_])(\p{L})_([\p{L}\d]{1,2})(?![\p{L}\d_])/u).map((piece, k) => (k % 3 === 2 ? node("sub", {}, piece) : piece));
  return i % 2 ? [node("code", {}, ...set)] : set;
});

// Explorables -------------------------------------------------------------------------------------

async function bringToLife(place) {
  const [module, { Model }] = await Promise.all([import(`./web/${place.dataset.module}.js`), import("./web/kit.js")]);
  const model = new Model(data(place)), el = node("div");
  module.default.render({ model, el });
  place.replaceChildren(el);
  watch(place.querySelector(".mtl-say"), place.nextElementSibling);
}

/** Show what follows a picture once its sentence says that it was reached. */
function watch(say, goal) {
  if (!goal?.matches(".mtl-goal")) return;
  new MutationObserver(() => { if (say.textContent.includes(goal.dataset.says)) goal.hidden = false; })
    .observe(say, { childList: true, characterData: true, subtree: true });
}

const near = new IntersectionObserver((seen) => seen.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
  near.unobserve(target);
  bringToLife(target);
}), { rootMargin: "600px" });
document.querySelectorAll(".mtl-live").forEach((place) => near.observe(place));

// Guesses -----------------------------------------------------------------------------------------

const guesses = {};

function askForGuess(place, { guess, question, choices }) {
  const tell = (value) => {
    guesses[guess] = value;
    document.querySelectorAll(`.mtl-compared[data-guess="${guess}"]`).forEach((told) => {
      told.querySelector("b").textContent = value ? `You guessed “${value}”.` : "No guess yet.";
    });
  };
  const label = node("p", { className: "mtl-question", id: `guess-${guess}` }, ...rich(question));
  const row = node("div", { className: "mtl-choices" });
  row.setAttribute("role", "group");
  row.setAttribute("aria-labelledby", label.id);
  if (choices.length) row.append(...buttons(choices, tell));
  else {
    const noted = node("span", { role: "status" });
    const take = ({ target: { value } }) => { tell(value.trim()); noted.textContent = value.trim() && "Noted."; };
    row.append(node("label", {}, "Your guess ", node("input", { oninput: take, autocomplete: "off" })), noted);
  }
  place.append(label, row);
}

/** Buttons of which one stays down, or several; `chosen` gets the words that are. */
function buttons(words, chosen, several = false) {
  const made = words.map((word) => node("button", { type: "button" }, ...rich(word)));
  made.forEach((button) => {
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => {
      const down = button.getAttribute("aria-pressed") === "true";
      if (!several) made.forEach((other) => other.setAttribute("aria-pressed", "false"));
      button.setAttribute("aria-pressed", String(several ? !down : true));
      chosen(words.filter((_, i) => made[i].getAttribute("aria-pressed") === "true").join(""));
    };
  });
  return made;
}

// Exercises: an answer is the key to what is said of it (see commands/answers.py) --------------------

export function digest(text) {
  let number = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) number = Math.imul(number ^ byte, 0x01000193) >>> 0;
  return number || 1;
}

export function open(locks, key) {
  const closed = locks[digest(key).toString(16).padStart(8, "0")];
  if (!closed) return undefined;
  let stream = digest(`${key}|`);
  const bytes = Uint8Array.from(atob(closed), (letter) => {
    stream ^= stream << 13; stream ^= stream >>> 17; stream ^= stream << 5;
    return letter.charCodeAt(0) ^ (stream & 255);
  });
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined; // two keys of one hash
  }
}

/** What opens for numbers that lie near those that are known: each in its step or the next. */
function near_(locks, prefix, values, tolerance) {
  let keys = [""];
  for (const value of values) {
    const step = Math.floor(value / tolerance);
    keys = keys.flatMap((key) => [step - 1, step, step + 1].map((k) => (key ? `${key},${k}` : String(k))));
  }
  return keys.map((key) => open(locks, `${prefix}|${key}`))
    .filter((found) => found?.[1].every((known, i) => Math.abs(known - values[i]) <= tolerance));
}

/** The number that a text is: 0.25, 0,25, 25 %, 1/4 or −3; not 1,000, which may be one or a thousand. */
export function read(text) {
  const parts = text.trim().replace(/[−–]/g, "-").split("/");
  const numbers = parts.map((part) => {
    const [, digits, percent] = /^\s*([+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[+-]?\d+)?)\s*(%?)\s*$/i.exec(part) ?? [];
    return !digits || /^[+-]?[1-9]\d{0,2},\d{3}$/.test(digits) ? NaN : Number(digits.replace(",", ".")) / (percent ? 100 : 1);
  });
  const value = numbers.length === 2 ? numbers[0] / numbers[1] : numbers[0];
  return parts.length <= 2 && Number.isFinite(value) ? value : null;
}

/** Whether an answer is right, and what is said to it. */
export function judge(asked, answer) {
  if (asked.words.length) {
    const [right, text] = open(asked.locks, `${asked.salt}|${[...answer.toLowerCase()].sort().join("")}`) ?? [false, asked.otherwise];
    return { right, text };
  }
  const found = asked.locks.flatMap(({ places, tolerance, locks }, group) =>
    near_(locks, `${asked.salt}|${group}`, places.map((i) => answer[i]), tolerance));
  const [order, , text] = found.sort((a, b) => a[0] - b[0])[0] ?? [];
  if (text !== undefined) return { right: order === 0, text };
  const off = asked.places.findIndex((locks, i) => !near_(locks, `${asked.salt}|at ${i}`, [answer[i]], asked.locks[0].tolerance).length);
  return { right: false, text: asked.otherwise.replaceAll("{off}", asked.fields[off]) };
}

function askExercise(place, asked) {
  const said = node("p", { className: "mtl-told", hidden: true });
  said.setAttribute("aria-live", "polite");
  let given = "", shown = 0;
  const tell = (head, text, look) => {
    said.hidden = false;
    said.className = `mtl-told ${look}`;
    said.replaceChildren(node("b", { textContent: `${asked.name}. ${head} ` }), ...rich(text));
  };
  const fields = asked.fields.map((name) => node("input", { inputMode: "text", autocomplete: "off", size: 10, ariaLabel: name || "Your answer" }));
  const check = () => {
    const answer = asked.words.length ? given : fields.map((field) => read(field.value));
    if (asked.words.length ? !answer : fields.every((field) => !field.value.trim())) return tell("Not answered yet.", "", "");
    const wrong = asked.words.length ? -1 : answer.indexOf(null);
    if (wrong >= 0) return tell("Not yet.", `A number is needed, such as 0.25; yours is "${fields[wrong].value}".`, "wrong");
    const { right, text } = judge(asked, answer);
    tell(right ? "Correct." : "Not yet.", text, right ? "right" : "wrong");
  };
  const row = node("form", { className: "mtl-choices", onsubmit: (event) => { event.preventDefault(); check(); } });
  row.setAttribute("aria-label", asked.name);
  row.append(node("b", { textContent: asked.name }));
  if (asked.words.length) row.append(...buttons(asked.words, (word) => { given = word; }, asked.several));
  else row.append(...fields.map((field, i) => node("label", {}, ...rich(asked.fields[i] ? `${asked.fields[i]} ` : ""), field)));
  const hint = () => {
    shown = Math.min(shown + 1, asked.hints.length);
    tell(`Hint ${shown} of ${asked.hints.length}.`, asked.hints[shown - 1], "hint");
  };
  row.append(node("button", { className: "mtl-check", textContent: "Check" }), node("button", { type: "button", textContent: "Hint", onclick: hint }));
  place.append(row, said);
}

document.querySelectorAll(".mtl-asked").forEach((place) => {
  const asked = data(place);
  if (asked.guess) askForGuess(place, asked);
  else askExercise(place, asked);
});

// A line that begins with a tick goes on below itself; tables keep their lines.
document.querySelectorAll("div.cell_output pre").forEach((pre) => {
  const lines = pre.textContent.replace(/\n$/, "").split("\n");
  if (!lines.some((line) => line.startsWith("✓"))) return;
  pre.replaceChildren(...lines.map((line) => (line.startsWith("✓") ? node("span", { className: "claim" }, line) : `${line}\n`)));
});

// The search: what it shows of a page is the page's own text, without what stands around it.
if (typeof Search !== "undefined") {
  const read = Search.htmlToText;
  Search.htmlToText = (text, anchor) => {
    const page = new DOMParser().parseFromString(text, "text/html"), article = page.querySelector("article");
    return article && !anchor ? (article.querySelectorAll(".headerlink, .links, script, style, summary").forEach((part) => part.remove()), article.textContent.trim()) : read(text, anchor);
  };
}

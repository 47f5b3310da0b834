// What can be chosen, in words, and how it stands in the address, so that a state can be sent.
import { METHODS, OPTIMIZERS } from "./engine.js";
import { TASKS } from "./scenes.js";

export const ALL = ["digit", "box", "mask", "left", "right"];
export const WORDS = {
  located_digits: "one digit", two_digits: "two digits",
  fixed: "fixed weights", uncertainty: "uncertainty", dwa: "dynamic weight average", gradnorm: "GradNorm", pcgrad: "PCGrad", mgda: "MGDA",
  adam: "Adam", sgd: "SGD", momentum: "SGD, momentum 0.9",
};
export const WIDTH = [2, 16], RATE = [1e-4, 1], FACTOR = [1e-3, 1e3], LAST = 1e5;
export const START = {
  scenes: "located_digits", tasks: ["digit", "box"], width: 8, method: "fixed", optimizer: "adam", rate: 0.005,
  weights: ALL.map(() => 1), units: ALL.map(() => 1), alone: true, seed: 1, stop: 300, story: "",
};

const whole = (low, high) => [`a whole number from ${low} to ${high}`, (text) => (/^\d+$/.test(text) && text >= low && text <= high ? Number(text) : undefined)];
const number = (low, high) => [`a number from ${low} to ${high}`, (text) => (/^[\d.]+(e-?\d+)?$/i.test(text) && text >= low && text <= high ? Number(text) : undefined)];
const choice = (names) => [`one of ${names.join(", ")}`, (text) => (names.includes(text) ? text : undefined)];
const rows = (own) => [`task:number from ${FACTOR.join(" to ")}, such as ${own[0]}:1,${own[1]}:20`, (text) => {
  const found = ALL.map(() => undefined);
  for (const part of text.split(",")) {
    const [task, value, ...more] = part.split(":"), at = ALL.indexOf(task), right = number(...FACTOR)[1](value ?? "");
    if (!own.includes(task) || right === undefined || found[at] || more.length) return undefined;
    found[at] = right;
  }
  return found.map((value) => value ?? 1);
}];

/** For each part of a setting: its rule in words, and what reads it, giving nothing where it breaks the rule. */
function rules(stories, scenes) {
  const own = TASKS[scenes];
  return {
    tasks: [`one or more of ${own.join(", ")}, with commas`, (text) => { const found = text.split(","); return found.every((t) => own.includes(t)) ? own.filter((t) => found.includes(t)) : undefined; }],
    width: whole(...WIDTH), method: choice(Object.keys(METHODS)), optimizer: choice(Object.keys(OPTIMIZERS)), rate: number(...RATE),
    weights: rows(own), units: rows(own), alone: ["0 or 1", (text) => ({ 0: false, 1: true })[text]], seed: whole(1, 999), stop: whole(0, LAST), story: choice(stories),
  };
}

/** What is left out of an address: the story's own setting, where there is one. */
const usual = ({ scenes = START.scenes, story }, stories) => structuredClone({ ...START, scenes, tasks: scenes === START.scenes ? START.tasks : TASKS[scenes], ...stories[story]?.setting });

/** The setting that an address holds, and one sentence about the first part that is none. */
export function read(hash, stories) {
  const given = Object.fromEntries(new URLSearchParams(hash.replace(/^#/, ""))), told = [];
  const story = Object.hasOwn(stories, given.story) ? given.story : "", known = !story && Object.hasOwn(TASKS, given.scenes) ? given.scenes : undefined;
  const setting = { ...usual({ scenes: known, story }, stories), story }, all = { scenes: choice(Object.keys(TASKS)), ...rules(Object.keys(stories), setting.scenes) };
  for (const [name, text] of Object.entries(given)) {
    if (!Object.hasOwn(all, name)) { told.push(`This address has “${name.slice(0, 40)}”, which is no part of a setting; the parts are ${Object.keys(all).join(", ")}.`); continue; }
    const [rule, reads] = all[name], value = reads(text);
    if (value === undefined) told.push(`In this address ${name} must be ${rule}, and it is “${text.slice(0, 40)}”; the page goes on with ${said(setting, name) || "none"}.`);
    else if (name === "scenes" && story && value !== setting.scenes) told.push(`In this address the story “${story}” is about ${WORDS[setting.scenes]}, and scenes is “${value}”; the page goes on with the story's.`);
    else setting[name] = value;
  }
  return { setting, trouble: told[0] ?? "" };
}

/** A part of a setting as the address has it. */
const said = (setting, name) => (name === "alone" ? String(Number(setting.alone)) : name === "weights" || name === "units"
  ? setting.tasks.map((task) => `${task}:${setting[name][ALL.indexOf(task)]}`).join(",") : String(setting[name]));

/** The address of a setting. */
export function write(setting, stories) {
  const base = { ...usual(setting, stories), scenes: START.scenes, story: "" };
  const parts = Object.keys(START).filter((name) => JSON.stringify(setting[name]) !== JSON.stringify(base[name]));
  return `#${parts.map((name) => `${name}=${said(setting, name)}`).join("&")}`;
}

/** The setting as the engine takes it: weights and units of the tasks that are there. */
export function ofTasks(setting) {
  const pick = (values) => setting.tasks.map((task) => values[ALL.indexOf(task)]);
  return { ...setting, weights: pick(setting.weights), units: pick(setting.units) };
}

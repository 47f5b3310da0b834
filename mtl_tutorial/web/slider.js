// A slider beside a picture that the kernel draws. Moved: a number, or both ends of a range.
// What answers: the number beside it, and whatever Python lets follow it.
import { explorable, fixed } from "./kit.js";

/** The ends of a range of which one moves to a value, and takes the other along where they meet. */
export const moved = (ends, place, value) => ends.map((end, i) => (i === place ? value : i ? Math.max(end, value) : Math.min(end, value)));

function build(view) {
  const { description: words, value, min, max, step } = view.state();
  const options = { step, format: Number.isInteger(step) ? String : (v) => fixed(v) };
  const inputs = [value].flat().map((_, i, ends) => {
    if (ends.length < 2) return view.slider(words, "value", min, max, options);
    const end = ["from", "to"][i], input = view.slider(i ? end : `${words}: ${end}`, "value", min, max, { ...options, place: i });
    input.setAttribute("aria-label", `${words}: ${end}`);
    input.oninput = () => view.change({ value: moved(view.model.get("value"), i, Number(input.value)) });
    return input;
  });
  view.root.classList.add("mtl-part");
  view.say.hidden = true;
  return (state) => inputs.forEach((input, i) => Object.assign(input, { min: state.min, max: state.max, disabled: state.disabled, value: [state.value].flat()[i] }));
}

export default explorable({ names: ["description", "value", "min", "max", "step", "disabled"], hand: ["value"], build });

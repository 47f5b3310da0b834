// The picture of a view, which the kernel draws. Moved: nothing here, but the sliders beside it.
// What answers: the picture, its description for who does not see it, and the sentence below.
import { explorable } from "./kit.js";

function build(view) {
  const image = document.createElement("img");
  let shown;
  view.panels.append(image);
  view.root.classList.add("mtl-part");
  return ({ value, alt, sentence }) => {
    if (value && value !== shown) {
      URL.revokeObjectURL(image.src);
      image.src = URL.createObjectURL(new Blob([shown = value], { type: "image/png" }));
    }
    image.alt = alt;
    return sentence;
  };
}

export default explorable({ names: ["value", "alt", "sentence"], build });

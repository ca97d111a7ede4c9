// The layer lab: the files of a build context, the steps of the last build, and the stack of layers that it made.

const UNITS = ["B", "kB", "MB", "GB"];
const bytes = (count) => {
  let number = count, unit = 0;
  while (number >= 1000 && unit < UNITS.length - 1) { number /= 1000; unit += 1; }
  return `${Number(number.toPrecision(3))}${UNITS[unit]}`;
};
const MARKS = { A: "added", C: "changed", D: "removed" };

function render({ model, el }) {
  const chooser = h("div", { class: "kl-buttons", role: "group", "aria-label": "File of the build context" });
  const editor = h("textarea", { class: "kl-editor kl-mono", spellcheck: "false", rows: 11 });
  const error = h("pre", { class: "kl-error", role: "alert" });
  const steps = h("ol", { class: "kl-steps" });
  const stack = h("div", { class: "kl-stack" });
  const builds = h("tbody");
  const python = h("code"), terminal = h("code");
  let shown = Object.keys(model.get("files"))[0], open = new Set();

  const save = () => { if (editor.value !== model.get("files")[shown]) model.send({ press: "edit", path: shown, text: editor.value }); };
  editor.addEventListener("change", save);
  const build = h("button", { type: "button", class: "kl-button", onclick: () => { save(); model.send({ press: "build" }); } }, "Build");

  function drawFiles() {
    const files = model.get("files");
    chooser.replaceChildren(...Object.keys(files).map((path) => h("button", {
      type: "button", class: "kl-button", "aria-pressed": String(path === shown),
      onclick: () => { save(); shown = path; drawFiles(); editor.focus(); },
    }, path)));
    if (document.activeElement !== editor || editor.dataset.path !== shown) editor.value = files[shown];
    editor.dataset.path = shown;
    editor.setAttribute("aria-label", `Text of ${shown}`);
  }

  function drawSteps() {
    fill(steps, ...model.get("steps").map((step) => h("li", { class: step.cached ? "kl-cached" : "kl-done", "data-cached": String(step.cached) },
      h("code", {}, step.instruction), h("div", { class: "kl-quiet" }, step.instruction.toUpperCase().startsWith("FROM ") ? `⌂ ${step.why}` : `${step.cached ? "↺ from the cache" : "● done"}${step.why ? `: ${step.why}` : ""}`))));
  }

  function drawStack() {
    const layers = model.get("layers"), largest = Math.max(1, ...layers.map((layer) => layer.size));
    // The square root: a base image of 30 MB and a file of 1 kB are both to be seen.
    const width = (count) => Math.sqrt(count / largest) * 100;
    stack.replaceChildren(...[...layers].reverse().map((layer) => {
      const details = h("details", { class: layer.shared ? "kl-layer kl-sharedlayer" : "kl-layer kl-freshlayer" },
        h("summary", {},
          h("span", { class: "kl-layername" }, h("b", {}, `${layer.number}`), " ", h("code", {}, layer.label)),
          h("span", { class: "kl-quiet" }, ` ${bytes(layer.size)}${layer.shared ? `, shared with ${layer.shared_with.join(", ")}` : ", new"}${layer.wasted ? `, ${bytes(layer.wasted)} wasted` : ""}`),
          h("span", { class: "kl-weight", "aria-hidden": "true" }, h("i", { class: "kl-used", style: `width: ${width(layer.size - layer.wasted)}%` }), h("i", { class: "kl-wasted", style: `width: ${width(layer.wasted)}%` }))),
        h("ul", {}, ...layer.changes.map(([mark, path, count, hidden]) => h("li", { class: hidden == null ? "" : "kl-hidden" },
          h("b", { title: MARKS[mark] }, mark), ` ${path} `, h("span", { class: "kl-quiet" }, `${count ? bytes(count) : ""}${hidden == null ? "" : ` hidden by layer ${hidden}`}`))),
          ...(layer.more ? [h("li", { class: "kl-quiet" }, `… and ${layer.more} more`)] : [])));
      details.open = open.has(layer.number);
      details.addEventListener("toggle", () => { if (details.open) open.add(layer.number); else open.delete(layer.number); });
      return details;
    }));
  }

  function drawBuilds() {
    fill(builds, ...[...model.get("builds")].reverse().map((each) => h("tr", {}, h("th", { scope: "row", class: "kl-mono" }, each.tag),
      h("td", {}, bytes(each.size)), h("td", {}, bytes(each.fresh)), h("td", {}, each.wasted ? bytes(each.wasted) : "none"))));
  }

  return frame({ model, el }, [
    h("div", { class: "kl-workbench" },
      h("div", {}, h("p", { class: "kl-step" }, "1. Change a line"), chooser, editor, h("div", { class: "kl-buttons" }, build), error,
        h("dl", { class: "kl-twins" }, h("dt", {}, "Python"), h("dd", {}, python), h("dt", {}, "Terminal"), h("dd", {}, terminal))),
      h("div", {}, h("p", { class: "kl-step" }, "2. The steps: which were done?"), steps)),
    h("p", { class: "kl-step" }, "3. The layers, the newest on top; open one to see its files"), stack,
    h("p", { class: "kl-legend2 kl-quiet" }, h("i", { class: "kl-used" }), " bytes in use ", h("i", { class: "kl-wasted" }), " wasted: changed or removed by a later layer (the longer, the more; by square root)"),
    h("table", {}, h("caption", {}, "Builds"), h("thead", {}, h("tr", {}, ...["Image", "Size", "Of it not shared with an earlier one", "Wasted"].map((title) => h("th", { scope: "col" }, title)))), builds),
  ], {
    files: drawFiles, steps: drawSteps, layers: drawStack, builds: drawBuilds,
    error: () => { error.textContent = model.get("error"); error.hidden = !model.get("error"); },
    twins: () => { python.textContent = model.get("twins").python; terminal.textContent = model.get("twins").terminal; },
  });
}

export default { render };

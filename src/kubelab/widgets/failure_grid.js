// The failure × policy grid: a cell a pod. Before the run a cell takes a prediction, after it it shows what happened.

function render({ model, el }) {
  const states = model.get("states"), guesses = model.get("guesses");
  const body = h("tbody");
  const run = h("button", { type: "button", class: "kl-button", onclick: ({ currentTarget }) => {
    if (currentTarget.getAttribute("aria-disabled") !== "true") model.send({ press: "run" });
  } }, "Run all 25");
  const cells = new Map();

  function cell(key, { failure, policy }) {
    const choice = h("select", { "aria-label": `Prediction: ${failure}, ${policy}`, onchange: () => model.send({ press: "guess", failure, policy, guess: choice.value }) },
      h("option", { value: "", disabled: true, selected: true }, "predict…"),
      ...Object.entries(guesses).map(([name, words]) => h("option", { value: name }, `${states[name].shape} ${words}`)));
    const result = h("span"), mark = h("span", { class: "kl-quiet kl-guess" });
    const box = h("td", { "data-cell": key }, choice, result, mark);
    cells.set(key, { box, choice, result, mark });
    return box;
  }

  function draw() {
    const busy = model.get("busy");
    for (const [key, found] of Object.entries(model.get("cells"))) {
      const { box, choice, result, mark } = cells.get(key);
      choice.hidden = Boolean(found.state);
      if (found.guess && choice.value !== found.guess) choice.value = found.guess;
      box.dataset.state = found.state;
      fill(result, ...(found.state ? [stateMark(states, found.state, false), ` ${found.words}`] : []));
      const right = found.guess === found.state;
      mark.textContent = !found.guess || !found.state ? "" : found.over ? (right ? "✓ as predicted" : `✗ predicted: ${guesses[found.guess]}`) : `predicted: ${guesses[found.guess]}`;
    }
    run.setAttribute("aria-disabled", String(busy));
    run.textContent = busy ? "Running…" : Object.values(model.get("cells")).some((each) => each.over) ? "Run all again" : "Run all 25";
  }

  const all = Object.entries(model.get("cells")), policies = model.get("policies");
  for (const failure of model.get("failures")) {
    body.append(h("tr", {}, h("th", { scope: "row" }, failure), ...policies.map((policy) => {
      const [key, found] = all.find(([, each]) => each.failure === failure && each.policy === policy);
      return cell(key, found);
    })));
  }
  return frame({ model, el }, [
    h("p", {}, "Predict what becomes of a cell, as many as you like; then run them all. Each is a pod of its own."),
    h("div", { class: "kl-scroll kl-grid25" }, h("table", {}, h("thead", {}, h("tr", {}, h("td"), ...policies.map((policy) => h("th", { scope: "col" }, policy)))), body)),
    h("div", { class: "kl-buttons" }, run),
  ], { cells: draw, busy: draw });
}

export default { render };

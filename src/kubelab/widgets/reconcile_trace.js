// The reconcile trace: the pods inside and outside of the selector, and the turns of the controller's loop.

let traces = 0;

function render({ model, el }) {
  const states = model.get("states"), group = `kubelab-trace-${++traces}`;
  const inside = h("div", { class: "kl-chips", role: "radiogroup", "aria-label": "Pods that the selector matches" });
  const outside = h("div", { class: "kl-chips", role: "radiogroup", "aria-label": "Pods that it does not match" });
  const sum = h("p", { class: "kl-sum" });
  const turns = h("tbody");
  const buttons = actions("What to change", model.get("buttons"), (name) => model.send({ press: name, pod: model.get("chosen") }));

  function chip(pod) {
    const input = h("input", { type: "radio", name: group, value: pod.name, onchange: () => { model.set("chosen", pod.name); model.save_changes(); } });
    input.checked = pod.name === model.get("chosen");
    return h("label", { class: "kl-chip", "data-state": pod.state, "data-name": pod.name }, input, stateMark(states, pod.state, false),
      h("span", { class: "kl-mono" }, pod.name), h("span", { class: "kl-quiet" }, ` ${pod.own ? "owned" : "not owned"}, ${pod.status}`));
  }

  function place(box, pods, none) {
    const focused = box.contains(document.activeElement) ? document.activeElement.value : null;
    box.replaceChildren(...(pods.length ? pods.map(chip) : [h("span", { class: "kl-quiet" }, none)]));
    if (focused) box.querySelector(`input[value="${focused}"]`)?.focus();
  }

  function draw() {
    const pods = model.get("pods"), last = model.get("turns")[0];
    place(inside, pods.filter((pod) => pod.matched), "none");
    place(outside, pods.filter((pod) => !pod.matched), "none");
    if (last) fill(sum, h("b", {}, `${last.wanted}`), " wanted − ", h("b", {}, `${last.own}`), " counted = ", h("b", {}, `${last.difference}`), ` → ${last.verdict}`);
  }

  function drawTurns() {
    fill(turns, ...model.get("turns").map((turn) => h("tr", { class: turn.difference ? "kl-off" : "" },
      h("th", { scope: "row" }, `${turn.number}`), h("td", { class: "kl-quiet kl-at" }, `${turn.at.toFixed(1)} s`),
      h("td", {}, `${turn.wanted}`), h("td", {}, `${turn.matched.length}`),
      h("td", {}, `${turn.own}${turn.ending.length ? ` (${turn.ending.length} ending)` : ""}`),
      h("td", {}, `${turn.difference > 0 ? "+" : ""}${turn.difference}`),
      h("td", {}, [turn.verdict, ...turn.left].join("; ")), h("td", { class: "kl-did" }, turn.did.join("; ")))));
    draw();
  }

  return frame({ model, el }, [
    h("p", {}, "Selector: ", h("code", {}, model.get("selector"))),
    h("div", { class: "kl-sets" },
      h("fieldset", {}, h("legend", {}, "Matched by the selector"), inside),
      h("fieldset", {}, h("legend", {}, "Other pods of the namespace"), outside)),
    sum, buttons.element,
    h("div", { class: "kl-scroll" }, h("table", {}, h("caption", {}, "Turns of the loop, newest first"),
      h("thead", {}, h("tr", {}, ...["Turn", "At", "Wanted", "Matched", "Counted", "Difference", "So", "Done before it"].map((title) => h("th", { scope: "col" }, title)))), turns)),
  ], { pods: draw, chosen: draw, turns: drawTurns, buttons: () => buttons.draw(model.get("buttons")) });
}

export default { render };

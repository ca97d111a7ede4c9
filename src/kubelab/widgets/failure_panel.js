// The failure panel's picture. All state is in the model's traits; this file only draws it and reports what was pressed.

/** "60 pods: 58 ● Ready, 2 ✕ Failed". */
function summary(pods, states) {
  const counts = new Map();
  for (const { state } of pods) {
    const words = `${states[state].shape} ${states[state].label}`;
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  return `${pods.length} pods: ${[...counts].map(([state, count]) => `${count} ${state}`).join(", ")}.`;
}

function render({ model, el }) {
  const group = `kubelab-pods-${++groups}`;
  const rows = h("tbody");
  const sum = h("p", { class: "kl-tally kl-quiet" });
  const nodes = h("p", { class: "kl-nodes" });
  const none = h("p", { class: "kl-quiet" }, "No pods yet.");
  const strip = h("div", { class: "kl-strip", role: "img" });
  const tally = h("p", { class: "kl-tally kl-quiet" });
  const buttons = h("div", { class: "kl-buttons", role: "group", "aria-label": "Failures" });
  const effect = h("p", { class: "kl-effect" });
  const python = h("code");
  const terminal = h("code");
  const asking = prediction((place, answer) => model.send({ predict: shown.name, answer, pod: model.get("chosen") }),
    (words) => { model.set("said", words); });
  const score = verdict();
  const events = h("tbody");
  let shown = model.get("failures")[0]; // the failure whose twins are shown
  let over = false; // whether the picture is the last one

  function podRow(name) {
    const radio = h("input", {
      type: "radio", name: group, value: name, "aria-label": name,
      onchange: () => { model.set("chosen", name); model.save_changes(); },
    });
    const row = h("tr", { onclick: () => { if (!radio.checked) radio.click(); } },
      h("td", {}, h("label", {}, radio, h("span", { class: "kl-name" }, name))),
      h("td", { class: "kl-status" }), h("td", { class: "kl-ready" }),
      h("td", { class: "kl-restarts" }), h("td", { class: "kl-node" }));
    row.dataset.name = name;
    return row;
  }

  function write(row, pod) {
    const set = (cell, text) => { const td = row.querySelector(cell); if (td.textContent !== text) td.textContent = text; };
    row.dataset.state = pod.state;
    set(".kl-status", `${pod.shape} ${pod.status}`);
    set(".kl-ready", pod.ready);
    set(".kl-restarts", pod.last ? `${pod.restarts} · ${pod.last}` : String(pod.restarts));
    set(".kl-node", pod.node || "–");
    if (row.dataset.restarts && Number(row.dataset.restarts) < pod.restarts) {
      row.classList.remove("kl-flash");
      void row.offsetWidth; // start the animation anew
      row.classList.add("kl-flash");
    }
    row.dataset.restarts = pod.restarts;
  }

  // Rows are kept and changed, not drawn anew, so that the keyboard's focus stays where it is.
  function drawPods() {
    const pods = model.get("pods");
    const kept = new Map([...rows.children].map((row) => [row.dataset.name, row]));
    pods.forEach((pod, place) => {
      const row = kept.get(pod.name) ?? podRow(pod.name);
      kept.delete(pod.name);
      write(row, pod);
      if (rows.children[place] !== row) rows.insertBefore(row, rows.children[place] ?? null);
    });
    for (const gone of kept.values()) gone.remove();
    sum.textContent = summary(pods, model.get("states"));
    sum.hidden = pods.length < 6; // fewer are counted at a glance
    none.hidden = pods.length > 0;
    drawChosen();
  }

  function drawChosen() {
    const chosen = model.get("chosen");
    for (const row of rows.children) {
      row.querySelector("input").checked = row.dataset.name === chosen;
      row.classList.toggle("kl-chosen", row.dataset.name === chosen);
    }
    drawButtons();
  }

  /** What a failure would hit: a pod, its node, or the node that is away; "" where there is none. */
  function target(failure) {
    const chosen = model.get("chosen");
    if (failure.needs === "lost") return model.get("nodes").find((node) => !node.ready)?.name ?? "";
    if (failure.needs === "node") return model.get("pods").find((pod) => pod.name === chosen)?.node ?? "";
    return chosen;
  }

  /** Whether a prediction is still due for this failure and the chosen pod. */
  function locked(failure) {
    return failure.name in model.get("questions") && !(`${failure.name}/${model.get("chosen")}` in model.get("given"));
  }

  function drawQuestion() {
    const asked = model.get("questions")[shown.name], chosen = model.get("chosen");
    asking.element.hidden = !asked || !locked(shown) || over;
    if (asked) asking.draw(`${shown.name}/${chosen}`, `${shown.label} in ${chosen}. First your prediction: ${asked.question}`, asked.options);
  }

  // aria-disabled and not disabled: a button that cannot be used now keeps the keyboard's focus and says what it is for.
  function drawButtons() {
    model.get("failures").forEach((failure, place) => {
      const off = over || !failure.able || !target(failure);
      buttons.children[place]?.setAttribute("aria-disabled", String(off || locked(failure)));
      buttons.children[place]?.toggleAttribute("data-locked", !off && locked(failure));
    });
    drawTwins();
    drawQuestion();
  }

  function drawNodes() {
    const words = model.get("nodes").map((node) => h("span", { class: node.ready ? "kl-state" : "kl-state kl-away", "data-state": node.state }, `${node.shape} ${node.name} ${node.status}`));
    nodes.replaceChildren("Nodes: ", ...words);
    drawButtons();
  }

  function drawTwins() {
    const aim = target(shown) || (shown.needs === "pod" ? "POD" : "NODE");
    const aimed = (twin) => twin.replaceAll(/POD|NODE/g, aim);
    effect.textContent = `${shown.label}: ${shown.effect}.`;
    python.textContent = aimed(shown.python);
    terminal.textContent = aimed(shown.terminal);
  }

  function drawAnswers() {
    const answers = model.get("answers");
    const good = answers.filter(Boolean).length;
    const pod = model.get("chosen") || "no pod";
    strip.replaceChildren(...answers.map((ok) => h("i", { class: ok ? "kl-yes" : "kl-no" }, ok ? "" : "✕")));
    const words = `Requests to ${pod}: ${good} answered, ${answers.length - good} not.`;
    tally.textContent = `${words} Newest at the right.`;
    strip.setAttribute("aria-label", words);
  }

  function drawEvents() {
    events.replaceChildren(...model.get("events").map((event) =>
      h("tr", { class: event.warning ? "kl-warning" : "" },
        h("td", {}, `${event.warning ? "▲" : "·"} ${event.reason}${event.count > 1 ? ` ×${event.count}` : ""}`),
        h("td", {}, event.about), h("td", {}, event.message))));
  }

  for (const failure of model.get("failures")) {
    const show = () => { shown = failure; drawTwins(); drawQuestion(); };
    buttons.append(h("button", {
      type: "button", class: "kl-button", title: failure.effect, onfocus: show,
      onclick: ({ currentTarget }) => {
        show();
        if (currentTarget.getAttribute("aria-disabled") !== "true") model.send({ press: failure.name, pod: model.get("chosen") });
        else if (!asking.element.hidden) asking.focus();
      },
    }, failure.label));
  }

  el.classList.add("kl-panel");
  return frame({ model, el }, [
    h("div", { class: "kl-scroll" }, h("table", { class: "kl-pods" },
      h("caption", {}, "1. Pick a pod"),
      h("thead", {}, h("tr", {}, ...["Pod", "Status", "Ready", "Restarts", "Node"].map((title) => h("th", { scope: "col" }, title)))),
      rows), none), sum, nodes,
    h("p", { class: "kl-step" }, "2. Predict, then press a failure"), buttons, h("p", { class: "kl-quiet" }, model.get("limits")), effect,
    asking.element,
    h("dl", { class: "kl-twins" }, h("dt", {}, "Python"), h("dd", {}, python), h("dt", {}, "Terminal"), h("dd", {}, terminal)),
    score.element,
    h("p", { class: "kl-step" }, "3. Watch"), strip, tally,
    h("div", { class: "kl-scroll" }, h("table", { class: "kl-events" },
      h("caption", {}, "Events, newest first"),
      h("thead", {}, h("tr", {}, ...["Reason", "Object", "Message"].map((title) => h("th", { scope: "col" }, title)))),
      events)),
  ], {
    pods: () => { drawPods(); drawAnswers(); }, chosen: () => { drawChosen(); drawAnswers(); }, answers: drawAnswers,
    events: drawEvents, nodes: drawNodes, given: drawButtons, verdict: () => score.draw(model.get("verdict")),
  }, (yes) => { over = yes; drawButtons(); });
}

export default { render };

// The failure panel's picture. All state is in the model's traits; this file only draws it and reports what was pressed.

/** An element with attributes and children: h("button", { class: "x" }, "text"). */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** "60 pods: 58 ● ready, 2 ✕ failed". */
function summary(pods) {
  const counts = new Map();
  for (const pod of pods) counts.set(`${pod.shape} ${pod.state}`, (counts.get(`${pod.shape} ${pod.state}`) ?? 0) + 1);
  return `${pods.length} pods: ${[...counts].map(([state, count]) => `${count} ${state}`).join(", ")}.`;
}

const SILENCE = 10_000; // milliseconds without a beat, of which there is one every two seconds
let panels = 0;

function render({ model, el }) {
  const group = `kubelab-pods-${++panels}`; // radio buttons of one view belong together
  const state = h("span", { class: "kl-live" });
  const rows = h("tbody");
  const sum = h("p", { class: "kl-tally" });
  const nodes = h("p", { class: "kl-nodes" });
  const none = h("p", { class: "kl-none" }, "No pods yet.");
  const strip = h("div", { class: "kl-strip", role: "img" });
  const tally = h("p", { class: "kl-tally" });
  const buttons = h("div", { class: "kl-buttons", role: "group", "aria-label": "Failures" });
  const effect = h("p", { class: "kl-effect" });
  const python = h("code");
  const terminal = h("code");
  const said = h("p", { class: "kl-said", role: "status", "aria-live": "polite" });
  const question = h("legend");
  const answers = h("div", { class: "kl-answers" });
  const commit = h("button", { type: "button", class: "kl-button", onclick: predict }, "That is my prediction");
  const asking = h("fieldset", { class: "kl-question" }, question, answers, commit);
  const verdict = h("div", { class: "kl-verdict", role: "status", "aria-live": "polite" });
  const events = h("tbody");
  let shown = model.get("failures")[0]; // the failure whose twins are shown
  let heard = performance.now(); // when the kernel last gave a sign of life
  let orphaned = ""; // why the picture no longer moves, as far as the page can tell

  function drawState() {
    const trouble = model.get("trouble"), ended = orphaned || model.get("ended");
    state.textContent = ended ? `■ stopped: ${ended}. This is the last picture.` : trouble ? `▲ standing still: ${trouble}` : "● live";
    state.classList.toggle("kl-trouble", Boolean(trouble || ended));
    drawButtons();
  }

  // Nobody tells a page that the kernel has ended; but then the beats stop.
  function listen() {
    const silent = performance.now() - heard > SILENCE;
    if (silent === Boolean(orphaned) || model.get("ended")) return;
    orphaned = silent ? "the kernel does not answer; if it has ended, run the chapter's cells again" : "";
    drawState();
  }

  // JupyterLab would take the arrow keys to move among cells, and letters as its shortcuts; what they do here stays.
  function keepKeys(event) {
    const passed = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || ["Tab", "Escape"].includes(event.key);
    if (!passed && el.contains(event.target)) event.stopPropagation();
  }

  function hear() {
    heard = performance.now();
    listen();
  }

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

  function fill(row, pod) {
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
      fill(row, pod);
      if (rows.children[place] !== row) rows.insertBefore(row, rows.children[place] ?? null);
    });
    for (const gone of kept.values()) gone.remove();
    sum.textContent = summary(pods);
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

  function predict() {
    const answer = answers.querySelector("input:checked")?.value;
    if (!answer) return void (said.textContent = "Choose one of the answers first.");
    model.send({ predict: shown.name, answer, pod: model.get("chosen") });
  }

  // Drawn anew only when it is another question, so that a choice and the keyboard's focus are kept.
  function drawQuestion() {
    const asked = model.get("questions")[shown.name];
    asking.hidden = !asked || !locked(shown) || Boolean(orphaned || model.get("ended"));
    const place = `${shown.name}/${model.get("chosen")}`;
    if (!asked || asking.dataset.place === place) return;
    asking.dataset.place = place;
    question.textContent = `${shown.label} in ${model.get("chosen")}. First your prediction: ${asked.question}`;
    answers.replaceChildren(...asked.options.map((option) => h("label", {},
      h("input", { type: "radio", name: `${group}-answer`, value: option.key }), ` ${option.text}`)));
  }

  function drawVerdict() {
    const score = model.get("verdict");
    verdict.hidden = !score.text;
    if (!score.text) return;
    verdict.replaceChildren(
      h("strong", {}, `${score.right ? "✓ As you said" : "✗ Not as you said"}: ${score.failure} in ${score.pod}`),
      ...score.answers.flatMap((answer) => [
        h("p", {}, `You said: ${answer.yours}. It was: ${answer.truth}.`),
        h("p", {}, `Why: ${answer.explain}`),
        ...(answer.mistaken ? [h("p", {}, `And your answer? ${answer.mistaken}`)] : [])]),
      h("p", {}, "The records say:"), h("ul", {}, ...score.records.map((record) => h("li", {}, record))));
  }

  // aria-disabled and not disabled: a button that cannot be used now keeps the keyboard's focus and says what it is for.
  function drawButtons() {
    const over = Boolean(orphaned || model.get("ended"));
    model.get("failures").forEach((failure, place) => {
      const off = over || !failure.able || !target(failure);
      buttons.children[place]?.setAttribute("aria-disabled", String(off || locked(failure)));
      buttons.children[place]?.toggleAttribute("data-locked", !off && locked(failure));
    });
    drawTwins();
    drawQuestion();
  }

  function drawNodes() {
    const words = model.get("nodes").map((node) => h("span", { class: node.ready ? "" : "kl-away" }, `${node.shape} ${node.name} ${node.status}`));
    nodes.replaceChildren("Nodes: ", ...words);
    drawButtons();
  }

  function drawTwins() {
    const aim = target(shown) || (shown.needs === "pod" ? "POD" : "NODE");
    const fill = (twin) => twin.replaceAll(/POD|NODE/g, aim);
    effect.textContent = `${shown.label}: ${shown.effect}.`;
    python.textContent = fill(shown.python);
    terminal.textContent = fill(shown.terminal);
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

  function drawSaid() {
    said.textContent = model.get("said");
  }

  for (const failure of model.get("failures")) {
    const show = () => { shown = failure; drawTwins(); drawQuestion(); };
    buttons.append(h("button", {
      type: "button", class: "kl-button", title: failure.effect, onfocus: show,
      onclick: ({ currentTarget }) => {
        show();
        if (currentTarget.getAttribute("aria-disabled") !== "true") model.send({ press: failure.name, pod: model.get("chosen") });
        else if (!asking.hidden) answers.querySelector("input")?.focus();
      },
    }, failure.label));
  }

  el.classList.add("kl-panel");
  el.replaceChildren(
    h("div", { class: "kl-head" }, h("strong", {}, `Failure panel · ${model.get("namespace")}`), state),
    h("div", { class: "kl-scroll kl-many" }, h("table", { class: "kl-pods" },
      h("caption", {}, "1. Pick a pod"),
      h("thead", {}, h("tr", {}, ...["Pod", "Status", "Ready", "Restarts", "Node"].map((title) => h("th", { scope: "col" }, title)))),
      rows), none), sum, nodes,
    h("p", { class: "kl-step" }, "2. Predict, then press a failure"), buttons, h("p", { class: "kl-tally" }, model.get("limits")), effect,
    asking,
    h("dl", { class: "kl-twins" }, h("dt", {}, "Python"), h("dd", {}, python), h("dt", {}, "Terminal"), h("dd", {}, terminal)),
    said, verdict,
    h("p", { class: "kl-step" }, "3. Watch"), strip, tally,
    h("div", { class: "kl-scroll kl-many" }, h("table", { class: "kl-events" },
      h("caption", {}, "Events, newest first"),
      h("thead", {}, h("tr", {}, ...["Reason", "Object", "Message"].map((title) => h("th", { scope: "col" }, title)))),
      events)));

  const drawing = {
    pods: () => { drawPods(); drawAnswers(); }, chosen: () => { drawChosen(); drawAnswers(); }, answers: drawAnswers,
    events: drawEvents, said: drawSaid, trouble: drawState, ended: drawState,
    nodes: drawNodes, given: drawButtons, verdict: drawVerdict,
  };
  for (const [trait, draw] of Object.entries(drawing)) {
    model.on(`change:${trait}`, draw);
    draw();
  }
  window.addEventListener("keydown", keepKeys, true);
  model.on("change:beat", hear);
  const listening = setInterval(listen, 1000);
  return () => {
    window.removeEventListener("keydown", keepKeys, true);
    model.off("change:beat", hear);
    clearInterval(listening);
    for (const [trait, draw] of Object.entries(drawing)) model.off(`change:${trait}`, draw);
  };
}

export default { render };

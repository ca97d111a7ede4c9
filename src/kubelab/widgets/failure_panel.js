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

let panels = 0;

function render({ model, el }) {
  const group = `kubelab-pods-${++panels}`; // radio buttons of one view belong together
  const state = h("span", { class: "kl-live" });
  const rows = h("tbody");
  const none = h("p", { class: "kl-none" }, "No pods yet.");
  const strip = h("div", { class: "kl-strip", role: "img" });
  const tally = h("p", { class: "kl-tally" });
  const buttons = h("div", { class: "kl-buttons", role: "group", "aria-label": "Failures" });
  const effect = h("p", { class: "kl-effect" });
  const python = h("code");
  const kubectl = h("code");
  const said = h("p", { class: "kl-said", role: "status", "aria-live": "polite" });
  const events = h("tbody");
  let shown = model.get("failures")[0]; // the failure whose twins are shown

  function drawState() {
    const trouble = model.get("trouble");
    state.textContent = trouble ? `▲ standing still: ${trouble}` : "● live";
    state.classList.toggle("kl-trouble", Boolean(trouble));
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
    none.hidden = pods.length > 0;
    drawChosen();
  }

  function drawChosen() {
    const chosen = model.get("chosen");
    for (const row of rows.children) {
      row.querySelector("input").checked = row.dataset.name === chosen;
      row.classList.toggle("kl-chosen", row.dataset.name === chosen);
    }
    for (const button of buttons.children) button.disabled = !chosen;
    drawTwins();
  }

  function drawTwins() {
    const pod = model.get("chosen") || "POD";
    effect.textContent = `${shown.label}: ${shown.effect}.`;
    python.textContent = shown.python.replaceAll("POD", pod);
    kubectl.textContent = shown.kubectl.replaceAll("POD", pod);
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
    const show = () => { shown = failure; drawTwins(); };
    buttons.append(h("button", {
      type: "button", class: "kl-button", title: failure.effect, onfocus: show, onmouseenter: show,
      onclick: () => { show(); model.send({ press: failure.name, pod: model.get("chosen") }); },
    }, failure.label));
  }

  el.classList.add("kl-panel");
  el.replaceChildren(
    h("div", { class: "kl-head" }, h("strong", {}, `Failure panel · ${model.get("namespace")}`), state),
    h("div", { class: "kl-scroll" }, h("table", { class: "kl-pods" },
      h("caption", {}, "1. Pick a pod"),
      h("thead", {}, h("tr", {}, ...["Pod", "Status", "Ready", "Restarts", "Node"].map((title) => h("th", { scope: "col" }, title)))),
      rows), none),
    h("p", { class: "kl-step" }, "2. Press a failure"), buttons, effect,
    h("dl", { class: "kl-twins" }, h("dt", {}, "Python"), h("dd", {}, python), h("dt", {}, "kubectl"), h("dd", {}, kubectl)),
    said,
    h("p", { class: "kl-step" }, "3. Watch"), strip, tally,
    h("div", { class: "kl-scroll" }, h("table", { class: "kl-events" },
      h("caption", {}, "Events, newest first"),
      h("thead", {}, h("tr", {}, ...["Reason", "Object", "Message"].map((title) => h("th", { scope: "col" }, title)))),
      events)));

  const drawing = {
    pods: () => { drawPods(); drawAnswers(); }, chosen: () => { drawChosen(); drawAnswers(); }, answers: drawAnswers,
    events: drawEvents, said: drawSaid, trouble: drawState,
  };
  for (const [trait, draw] of Object.entries(drawing)) {
    model.on(`change:${trait}`, draw);
    draw();
  }
  return () => {
    for (const [trait, draw] of Object.entries(drawing)) model.off(`change:${trait}`, draw);
  };
}

export default { render };

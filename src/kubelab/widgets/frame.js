// What all labs have in common. It is put in front of each widget's own script: see frame.py.

/** An element with attributes and children: h("button", { class: "x", onclick: f }, "text"). */
function h(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

/** The same for a drawing: s("circle", { r: 4 }). */
function s(tag, attributes = {}, ...children) {
  return dress(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A state in the course's one language: its shape, and its word unless only the shape is wanted. */
function stateMark(states, name, word = true) {
  const { shape, label } = states[name] ?? { shape: "·", label: name };
  const mark = h("span", { class: "kl-state", "data-state": name }, h("span", { "aria-hidden": word }, shape));
  if (word) mark.append(` ${label}`);
  else mark.setAttribute("title", label);
  return mark;
}

/** Replace an element's children only where they would differ, so that focus and selection stay. */
function fill(element, ...children) {
  const fresh = element.cloneNode(false);
  fresh.append(...children);
  if (fresh.innerHTML !== element.innerHTML) element.replaceChildren(...fresh.childNodes);
}

/** A slider with its value beside it; `oninput` gets the number. */
function slider(label, { min, max, step = 1, value, unit = "" }, oninput) {
  const output = h("output", {}, `${value}${unit}`);
  const input = h("input", {
    type: "range", min, max, step, value, "aria-label": label,
    oninput: () => { output.textContent = `${input.value}${unit}`; input.setAttribute("aria-valuetext", output.textContent); oninput(Number(input.value)); },
  });
  input.setAttribute("aria-valuetext", output.textContent);
  const set = (number) => { if (Number(input.value) !== number) { input.value = number; output.textContent = `${number}${unit}`; } };
  return { element: h("label", { class: "kl-slider" }, h("span", {}, label), input, output), set };
}

/** Buttons with what they do in words, and their Python and terminal twins under them.
 *  `choices`: [{ name, label, effect, python, terminal, able, locked }]; `press(name)` is called with the one that was
 *  pressed, `turned(choice, pressed)` with the one that is looked at, and if it is locked, with the one that was pressed. */
function actions(label, choices, press, turned = () => {}) {
  const effect = h("p", { class: "kl-effect" }), python = h("code"), terminal = h("code");
  let shown = choices[0]?.name;
  const show = (choice) => {
    shown = choice.name;
    effect.textContent = `${choice.label}: ${choice.effect}.`;
    python.textContent = choice.python;
    terminal.textContent = choice.terminal;
    turned(choice, false);
  };
  const button = (choice) => h("button", {
    type: "button", class: "kl-button", "data-press": choice.name, "aria-disabled": String(choice.able === false || Boolean(choice.locked)), "data-locked": Boolean(choice.locked),
    onfocus: () => show(choice), onmouseenter: () => show(choice),
    onclick: ({ currentTarget }) => {
      show(choice);
      if (currentTarget.getAttribute("aria-disabled") !== "true") press(choice.name);
      else if (choice.locked) turned(choice, true);
    },
  }, choice.label);
  const group = h("div", { class: "kl-buttons", role: "group", "aria-label": label });
  const draw = (list) => {
    const focused = group.contains(document.activeElement) ? document.activeElement.dataset.press : null;
    group.replaceChildren(...list.map(button));
    if (focused) group.querySelector(`[data-press="${focused}"]`)?.focus();
    const same = list.find((choice) => choice.name === shown);
    if (same) show(same);
  };
  draw(choices);
  const twins = h("dl", { class: "kl-twins" },
    h("dt", {}, "Python"), h("dd", {}, python), h("dt", {}, "Terminal"), h("dd", {}, terminal));
  return { element: h("div", {}, group, effect, twins), draw };
}

let groups = 0; // radio buttons of one view belong together

/** A question with its possible answers, before something may be pressed; `commit(place, key)` gets the answer.
 *  `draw(place, text, options)` shows it, and anew only where `place` is another, so that a choice and the focus stay. */
function prediction(commit, say) {
  const group = `kubelab-answer-${++groups}`, legend = h("legend"), answers = h("div", { class: "kl-answers" });
  const given = () => {
    const answer = answers.querySelector("input:checked")?.value;
    if (answer) commit(element.dataset.place, answer);
    else say("Choose one of the answers first.");
  };
  const element = h("fieldset", { class: "kl-question" }, legend, answers,
    h("button", { type: "button", class: "kl-button", onclick: given }, "That is my prediction"));
  const draw = (place, text, options) => {
    if (element.dataset.place === place) return;
    element.dataset.place = place;
    legend.textContent = text;
    answers.replaceChildren(...options.map((option) => h("label", {}, h("input", { type: "radio", name: group, value: option.key }), ` ${option.text}`)));
  };
  return { element, draw, focus: () => answers.querySelector("input")?.focus() };
}

/** What became of a prediction: a score of kubelab.course.predictions, as Score.document gives it. */
function verdict() {
  const element = h("div", { class: "kl-verdict", role: "status", "aria-live": "polite" });
  const draw = (score) => {
    element.hidden = !score.text;
    if (!score.text) return;
    fill(element,
      h("strong", {}, `${score.right ? "✓ As you said" : "✗ Not as you said"}: ${score.failure} in ${score.pod}`),
      ...score.answers.flatMap((answer) => [
        h("p", {}, `You said: ${answer.yours}. It was: ${answer.truth}.`),
        h("p", {}, `Why: ${answer.explain}`),
        ...(answer.mistaken ? [h("p", {}, `And your answer? ${answer.mistaken}`)] : [])]),
      h("p", {}, "The records say:"), h("ul", {}, ...score.records.map((record) => h("li", {}, record))));
  };
  return { element, draw };
}

const SILENCE = 10_000; // milliseconds without a beat, of which there is one every two seconds

/** The frame around a lab: title, whether it is live, what was said last, and the picture in words.
 *  `draw`: trait -> function that draws it, called at once and after each change. `over(yes)` is told whether the
 *  picture is the last one. Returns what render() returns. */
function frame({ model, el }, children, draw, over = () => {}) {
  const state = h("span", { class: "kl-live" });
  const said = h("p", { class: "kl-said", role: "status", "aria-live": "polite" });
  const words = h("pre", { class: "kl-words", tabindex: "0" });
  const progress = h("progress", { max: "1", class: "kl-progress" });
  const doing = h("p", { class: "kl-doing" }, progress, h("span"));
  let heard = performance.now(), orphaned = "";

  function drawState() {
    const trouble = model.get("trouble"), ended = orphaned || model.get("ended");
    state.textContent = ended ? `■ stopped: ${ended}. This is the last picture.` : trouble ? `▲ ${trouble}` : "● live";
    state.classList.toggle("kl-trouble", Boolean(trouble || ended));
    el.classList.toggle("kl-ended", Boolean(ended));
    over(Boolean(ended));
  }

  function drawProgress() {
    const { share, text } = model.get("progress");
    doing.hidden = !text;
    if (share == null) progress.removeAttribute("value");
    else progress.value = share;
    doing.lastChild.textContent = text ? ` ${text}` : "";
  }

  // Nobody tells a page that the kernel has ended; but then the beats stop.
  function listen() {
    const silent = performance.now() - heard > SILENCE;
    if (silent === Boolean(orphaned) || model.get("ended")) return;
    orphaned = silent ? "the kernel does not answer; if it has ended, run the chapter's cells again" : "";
    drawState();
  }
  const hear = () => { heard = performance.now(); listen(); };

  // JupyterLab would take the arrow keys to move among cells, and letters as its shortcuts; what they do here stays.
  function keepKeys(event) {
    const passed = event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter") || ["Tab", "Escape"].includes(event.key);
    if (!passed && el.contains(event.target)) event.stopPropagation();
  }

  el.classList.add("kl-lab");
  el.dataset.lab = model.get("title").split(" · ")[0].toLowerCase().replaceAll("×", "x").replaceAll(" ", "_");
  el.replaceChildren(
    h("div", { class: "kl-head" }, h("strong", {}, model.get("title")), state), ...children, doing, said,
    h("details", {}, h("summary", {}, "The same in words"), words));
  const drawing = {
    ...draw, trouble: drawState, ended: drawState, progress: drawProgress,
    said: () => { said.textContent = model.get("said"); },
    words: () => { words.textContent = model.get("words"); },
  };
  for (const [trait, each] of Object.entries(drawing)) {
    model.on(`change:${trait}`, each);
    each();
  }
  window.addEventListener("keydown", keepKeys, true);
  model.on("change:beat", hear);
  const listening = setInterval(listen, 1000);
  return () => {
    window.removeEventListener("keydown", keepKeys, true);
    model.off("change:beat", hear);
    clearInterval(listening);
    for (const [trait, each] of Object.entries(drawing)) model.off(`change:${trait}`, each);
  };
}

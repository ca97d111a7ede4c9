// Blast radius: the customers of both forms side by side, live, and what each blow cost.

function render({ model, el }) {
  const forms = model.get("forms");
  const modules = h("div", { class: "kl-buttons", role: "group", "aria-label": "Module" });
  const question = model.get("question");
  const asking = prediction((place, answer) => { const [what, module] = place.split("/"); model.send({ predict: what, module, answer }); },
    (words) => model.set("said", words));
  const score = verdict();
  const buttons = actions("Blow", model.get("buttons"), (name) => model.send({ press: name }), (choice, pressed) => {
    const module = model.get("module");
    asking.element.hidden = !choice.locked;
    asking.draw(`${choice.name}/${module}`, `${choice.label} in ${module}. First your prediction: ${question.text}`, question.options);
    if (pressed) asking.focus();
  });
  const sides = h("div", { class: "kl-sides" });
  const results = h("tbody");
  const parts = {};

  for (const [form, features] of Object.entries(forms)) {
    const memory = h("span", { class: "kl-quiet" }), rows = {};
    for (const feature of features) {
      const strip = h("div", { class: "kl-strip", role: "img" }), tally = h("span", { class: "kl-quiet" });
      rows[feature] = { strip, tally, element: h("div", { class: "kl-feature" }, h("span", {}, feature), strip, tally) };
    }
    parts[form] = { memory, rows };
    sides.append(h("section", { class: "kl-form", "aria-label": form }, h("div", { class: "kl-formhead" }, h("b", {}, form), memory),
      h("div", { class: "kl-boxes", "aria-hidden": "true" }), ...Object.values(rows).map((row) => row.element)));
  }

  function drawBoxes() {
    const broken = model.get("module");
    sides.querySelectorAll(".kl-form").forEach((section) => {
      const whole = section.getAttribute("aria-label") === "monolith";
      const module = (name) => h("span", { class: name === broken ? "kl-module kl-hit" : "kl-module" }, name === broken ? `⚡ ${name}` : name);
      fill(section.querySelector(".kl-boxes"), ...(whole
        ? [h("div", { class: "kl-process" }, ...model.get("modules").map(module))]
        : model.get("modules").map((name) => h("div", { class: "kl-process" }, module(name)))));
    });
  }

  function drawModules() {
    const focused = modules.contains(document.activeElement) ? document.activeElement.textContent : null;
    modules.replaceChildren(...model.get("modules").map((name) => h("button", {
      type: "button", class: "kl-button", "aria-pressed": String(name === model.get("module")),
      onclick: () => { model.set("module", name); model.save_changes(); },
    }, name)));
    if (focused) [...modules.children].find((each) => each.textContent === focused)?.focus();
    drawBoxes();
  }

  function drawStrips() {
    for (const [form, features] of Object.entries(model.get("strips"))) for (const [feature, { answers, lost, rate }] of Object.entries(features)) {
      const { strip, tally } = parts[form].rows[feature];
      strip.replaceChildren(...answers.map((ok) => h("i", { class: ok ? "kl-yes" : "kl-no" }, ok ? "" : "✕")));
      tally.textContent = `${Math.round(rate * 100)} %${lost ? `, ${lost} lost` : ""}`;
      strip.setAttribute("aria-label", `${form}, ${feature}: ${tally.textContent} answered`);
    }
  }

  function drawResults() {
    const names = Object.keys(forms);
    fill(results, ...model.get("results").flatMap((result) => forms[names[0]].map((feature, number) => h("tr", {},
      ...(number ? [] : [h("th", { scope: "rowgroup", rowspan: forms[names[0]].length }, result.what)]), h("td", {}, feature),
      ...names.map((form) => {
        const found = result.forms[form], good = found.verdicts[feature] === "all answered";
        return h("td", { "data-state": good ? "ready" : "failed" }, h("span", { class: "kl-state" }, good ? "● " : "✕ "), `${found.verdicts[feature]}${found.lost[feature] ? ` (${found.lost[feature]})` : ""}`,
          number === 0 && found.seconds ? h("div", { class: "kl-quiet" }, `redeployed in ${found.seconds} s`) : "");
      })))));
  }

  return frame({ model, el }, [
    h("p", { class: "kl-step" }, "1. Choose a module"), modules,
    h("p", { class: "kl-step" }, "2. Predict, then deal the same blow to both forms"), buttons.element, asking.element, score.element,
    h("p", { class: "kl-step" }, "3. What the customers see, newest at the right"), sides,
    h("div", { class: "kl-scroll" }, h("table", {}, h("caption", {}, "What each blow cost"),
      h("thead", {}, h("tr", {}, ...["Blow", "Feature", ...Object.keys(forms)].map((title) => h("th", { scope: "col" }, title)))), results)),
  ], {
    module: drawModules, buttons: () => buttons.draw(model.get("buttons")), strips: drawStrips, results: drawResults,
    verdict: () => score.draw(model.get("verdict")),
    memory: () => { for (const [form, value] of Object.entries(model.get("memory"))) parts[form].memory.textContent = `${value} MiB`; },
  });
}

export default { render };

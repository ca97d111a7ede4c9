// A quiz: one group of radio buttons a question. All state is in the model's traits; an answer is judged in the kernel.

function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

let quizzes = 0;

function render({ model, el }) {
  const group = `kubelab-quiz-${++quizzes}`; // radio buttons of one view belong together
  const tally = h("p", { class: "kl-tally", role: "status", "aria-live": "polite" });
  const verdicts = new Map();

  // Choosing with the arrow keys goes through the answers in between: so an answer counts when it is given, not chosen.
  function question(found, place) {
    const verdict = h("p", { class: "kl-verdict", role: "status", "aria-live": "polite" });
    verdicts.set(found.id, verdict);
    const choices = found.answers.map(({ letter, text }) => h("label", {},
      h("input", { type: "radio", name: `${group}-${found.id}`, value: letter, onchange: () => give.removeAttribute("aria-disabled") }),
      ` ${letter}) ${text}`));
    const give = h("button", {
      type: "button", class: "kl-button", "aria-disabled": "true",
      onclick: () => {
        const chosen = box.querySelector("input:checked");
        if (chosen) model.send({ id: found.id, letter: chosen.value });
      },
    }, "Answer");
    const box = h("fieldset", { "data-id": found.id }, h("legend", {}, `${place + 1}. ${found.question}`), ...choices, give, verdict);
    return box;
  }

  function drawJudged() {
    const judged = model.get("judged"), questions = model.get("questions");
    for (const [id, verdict] of verdicts) {
      const row = judged[id];
      if (row && verdict.textContent !== row.text) verdict.textContent = row.text;
      verdict.dataset.right = row ? String(row.right) : "";
    }
    const right = Object.values(judged).filter((row) => row.right).length;
    tally.textContent = model.get("said") || `${right} of ${questions.length} answered rightly.`;
  }

  // JupyterLab would take arrows and letters as its shortcuts; what they do here stays here.
  function keepKeys(event) {
    const passed = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || ["Tab", "Escape"].includes(event.key);
    if (!passed && el.contains(event.target)) event.stopPropagation();
  }

  el.classList.add("kl-quiz");
  el.replaceChildren(h("strong", {}, `Quiz · chapter ${Number(model.get("chapter"))}`), ...model.get("questions").map(question), tally);
  model.on("change:judged", drawJudged);
  model.on("change:said", drawJudged);
  window.addEventListener("keydown", keepKeys, true);
  drawJudged();
  return () => {
    window.removeEventListener("keydown", keepKeys, true);
    model.off("change:judged", drawJudged);
    model.off("change:said", drawJudged);
  };
}

export default { render };

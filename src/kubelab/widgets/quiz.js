// A quiz: one group of radio buttons a question. All state is in the model's traits; an answer is judged in the kernel.

function render({ model, el }) {
  const group = `kubelab-quiz-${++groups}`;
  const tally = h("p", { class: "kl-tally", role: "status", "aria-live": "polite" });
  const verdicts = new Map();

  // Choosing with the arrow keys goes through the answers in between: so an answer counts when it is given, not chosen.
  function question(found, place) {
    const said = h("p", { class: "kl-verdict", role: "status", "aria-live": "polite", hidden: true });
    verdicts.set(found.id, said);
    const choices = found.answers.map(({ letter, text }) => h("label", {},
      h("input", { type: "radio", name: `${group}-${found.id}`, value: letter, onchange: () => give.setAttribute("aria-disabled", "false") }),
      ` ${letter}) ${text}`));
    const give = h("button", {
      type: "button", class: "kl-button", "aria-disabled": "true",
      onclick: () => {
        const chosen = box.querySelector("input:checked");
        if (chosen) model.send({ press: "answer", id: found.id, letter: chosen.value });
      },
    }, "Answer");
    const box = h("fieldset", { class: "kl-question", "data-id": found.id },
      h("legend", {}, `${place + 1}. ${found.question}`), h("div", { class: "kl-answers" }, ...choices), give, said);
    return box;
  }

  function drawJudged() {
    const judged = model.get("judged"), questions = model.get("questions");
    for (const [id, said] of verdicts) {
      const row = judged[id];
      said.hidden = !row;
      if (row && said.textContent !== row.text) said.textContent = row.text;
      said.dataset.state = row ? (row.right ? "ready" : "failed") : "";
    }
    const right = Object.values(judged).filter((row) => row.right).length;
    tally.textContent = `${right} of ${questions.length} answered rightly.`;
  }

  el.classList.add("kl-quiz");
  return frame({ model, el }, [...model.get("questions").map(question), tally], { judged: drawJudged });
}

export default { render };

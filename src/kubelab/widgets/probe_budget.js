// The probe budget: the sliders' prediction as a band on a time line, and each measurement drawn on it.

const WIDTH = 900, LEFT = 150, ROW = 34;

function render({ model, el }) {
  const sliders = model.get("sliders").map(({ name, label, min, max, unit }) => ({
    name, ...slider(label, { min, max, unit, value: model.get("chosen")[name] }, (number) => model.send({ press: "choose", [name]: number })),
  }));
  const failures = h("div", { class: "kl-buttons", role: "group", "aria-label": "Failure" });
  const prediction = h("p", { class: "kl-prediction", role: "status", "aria-live": "polite" });
  const picture = s("svg", { role: "img" });
  const python = h("code"), terminal = h("code");
  const measure = h("button", { type: "button", class: "kl-button", onclick: () => model.send({ press: "measure" }) }, "Measure it");

  function drawFailures() {
    fill(failures);
    failures.replaceChildren(...model.get("failures").map((name) => h("button", {
      type: "button", class: "kl-button", "aria-pressed": String(name === model.get("failure")),
      onclick: () => model.send({ press: "choose", failure: name }),
    }, name)));
  }

  function draw() {
    for (const each of sliders) each.set(model.get("chosen")[each.name]);
    const soonest = model.get("soonest"), latest = model.get("latest"), measured = model.get("measured");
    const { delay, period, timeout, threshold } = model.get("chosen"), dead = model.get("failure") === "deadlock";
    prediction.textContent = `Prediction: found ${soonest} to ${latest} s after the failure: up to ${period} s until the next probe, `
      + `then ${threshold} failures in a row${threshold > 1 ? `, ${Math.max(period, dead ? timeout : 0)} s apart` : ""}${dead ? `, each waiting ${timeout} s for an answer` : ""}.`
      + (delay ? ` In its first ${delay} s the container is not asked at all.` : "");
    const last = Math.max(latest, ...measured.map((one) => Math.max(one.found, one.latest))) * 1.08 + 0.5;
    const x = (at) => LEFT + (at / last) * (WIDTH - LEFT - 20), height = 40 + ROW * (1 + measured.length);
    const band = (from, to, y, label) => [
      s("rect", { class: "kl-band", x: x(from), y: y + 5, width: x(to) - x(from), height: ROW - 14, rx: 3 }, s("title", {}, label)),
    ];
    const parts = [];
    const every = [1, 2, 5, 10, 20].find((each) => last / each <= 10) ?? 30;
    for (let at = 0; at <= last; at += every) parts.push(
      s("line", { class: "kl-grid", x1: x(at), x2: x(at), y1: 18, y2: height }), s("text", { class: "kl-quiet", x: x(at) + 2, y: 12 }, `${at} s`));
    parts.push(s("text", { x: 0, y: 42 }, "predicted"), ...band(soonest, latest, 22, `between ${soonest} and ${latest} s`));
    // the probes of the slowest case, so that one sees what the numbers do
    const step = Math.max(period, dead ? timeout : 0);
    for (let number = 0; number < threshold; number += 1) {
      const from = period + number * step, to = from + (dead ? timeout : 0.05);
      parts.push(s("rect", { class: "kl-probe", x: x(from), y: 26 + ROW - 12, width: Math.max(2, x(to) - x(from)), height: 4 }, s("title", {}, `probe ${number + 1} of the slowest case`)));
    }
    measured.forEach((one, number) => {
      const y = 22 + ROW * (number + 1);
      parts.push(s("text", { x: 0, y: y + 20, class: "kl-quiet" }, `${one.failure} ${one.probe.period}/${one.probe.timeout}/${one.probe.threshold}`),
        ...band(one.soonest, one.latest, y, `predicted ${one.soonest} to ${one.latest} s`),
        ...one.unhealthy.map((at) => s("text", { x: x(at) - 5, y: y + 20, "data-state": "failed" }, s("title", {}, `probe failed after ${at} s`), "✕")),
        s("line", { class: "kl-found", x1: x(one.found), x2: x(one.found), y1: y + 2, y2: y + ROW - 6 }),
        s("text", { x: x(one.found) + 5, y: y + 20 }, `${one.found.toFixed(1)} s`));
    });
    picture.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
    picture.setAttribute("aria-label", model.get("words"));
    picture.replaceChildren(...parts);
  }

  function drawTwins() {
    python.textContent = model.get("twins").python;
    terminal.textContent = model.get("twins").terminal;
  }

  return frame({ model, el }, [
    h("p", { class: "kl-step" }, "1. Choose a probe"), h("div", { class: "kl-sliders" }, ...sliders.map((each) => each.element)),
    h("p", { class: "kl-step" }, "2. Choose a failure"), failures, prediction,
    h("p", { class: "kl-step" }, "3. Measure"), h("div", { class: "kl-buttons" }, measure),
    h("dl", { class: "kl-twins" }, h("dt", {}, "Python"), h("dd", {}, python), h("dt", {}, "Terminal"), h("dd", {}, terminal)), picture,
    h("p", { class: "kl-quiet" }, "Band: what the numbers promise. ✕ a probe that failed. Line: the kubelet kills the container. Under the first band, the probes of the slowest case."),
  ], { chosen: draw, measured: draw, soonest: draw, latest: draw, failure: () => { drawFailures(); draw(); }, twins: drawTwins });
}

export default { render };

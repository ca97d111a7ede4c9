// Pod anatomy: a column a container, a row a kind of namespace; one bar over several columns is one namespace.

function render({ model, el }) {
  const states = model.get("states");
  const picture = h("div", { class: "kl-anatomy", role: "table", "aria-label": "Namespaces of each container" });
  const clash = h("div", { class: "kl-clash" });
  const python = h("code"), terminal = h("code");

  function draw() {
    const pods = model.get("pods"), columns = pods.flatMap((pod) => pod.containers.map((name) => ({ pod, name })));
    const parts = [h("div", { class: "kl-corner" })];
    let at = 2;
    for (const pod of pods) {
      parts.push(h("div", { class: "kl-pod", style: `grid-column: ${at} / span ${pod.containers.length}; grid-row: 1 / span ${model.get("kinds").length + 2}` }));
      parts.push(h("div", { class: "kl-podhead", style: `grid-column: ${at} / span ${pod.containers.length}; grid-row: 1` },
        h("b", {}, `pod ${pod.name}`), h("span", { class: "kl-quiet" }, ` ${pod.ip} on ${pod.node}`)));
      at += pod.containers.length;
    }
    columns.forEach(({ name }, number) => parts.push(h("div", { class: "kl-container", style: `grid-column: ${number + 2}; grid-row: 2` }, name)));
    model.get("kinds").forEach(({ kind, meaning, bars }, row) => {
      parts.push(h("div", { class: "kl-kind", style: `grid-column: 1; grid-row: ${row + 3}`, title: meaning }, h("code", {}, kind), h("span", { class: "kl-quiet" }, ` ${meaning}`)));
      for (const bar of bars) parts.push(h("div", {
        class: `kl-bar ${bar.shared ? "kl-shared" : "kl-ownone"}`, style: `grid-column: ${bar.from + 2} / ${bar.to + 3}; grid-row: ${row + 3}`,
      }, h("span", {}, bar.shared ? "shared " : "own "), h("code", {}, bar.link.replace(/^\w+:/, ""))));
    });
    picture.style.gridTemplateColumns = `minmax(6rem, 12rem) repeat(${columns.length}, minmax(5.5rem, 1fr))`;
    picture.replaceChildren(...parts);
  }

  function drawClash() {
    const containers = model.get("clash");
    clash.hidden = !containers.length;
    fill(clash, h("table", {}, h("caption", {}, "Two containers, one port: port-clash"), h("tbody", {}, ...containers.map((each) =>
      h("tr", {}, h("th", { scope: "row", class: "kl-mono" }, each.name), h("td", {}, stateMark(states, each.state, false), ` ${each.status}`), h("td", {}, h("code", {}, each.log)))))));
  }

  const button = (name, label) => h("button", { type: "button", class: "kl-button", onclick: () => model.send({ press: name }) }, label);
  return frame({ model, el }, [
    h("div", { class: "kl-scroll" }, picture),
    h("div", { class: "kl-buttons" }, button("look", "Look again"), button("break", "Break it: two containers, one port")),
    h("dl", { class: "kl-twins" }, h("dt", {}, "Python"), h("dd", {}, python), h("dt", {}, "Terminal"), h("dd", {}, terminal)),
    clash,
  ], {
    pods: draw, kinds: draw, clash: drawClash,
    twins: () => { python.textContent = model.get("twins").python; terminal.textContent = model.get("twins").terminal; },
  });
}

export default { render };

// The timeline: a line an object, a block a state; a slider to go back. The rows come as messages, see timeline.py.

const AT = 0, WHAT = 1, KIND = 2, NAME = 3, STATE = 4, WORDS = 5, ABOUT = 6;
const LEFT = 190, WIDTH = 900, LINE = 20, TOP = 22, NEAR = 8; // NEAR: events listed beside the moment that is looked at
const STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600];

function render({ model, el }) {
  const states = model.get("states"), order = model.get("kinds");
  let rows = [], asked = 0, moment = null, waiting = false; // moment: the second that is looked at, null: live

  const picture = s("svg", { role: "img", "aria-label": "States of each object over time" });
  const scroll = h("div", { class: "kl-scroll kl-lines", tabindex: "0" }, picture);
  const position = h("input", {
    type: "range", min: 0, max: 1, step: 0.1, value: 1, class: "kl-scrub", "aria-label": "Moment, seconds since the beginning",
    oninput: () => look(Number(position.value)),
  });
  const where = h("output", { class: "kl-mono" });
  const live = h("button", { type: "button", class: "kl-button", onclick: () => look(null) }, "Live");
  const back = h("button", { type: "button", class: "kl-button", onclick: () => step(-1) }, "◀ Step back");
  const on = h("button", { type: "button", class: "kl-button", onclick: () => step(1) }, "Step on ▶");
  const standing = h("tbody"), events = h("tbody");
  const json = h("button", { type: "button", class: "kl-button", onclick: () => model.send({ press: "document" }) }, "Save JSON");
  const svg = h("button", { type: "button", class: "kl-button", onclick: saveSVG }, "Save SVG");
  const legend = h("p", { class: "kl-legend" }, ...Object.keys(states).map((name) => stateMark(states, name)));

  const end = () => Math.max(model.get("now"), rows.length ? rows[rows.length - 1][AT] : 0, 1);
  const seen = () => moment ?? end();

  function look(seconds) {
    moment = seconds != null && seconds >= end() - 0.05 ? null : seconds;
    draw();
  }

  /** To the record before or after the moment that is looked at. */
  function step(way) {
    const times = [...new Set(rows.map((row) => row[AT]))];
    const next = way < 0 ? times.findLast((at) => at < seen() - 0.001) : times.find((at) => at > seen() + 0.001);
    look(next ?? (way < 0 ? 0 : null));
  }

  /** The objects that have a line, and the blocks of each: { from, to, state, words }. */
  function lines() {
    const found = new Map();
    for (const row of rows) {
      if (!order.includes(row[KIND])) continue;
      if (!found.has(row[ABOUT])) found.set(row[ABOUT], { kind: row[KIND], name: row[NAME], blocks: [] });
      const blocks = found.get(row[ABOUT]).blocks, last = blocks[blocks.length - 1];
      if (last && last.state === row[STATE] && last.words === row[WORDS]) continue;
      if (last) last.to = row[AT];
      blocks.push({ from: row[AT], to: null, state: row[STATE], words: row[WORDS] });
    }
    return [...found.values()].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || a.blocks[0].from - b.blocks[0].from || a.name.localeCompare(b.name));
  }

  function drawPicture(found) {
    const last = end(), x = (at) => LEFT + (at / last) * (WIDTH - LEFT - 10), height = TOP + found.length * LINE + 6;
    const parts = [];
    const every = STEPS.find((each) => last / each <= 8) ?? 7200;
    for (let at = 0; at <= last; at += every) {
      parts.push(s("line", { class: "kl-grid", x1: x(at), x2: x(at), y1: TOP - 6, y2: height }),
        s("text", { class: "kl-quiet", x: x(at) + 2, y: 11 }, at >= 120 ? `${Math.round(at / 6) / 10} min` : `${at} s`));
    }
    const place = new Map(found.map((line, number) => [`${line.kind}/${line.name}`, TOP + number * LINE]));
    for (const line of found) {
      const y = place.get(`${line.kind}/${line.name}`);
      const name = line.name.length > 22 ? `${line.name.slice(0, 8)}…${line.name.slice(-13)}` : line.name;
      parts.push(s("text", { x: 0, y: y + 13, class: line.kind === "Pod" ? "kl-podname" : "kl-quiet" }, s("title", {}, `${line.kind}/${line.name}`),
        line.kind === "Pod" ? name : `${line.kind === "ReplicationController" ? "RC" : line.kind} ${name}`.slice(0, 30)));
      for (const block of line.blocks) {
        if (block.state === "gone") continue;
        const from = x(block.from), width = Math.max(1.5, x(block.to ?? last) - from);
        parts.push(s("g", { "data-state": block.state, class: "kl-block" },
          s("title", {}, `${line.kind}/${line.name}: ${block.words}, from ${block.from.toFixed(1)} s${block.to == null ? "" : ` to ${block.to.toFixed(1)} s`}`),
          s("rect", { x: from, y: y + 2, width, height: LINE - 6, rx: 2 }),
          ...(width > 12 ? [s("text", { x: from + 2, y: y + 13, class: "kl-glyph" }, states[block.state]?.shape ?? "")] : [])));
      }
    }
    for (const row of rows) {
      if (row[KIND] === "Event" && place.has(row[ABOUT]) && row[WHAT] !== "PRESENT") {
        const y = place.get(row[ABOUT]) + LINE - 4;
        parts.push(s("path", { class: row[STATE] === "Warning" ? "kl-tick kl-warned" : "kl-tick", d: `M${x(row[AT])},${y} l-3,4 h6 z` }, s("title", {}, row[WORDS])));
      } else if (row[KIND] === "Recording") {
        parts.push(s("line", { class: "kl-note", x1: x(row[AT]), x2: x(row[AT]), y1: TOP - 8, y2: height }, s("title", {}, row[WORDS])));
      }
    }
    parts.push(s("line", { class: "kl-cursor", x1: x(seen()), x2: x(seen()), y1: TOP - 8, y2: height }));
    picture.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
    picture.replaceChildren(...parts);
  }

  function drawMoment(found) {
    const at = seen();
    fill(standing, ...found.flatMap((line) => {
      const block = line.blocks.findLast((each) => each.from <= at);
      if (!block || block.state === "gone") return [];
      return [h("tr", {}, h("td", {}, stateMark(states, block.state, false), ` ${block.words}`),
        h("th", { scope: "row" }, h("span", { class: "kl-quiet" }, `${line.kind} `), h("span", { class: "kl-mono" }, line.name)))];
    }));
    const near = rows.filter((row) => row[KIND] === "Event" && row[AT] <= at && row[WHAT] !== "DELETED").slice(-NEAR).reverse();
    fill(events, ...near.map((row) => h("tr", {}, h("td", { class: "kl-mono" }, `${row[AT].toFixed(1)} s`), h("td", { class: "kl-mono" }, row[ABOUT]),
      h("td", {}, `${row[STATE] === "Warning" ? "▲ " : ""}${row[WORDS]}`))));
    where.textContent = moment == null ? `live, ${at.toFixed(1)} s` : `${at.toFixed(1)} s of ${end().toFixed(1)} s`;
    live.setAttribute("aria-pressed", String(moment == null));
    position.max = end().toFixed(1);
    if (document.activeElement !== position || moment == null) position.value = at;
    position.setAttribute("aria-valuetext", where.textContent);
  }

  function draw() {
    const found = lines();
    drawPicture(found);
    drawMoment(found);
  }

  /** Draw once a frame, however much comes in. */
  function soon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; if (el.isConnected) draw(); });
  }

  function ask() {
    if (model.get("known") > asked) {
      model.send({ press: "rows", number: asked });
      asked = model.get("known");
    } else soon();
  }

  function receive(message) {
    if (message.rows) {
      const have = rows.length ? rows.first + rows.length : message.first; // two views of one model hear each other's answers
      if (!rows.length) rows = Object.assign([], { first: message.first });
      rows.push(...message.rows.slice(Math.max(0, have - message.first)));
      asked = Math.max(asked, rows.first + rows.length);
      soon();
    } else if (message.document && saving()) {
      download(`${model.get("title").split(" ").pop()}.json`, JSON.stringify(message.document, null, 1), "application/json");
    }
  }
  const saving = () => document.activeElement === json || json.matches(":hover");

  function saveSVG() {
    const copy = picture.cloneNode(true), from = picture.querySelectorAll("*");
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.querySelectorAll("*").forEach((element, number) => {
      const style = getComputedStyle(from[number]);
      for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-family", "opacity"]) element.style.setProperty(name, style.getPropertyValue(name));
    });
    const { width, height } = picture.viewBox.baseVal;
    copy.prepend(s("rect", { width, height, fill: getComputedStyle(el).backgroundColor }));
    download(`${model.get("title").split(" ").pop()}.svg`, new XMLSerializer().serializeToString(copy), "image/svg+xml");
  }

  function download(name, text, type) {
    const url = URL.createObjectURL(new Blob([text], { type }));
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  model.on("msg:custom", receive);
  const leave = frame({ model, el }, [
    legend, scroll,
    h("div", { class: "kl-buttons kl-scrubber" }, position, where, back, on, live),
    h("div", { class: "kl-two" },
      h("div", { class: "kl-scroll" }, h("table", {}, h("caption", {}, "How things stand at this moment"), standing)),
      h("div", { class: "kl-scroll" }, h("table", {}, h("caption", {}, "The last events before it"), events))),
    h("div", { class: "kl-buttons" }, json, svg),
  ], { known: ask, now: soon });
  return () => { model.off("msg:custom", receive); leave(); };
}

export default { render };

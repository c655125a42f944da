// Draws the charts and takes answers to the queues. Nothing is sent anywhere; answers stay in this browser until they are saved.
(function () {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const tip = document.getElementById("tip");

  function showTip(_, event, item, value) {
    if (value === null || value === undefined || value === "") { tip.hidden = true; return; }
    const lines = typeof value === "object" ? Object.entries(value).map(([name, text]) => `${name}: ${text}`) : [String(value)];
    tip.textContent = lines.join("\n");
    tip.hidden = false;
    tip.style.left = `${Math.min(event.clientX + 12, window.innerWidth - 180)}px`;
    tip.style.top = `${event.clientY + 12}px`;
  }
  async function drawCharts() {
    const options = { ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip: showTip, loader: { http: {} } };
    for (const [name, spec] of Object.entries(read("charts"))) {
      const place = document.getElementById(`chart-${name}`);
      try {
        await window.vegaEmbed(place, { ...spec, background: null }, options);
        place.querySelector("svg").setAttribute("aria-hidden", "true");
      } catch (error) {
        place.textContent = "This chart could not be drawn; the table has its numbers.";
        console.error(name, error);
      }
    }
    document.documentElement.dataset.charts = "drawn";
  }

  const { ids, run, items } = read("items");
  const cards = [...document.querySelectorAll(".item")];
  const storageKey = `raycluster-answers-${run}`;
  let answers = {};
  const order = [];
  let current = -1;
  try { answers = JSON.parse(localStorage.getItem(storageKey)) || {}; } catch { answers = {}; }

  function keep() {
    try { localStorage.setItem(storageKey, JSON.stringify(answers)); } catch { /* a private window keeps none */ }
  }
  function show() {
    let count = 0;
    for (const card of cards) {
      const given = answers[card.id]?.answer;
      count += given ? 1 : 0;
      if (given) card.dataset.answered = given; else delete card.dataset.answered;
      for (const button of card.querySelectorAll("[data-answer]")) {
        button.setAttribute("aria-pressed", String(button.dataset.answer === given));
      }
    }
    document.getElementById("progress").textContent = `${count} of ${cards.length} answered`;
    document.getElementById("save").disabled = decisions().length === 0;
  }
  function go(number) {
    if (!cards.length) return;
    current = Math.max(0, Math.min(cards.length - 1, number));
    cards[current].focus({ preventScroll: true });
    cards[current].scrollIntoView({ block: "nearest" });
  }
  function answer(card, value) {
    order.push([card.id, answers[card.id]]);
    answers[card.id] = { answer: value, at: Date.now() };
    keep();
    show();
    go(cards.indexOf(card) + 1);
  }
  function undo() {
    const last = order.pop();
    if (!last) return;
    if (last[1]) answers[last[0]] = last[1]; else delete answers[last[0]];
    keep();
    show();
    go(cards.findIndex((card) => card.id === last[0]));
  }
  // The same rule as decided_pairs of raycluster/review/queue_tables.py.
  function decisions() {
    const rows = [];
    for (const [place, item] of Object.entries(items)) {
      const given = answers[place];
      if (!given || given.answer === "unsure") continue;
      const note = `${item.kind} ${item.item}`;
      if (given.answer === "same") {
        const [first, ...rest] = [...new Set([...item.a, ...item.b])];
        rest.forEach((other) => rows.push({ a: first, b: other, same: true, at: given.at, note }));
      } else {
        item.a.forEach((one) => item.b.forEach((other) => {
          if (one !== other) rows.push({ a: one, b: other, same: false, at: given.at, note });
        }));
      }
    }
    return rows;
  }
  function idColumn(name, values) {
    if (ids === "number") return { name, type: "long", values: values.map(BigInt) };
    if (ids === "text") return { name, type: "text", values };
    const bytes = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
    return { name, type: "bytes", values: values.map(bytes) };
  }
  function save() {
    const rows = decisions();
    const by = document.getElementById("by").value || "report";
    const file = parquetFile([
      idColumn("id_a", rows.map((row) => row.a)),
      idColumn("id_b", rows.map((row) => row.b)),
      { name: "same", type: "boolean", values: rows.map((row) => row.same) },
      { name: "by", type: "text", values: rows.map(() => by) },
      { name: "at", type: "time", values: rows.map((row) => BigInt(row.at) * 1000n) },
      { name: "note", type: "text", values: rows.map((row) => row.note) },
    ]);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = "decisions.parquet";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  if (cards.length) {
    document.getElementById("save").addEventListener("click", save);
    for (const card of cards) {
      card.addEventListener("focusin", () => { current = cards.indexOf(card); });
      for (const button of card.querySelectorAll("[data-answer]")) {
        button.addEventListener("click", () => answer(card, button.dataset.answer));
      }
    }
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input")) return;
      const keys = { s: "same", d: "different", u: "unsure" };
      if (event.key in keys) answer(cards[Math.max(current, 0)], keys[event.key]);
      else if (event.key === "j") go(current + 1);
      else if (event.key === "k") go(current - 1);
      else if (event.key === "z") undo();
      else return;
      event.preventDefault();
    });
    show();
  }
  drawCharts();
})();

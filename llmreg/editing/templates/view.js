// The view: it shows the card, and hands what is done on the page to the pure part.

const content = JSON.parse(document.getElementById("content").textContent);
const steps = new History();
const panels = new Map(); // By place in the list of features.
let card = content.card;
let output = card.outputs[0];
let unsaved = false;

const $ = (id) => document.getElementById(id);
const SVG = new Set(["svg", "g", "rect", "line", "path", "polygon", "circle", "text"]);

/** Make an element. Texts become text nodes: nothing of a card is read as markup. */
function make(tag, attributes = {}, ...children) {
  const space = SVG.has(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const node = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Show characters that would hide, or turn round, what stands beside them. */
const visible = (text) =>
  String(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

const name = (text) => make("bdi", {}, visible(text));

/** Change a part of the card, so that it can be undone; `tag` joins steps to one. */
function change(place, after, tag = "") {
  const before = place < 0 ? { ...card, features: [] } : card.features[place];
  steps.push({ place, before, after, tag });
  put(place, after);
}

function put(place, part) {
  card = replaced(card, place, part);
  unsaved = true;
  $("undo").disabled = !steps.done.length;
  $("redo").disabled = !steps.undone.length;
  $("status").textContent = "Not saved yet";
  if (place < 0) return;
  panels.get(place).update();
  // One place for screen readers: of an output that is chosen all sentences change.
  $("said").textContent = panels.get(place).said();
}

function travel(found) {
  if (!found) return;
  put(...found);
  if (found[0] < 0) drawTarget();
  const { node } = panels.get(found[0]) ?? {};
  node?.scrollIntoView({ block: "nearest" });
}

// ---- Fields

/** Make a field of numbers, or blanks; `write` gets them where they are in order. */
function numbers(labels, values, write, options = {}) {
  const inputs = labels.map((label, k) =>
    make("input", { type: "number", step: "any", "aria-label": label, ...options, change: read }));
  function read() {
    const found = inputs.map((i) => (i.value === "" ? null : Number(i.value)));
    const blanks = found.filter((x) => x === null).length;
    const isFine = inputs.every((i) => i.validity.valid) &&
      (blanks === 0 || blanks === found.length) &&
      (blanks > 0 || found.every((x, k) => k === 0 || found[k - 1] <= x));
    inputs.forEach((i) => i.setAttribute("aria-invalid", String(!isFine)));
    if (isFine) write(blanks ? null : found);
    else $("status").textContent = "The marked numbers are out of order or range, and not taken";
  }
  const set = (now) => inputs.forEach((input, k) => {
    input.value = now?.[k] ?? "";
    input.setAttribute("aria-invalid", "false");
  });
  set(values);
  return { inputs, set };
}

/** Make the field of a text of an entry; an empty one is left out. */
function textField(place, field, label, tag) {
  const input = make(tag, { "aria-label": label, dir: "auto", change: () => {
    const { [field]: _, ...kept } = card.features[place];
    change(place, input.value.trim() ? { ...kept, [field]: input.value.trim() } : kept);
  } });
  return { input, set: () => { input.value = card.features[place][field] ?? ""; } };
}

/** Make what both kinds of numeric features have: unit and typical range. */
function facts(place) {
  const unit = textField(place, "unit", "Unit", "input");
  const labels = ["Typical: 5th percentile", "Typical: median", "Typical: 95th percentile"];
  const range = numbers(labels, null, (found) => {
    const { range: _, range_spread, ...kept } = card.features[place];
    change(place, found ? { ...kept, range: found } : kept);
  });
  const node = make("div", { class: "row" }, make("label", {}, "Unit ", unit.input),
    make("span", {}, "Typical (5th percentile, median, 95th) "), ...range.inputs);
  return { node, set: () => { unit.set(); range.set(card.features[place].range); } };
}

// ---- Features

/** Make the row of a score: a level, or a column without a curve. */
function scoreRow(place, title, isLevel) {
  const key = card.features[place].feature;
  const score = () => ofOutput(card.features[place].score, output, card);
  const write = (found, tag) =>
    change(place, withScore(card.features[place], output, card, found), tag);
  const slider = make("input", { type: "range", min: -LIMIT, max: LIMIT, step: 0.1,
    "aria-label": `Score of ${visible(key)}`,
    input: () => write(Number(slider.value), `${place} slide`) });
  const typed = numbers([`Score of ${visible(key)}, as a number`], null,
    (found) => write(found && found[0]), { min: -LIMIT, max: LIMIT });
  const says = make("p", { class: "says" });
  const reason = textField(place, "reason", `Reason for ${visible(key)}`, "input");
  const node = make("div", { class: "score", "data-key": key },
    make("span", {}, name(title)), slider, typed.inputs[0], says,
    make("label", { class: "why" }, "Reason ", reason.input));
  function update() {
    const found = score();
    slider.value = found ?? 0;
    const end = 50 + (50 * (found ?? 0)) / LIMIT;
    slider.style.setProperty("--from", `${Math.min(50, end)}%`);
    slider.style.setProperty("--to", `${Math.max(50, end)}%`);
    typed.set([found]);
    says.textContent = scoreSentence(found, wordsOf(card), isLevel);
    slider.setAttribute("aria-valuetext", `${found ?? ""} ${says.textContent}`);
    node.classList.toggle("empty", found === null);
    reason.set();
  }
  return { node, update, said: () => says.textContent };
}

/** Make the form that turns the score of a column into a curve. */
function curveForm(place) {
  const { feature, range } = card.features[place];
  const edges = content.histograms[feature]?.edges;
  const round = (x) => snap(x, nice((edges.at(-1) - edges[0]) / 200));
  const ends = range ? [range[0], range[2]] : edges && [edges[0], edges.at(-1)].map(round);
  const status = make("span", { role: "status" });
  const { inputs } = numbers(["Curve from", "Curve to"], ends, () => {});
  const button = make("button", { type: "button", click: () => {
    const [low, high] = inputs.map((i) => i.valueAsNumber);
    if (!(low < high)) { status.textContent = "Say from which value to which."; return; }
    change(place, scoreToCurve(card.features[place], card, low, high));
    panels.get(place).node.querySelector(".knot").focus();
  } }, "Make it a curve");
  return make("div", { class: "row" }, button, " from ", inputs[0], " to ", inputs[1], status);
}

/** Make the panel of a numeric feature: a score, or a curve with all there is to it. */
function numericPanel(place) {
  const node = make("section", { "data-key": card.features[place].feature });
  let [kind, inner, about] = [null, null, null];
  function draw(isCurve) {
    const { feature, description, special_values: codes } = card.features[place];
    const head = make("h2", {}, name(feature), " ",
      make("span", { class: "soft" }, visible(description ?? "")));
    about = facts(place);
    if (!isCurve) {
      inner = scoreRow(place, "Score", false);
      node.className = "";
      node.replaceChildren(head, inner.node, about.node, curveForm(place));
      if (feature in content.histograms) node.append(histogramOf(feature));
      return;
    }
    const says = make("p", { class: "says" });
    const reason = textField(place, "reason", `Reason for ${visible(feature)}`, "textarea");
    const chart = curveChart(place, says);
    const side = make("div", {}, says, make("label", {}, "Reason ", reason.input), about.node);
    if (codes) side.append(make("p", { class: "soft" }, `Codes beside the curve: ${inline(codes)}`));
    node.className = "curve";
    node.replaceChildren(head, make("div", {}, chart.svg, chart.list, chart.more), side);
    const said = () => says.textContent;
    inner = { said, update: () => { chart.update(); reason.set(); } };
  }
  function update() {
    const isCurve = "curve" in card.features[place];
    if (kind !== isCurve) draw((kind = isCurve));
    inner.update();
    about.set();
  }
  return { node, update, said: () => inner.said() };
}

/** Draw the base rates of classes and the ranges of targets. */
function drawTarget() {
  const names = new Set([...Object.keys(card.base_rates ?? {}), ...card.outputs]);
  const targets = new Set([...Object.keys(card.target_ranges ?? {}), ...card.outputs]);
  const write = (field, key, found) => {
    const spreads = `${field.slice(0, -1)}_spreads`;
    const { features, ...part } = card;
    for (const [where, value] of [[field, found], [spreads, null]]) {
      const { [key]: _, ...kept } = part[where] ?? {};
      part[where] = value === null ? kept : { ...kept, [key]: value };
      if (!Object.keys(part[where]).length) delete part[where];
    }
    change(-1, part);
    panels.forEach((panel) => panel.update());
  };
  const rows = [...names].map((key) => make("div", { class: "row" }, name(key),
    ...numbers([`Base rate of ${visible(key)}`], [card.base_rates?.[key]],
      (found) => write("base_rates", key, found && found[0]), { min: 0, max: 1 }).inputs));
  const ranges = [...targets].map((key) => make("div", { class: "row" }, name(key),
    ...numbers(["5th percentile", "median", "95th percentile"].map((x) => `${x} of ${visible(key)}`),
      card.target_ranges?.[key], (found) => write("target_ranges", key, found)).inputs));
  const [summary] = $("target").children;
  const note = (text) => make("p", { class: "soft" }, text);
  $("target").replaceChildren(summary,
    ...(card.target_ranges ? [] : [note("How frequent each class is, from 0 to 1:"), ...rows]),
    ...(card.base_rates ? [] : [note("The 5th percentile, median and 95th of a number:"), ...ranges]));
}

/** Draw all features: those of one column with levels in one panel. */
function drawFeatures() {
  const columns = new Map();
  card.features.forEach((entry, place) => {
    const [column, mark, ...rest] = entry.feature.split(/(=)/);
    const isLevel = Boolean(mark) && !("curve" in entry);
    if (!isLevel) {
      const panel = numericPanel(place);
      panels.set(place, panel);
      $("features").append(panel.node);
      return;
    }
    if (!columns.has(column)) {
      columns.set(column, make("section", {}, make("h2", {}, name(column))));
      $("features").append(columns.get(column));
    }
    const row = scoreRow(place, rest.join(""), true);
    panels.set(place, row);
    columns.get(column).append(row.node);
  });
  panels.forEach((panel) => panel.update());
}

// ---- The page

async function save() {
  // A field says what was typed into it when it is left.
  const field = document.activeElement;
  field?.blur();
  field?.focus();
  const blob = new Blob([formatCard(card)], { type: "application/json" });
  if (window.showSaveFilePicker) {
    try {
      const file = await window.showSaveFilePicker({ suggestedName: content.name });
      const stream = await file.createWritable();
      await stream.write(blob);
      await stream.close();
      return saved();
    } catch (error) {
      if (error.name === "AbortError") return undefined; // The person has cancelled.
    }
  }
  // Within a frame, and where there is no such interface.
  const link = make("a", { href: URL.createObjectURL(blob), download: content.name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  return saved();
}

function saved() {
  unsaved = false;
  $("status").textContent = "Saved";
}

function filter() {
  const wanted = $("filter").value.toLowerCase();
  for (const section of $("features").children) {
    const keys = [section, ...section.querySelectorAll("[data-key]")].map((n) => n.dataset.key ?? "");
    section.hidden = ![section.textContent, ...keys].join(" ").toLowerCase().includes(wanted);
  }
}

$("title").textContent = `Prior card${card.target ? `: ${visible(card.target)}` : ""}`;
$("task").textContent = visible(card.task);
$("choice").hidden = card.outputs.length < 2;
$("output").append(...card.outputs.map((o) => make("option", { value: o }, visible(o))));
$("output").addEventListener("change", () => {
  output = $("output").value;
  panels.forEach((panel) => panel.update());
});
$("filter").addEventListener("input", filter);
$("undo").addEventListener("click", () => travel(steps.back()));
$("redo").addEventListener("click", () => travel(steps.forth()));
$("save").addEventListener("click", save);
document.addEventListener("keydown", (event) => {
  const key = (event.ctrlKey || event.metaKey) && event.key.toLowerCase();
  const typing = event.target.matches("textarea, input:not([type=range])");
  if (key === "s") save();
  else if (key === "z" && !typing) travel(event.shiftKey ? steps.forth() : steps.back());
  else if (key === "y" && !typing) travel(steps.forth());
  else return;
  event.preventDefault();
});
window.addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
drawTarget();
drawFeatures();

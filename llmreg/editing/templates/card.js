"use strict";
// The pure part of the editor: curves, sentences, cards. It knows nothing of the page.

const LIMIT = 10;
const MAX_KNOTS = 8;
// The fields of a card, and those of a feature, in the order in which Python writes them.
const FIELDS = [
  "format", "version", "task", "target", "scale", "outputs", "base_rates", "base_rate_spreads",
  "target_ranges", "target_range_spreads", "features", "provenance", "usage",
  "feature", "description", "unit", "curve", "special_values", "curve_spread", "score",
  "range", "range_spread", "spread", "reason", "estimates",
];
const STRENGTHS = [[6, "strongly "], [3, "clearly "], [1, "slightly "]];

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

/** Round to a step, without dust such as 0.30000000000000004, and without -0. */
const snap = (x, step) => Number((Math.round(x / step) * step).toPrecision(12)) + 0;

/** Give 1, 2 or 5 times a power of ten, at least as large as a number. */
function nice(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  return Number((([1, 2, 5].find((m) => m * power >= x) ?? 10) * power).toPrecision(1));
}

// ---- What an entry says of one output: [[value, effect], ...], or a score

function ofOutput(found, output, card) {
  if (card.outputs.length === 1) return found ?? null;
  return found && Object.hasOwn(found, output) ? found[output] : null;
}

function withOutput(found, output, card, value) {
  return card.outputs.length === 1 ? value : { ...found, [output]: value };
}

/** Change an entry; what the estimates of it were is then no longer said of it. */
function revise(entry, fields) {
  const { curve_spread, spread, estimates, ...kept } = entry;
  return { ...kept, ...fields };
}

/** Set the curve of an output; null where the outputs would have too many knots. */
function withCurve(entry, output, card, points) {
  const curve = withOutput(entry.curve, output, card, points);
  const values = card.outputs.flatMap((o) => ofOutput(curve, o, card) ?? []);
  // All outputs of a prior have the same knots: those of each of them.
  if (new Set(values.map(([value]) => value)).size > MAX_KNOTS) return null;
  return revise(entry, { curve });
}

const withScore = (entry, output, card, score) =>
  revise(entry, { score: withOutput(entry.score, output, card, score) });

/** Draw scores as the straight lines that they are, between two values. */
function scoreToCurve(entry, card, low, high) {
  let curve = null;
  for (const output of card.outputs) {
    const score = ofOutput(entry.score, output, card) ?? 0;
    curve = withOutput(curve, output, card, [[low, 0 - score], [high, score]]);
  }
  const { score, ...kept } = revise(entry, {});
  return { ...kept, curve };
}

// ---- Curves

/** Straight between the knots, flat beyond them; null without any opinion. */
function effectAt(points, x) {
  const known = points.filter(([, effect]) => effect !== null);
  if (!known.length) return null;
  const right = known.findIndex(([value]) => value >= x);
  if (right <= 0) return known.at(right)[1];
  const [[x0, y0], [x1, y1]] = known.slice(right - 1, right + 1);
  return y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
}

/** Put a knot elsewhere, no further than its neighbours let it. */
function moveKnot(points, i, x, y, gap) {
  const low = i > 0 ? points[i - 1][0] + gap : -Infinity;
  const high = i < points.length - 1 ? points[i + 1][0] - gap : Infinity;
  const value = low <= high ? Number(clamp(x, low, high).toPrecision(12)) : points[i][0];
  const effect = y === null ? null : clamp(y, -LIMIT, LIMIT);
  return points.map((point, k) => (k === i ? [value, effect] : point));
}

/** Add a knot that changes nothing yet; the same points where there can be none. */
function addKnot(points, x) {
  if (points.length >= MAX_KNOTS || points.some(([value]) => value === x)) return points;
  const effect = effectAt(points, x);
  const knot = [x, effect === null ? null : snap(effect, 0.01)];
  return [...points, knot].sort((a, b) => a[0] - b[0]);
}

const removeKnot = (points, i) =>
  points.length > 2 ? points.filter((_, k) => k !== i) : points;

// ---- Sentences

/** Give the words for more and for less: of a class, or of a number. */
function wordsOf(card) {
  const isNumber = card.target_ranges || card.outputs.includes(card.target);
  const isClass = card.base_rates || (!isNumber && card.outputs[0] !== "target");
  return isClass ? ["more likely", "less likely"] : ["higher", "lower"];
}

function strength(effect, [more, less]) {
  const found = STRENGTHS.find(([least]) => Math.abs(effect) >= least);
  return found ? found[1] + (effect > 0 ? more : less) : "about average";
}

/** Say a score: of a level, or of a column whose larger values are meant. */
function scoreSentence(score, words, isLevel) {
  if (score === null) return "No opinion.";
  if (Math.abs(score) < 1) return "Hardly any difference.";
  return `${isLevel ? "With it" : "Larger values"}: ${strength(score, words)}.`;
}

/** Cut the values where the words change: [words, from, to], the ends open. */
function regions(points, words) {
  const cuts = points.map(([value]) => value);
  points.slice(1).forEach(([x1, y1], k) => {
    const [x0, y0] = points[k];
    for (const t of STRENGTHS.flatMap(([least]) => [least, -least])) {
      if ((y0 - t) * (y1 - t) < 0) cuts.push(x0 + ((t - y0) / (y1 - y0)) * (x1 - x0));
    }
  });
  cuts.sort((a, b) => a - b);
  const found = [];
  for (let k = 0; k <= cuts.length; k++) {
    const [from, to] = [cuts[k - 1] ?? -Infinity, cuts[k] ?? Infinity];
    const inside = (Math.max(from, cuts[0]) + Math.min(to, cuts.at(-1))) / 2;
    const text = strength(effectAt(points, inside), words);
    if (found.length && found.at(-1)[0] === text) found.at(-1)[2] = to;
    else found.push([text, from, to]);
  }
  return found;
}

/** Say a curve in words. */
function curveSentence(points, words, unit) {
  const known = points.filter(([, effect]) => effect !== null);
  if (!known.length) return "No opinion.";
  const effects = known.map(([, effect]) => effect);
  const [top, bottom] = [Math.max(...effects), Math.min(...effects)];
  if (top - bottom < 0.5) return "Flat: makes no difference.";
  const step = nice((known.at(-1)[0] - known[0][0]) / 200 || 1);
  const at = (x) => `${snap(x, step)}${unit ? ` ${unit}` : ""}`;
  const where = (effect) =>
    `${at(known[effects.indexOf(effect)][0])} (${strength(effect, words)})`;
  const ends = [effects[0], effects.at(-1)];
  const hasPeak = top - Math.max(...ends) >= 1;
  const hasDip = Math.min(...ends) - bottom >= 1;
  let shape = ends[1] >= ends[0] ? "Rises" : "Falls";
  if (hasPeak && hasDip) {
    shape = `Highest at ${where(top)}, lowest at ${where(bottom)}`;
  } else if (hasPeak) shape = `Rises to ${where(top)}, then falls`;
  else if (hasDip) shape = `Falls to ${where(bottom)}, then rises`;
  const cut = regions(known, words);
  if (cut.length === 1) return `${shape}: ${cut[0][0]} throughout.`;
  const [first, last] = [cut[0], cut.at(-1)];
  return `${shape}: up to ${at(first[2])} ${first[0]}, from ${at(last[1])} on ${last[0]}.`;
}

// ---- The card, and what was done to it

/** Put in the entry of a feature, or under -1 all that is not of a feature. */
function replaced(card, place, part) {
  if (place < 0) return { ...part, features: card.features };
  return { ...card, features: card.features.map((e, k) => (k === place ? part : e)) };
}

/** What was done and undone. Steps with one tag, one after the other, are one. */
class History {
  done = [];
  undone = [];

  push(step) {
    const last = this.done.at(-1);
    this.undone = [];
    if (step.tag && last?.tag === step.tag) last.after = step.after;
    else this.done.push(step);
  }

  /** Give the place and the part that undoing, or redoing, puts back. */
  back() { return this.#move(this.done, this.undone, "before"); }
  forth() { return this.#move(this.undone, this.done, "after"); }

  #move(from, to, side) {
    const step = from.pop();
    if (!step) return null;
    step.tag = "";
    to.push(step);
    return [step.place, step[side]];
  }
}

/** Write a value on one line, spaced as the cards that Python writes. */
function inline(value) {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const pairs = Object.entries(value).map(([k, v]) => `${inline(k)}: ${inline(v)}`);
  return `{${pairs.join(", ")}}`;
}

/** Write a card of the second version, one line per field. */
function formatCard(card) {
  const block = (object, indent, write) => {
    const rank = ([name]) => (FIELDS.indexOf(name) + 1 || Infinity);
    const lines = Object.entries(object)
      .sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)))
      .map(([name, value]) => `${indent}  ${inline(name)}: ${write(name, value)}`);
    return `{\n${lines.join(",\n")}\n${indent}}`;
  };
  const features = (entries) => {
    const objects = entries.map((e) => `    ${block(e, "    ", (_, v) => inline(v))}`);
    return `[\n${objects.join(",\n")}\n  ]`;
  };
  const write = (name, value) => (name === "features" ? features(value) : inline(value));
  return `${block({ ...card, version: 2 }, "", write)}\n`;
}

// The chart of a curve, with knots to drag, and its list of knots as numbers.

// The chart in units of its own, and where in it the curve may be.
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 260, 34, 630, 10, 234];

/** Make the bars of a histogram, on a base line at `y`. */
function countBars(feature, toX, y, height) {
  const { edges, counts } = content.histograms[feature] ?? { counts: [] };
  return counts.map((count, k) => {
    const tall = (height * count) / Math.max(...counts);
    const [left, right] = [toX(edges[k]), toX(edges[k + 1])];
    return make("rect", { class: "count", x: left, y: y - tall, width: right - left, height: tall });
  });
}

/** Make a histogram by itself, for a column without a curve. */
function histogramOf(feature) {
  const { edges } = content.histograms[feature];
  const [low, high] = [edges[0], edges.at(-1)];
  const toX = (v) => LEFT + ((v - low) / (high - low)) * (RIGHT - LEFT);
  const ends = [["start", low], ["end", high]].map(([side, v]) =>
    make("text", { x: toX(v), y: 94, "text-anchor": side }, String(snap(v, nice((high - low) / 200)))));
  return make("svg", { viewBox: `0 0 ${WIDTH} 100`, class: "counts", role: "img",
    "aria-label": `Histogram of ${visible(feature)}` }, ...countBars(feature, toX, 80, 70), ...ends);
}

/** Give the values that a chart shows: knots, typical range, histogram, and a margin. */
function domainOf(entry) {
  const { edges } = content.histograms[entry.feature] ?? {};
  const knots = card.outputs.flatMap((o) => ofOutput(entry.curve, o, card) ?? []);
  const all = [...knots.map(([v]) => v), ...(entry.range ?? []), ...(edges ?? [])];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const margin = 0.08 * (high - low);
  return [low - margin, high + margin];
}

/** Make the chart of a curve, and the list of its knots. */
function curveChart(place, says) {
  const entry = () => card.features[place];
  const key = visible(entry().feature);
  const points = () => ofOutput(entry().curve, output, card) ?? [];
  const back = make("g", { "aria-hidden": "true" });
  const handles = make("g");
  const list = make("ol", { class: "knots" });
  let domain = domainOf(entry());
  let rows = [];
  const step = () => nice((domain[1] - domain[0]) / 200);
  const toX = (v) => LEFT + ((v - domain[0]) / (domain[1] - domain[0])) * (RIGHT - LEFT);
  const toY = (e) => TOP + ((LIMIT - e) / (2 * LIMIT)) * (BOTTOM - TOP);
  const placeOf = (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const y = ((event.clientY - box.top) / box.height) * HEIGHT;
    const value = domain[0] + ((x - LEFT) / (RIGHT - LEFT)) * (domain[1] - domain[0]);
    const effect = LIMIT - ((y - TOP) / (BOTTOM - TOP)) * 2 * LIMIT;
    return [snap(clamp(value, ...domain), step()), snap(effect, 0.1)];
  };
  function write(found, tag) {
    const after = withCurve(entry(), output, card, found);
    if (after) change(place, after, tag);
    else {
      $("status").textContent = `The outputs have ${MAX_KNOTS} knots between them: ` +
        "remove one, or move this one up or down only.";
      update();
    }
  }
  const move = (i, x, y, tag) => write(moveKnot(points(), i, x, y, step()), tag);
  function add(x) {
    const found = addKnot(points(), snap(x, step()));
    if (found === points()) $("status").textContent = `A curve has 2 to ${MAX_KNOTS} knots.`;
    else write(found);
    focusKnot(points().findIndex(([value]) => value >= snap(x, step())));
  }
  function addBeside(i) {
    const k = Math.min(i, points().length - 2);
    add((points()[k][0] + points()[k + 1][0]) / 2);
  }
  function remove(i) {
    write(removeKnot(points(), i));
    focusKnot(Math.min(i, points().length - 1));
  }
  /** Add a knot under the pointer, but for a second click on one. */
  function addAt(event) {
    const [x] = placeOf(event);
    if (points().every(([v]) => Math.abs(v - x) > 5 * step())) add(x);
  }
  const focusKnot = (i) => handles.children[i]?.focus();
  function press(event, i) {
    const [x, effect] = points()[i];
    const far = event.shiftKey ? 5 : 1;
    const y = effect ?? snap(effectAt(points(), x) ?? 0, 0.1);
    const tag = `${place} key ${i}`;
    const keys = {
      ArrowLeft: () => move(i, snap(x - far * step(), step()), effect, tag),
      ArrowRight: () => move(i, snap(x + far * step(), step()), effect, tag),
      ArrowUp: () => move(i, x, snap(y + far * 0.5, 0.1), tag),
      ArrowDown: () => move(i, x, snap(y - far * 0.5, 0.1), tag),
      "+": () => addBeside(i), "-": () => remove(i), Delete: () => remove(i),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  }
  function drag(down, i) {
    const tag = `${place} drag ${down.timeStamp}`;
    svg.setPointerCapture(down.pointerId);
    const follow = (event) => move(i, ...placeOf(event), tag);
    const end = () => { svg.removeEventListener("pointermove", follow); update(true); };
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("lostpointercapture", end, { once: true });
  }
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group",
    "aria-label": `Curve of ${key}`, dblclick: addAt },
  back, handles);
  /** Draw all that lies behind the knots. */
  function drawBack(height) {
    const { range, curve_spread } = entry();
    const [known, drawn] = [points().filter(([, e]) => e !== null), []];
    if (range) {
      const [low, middle, high] = range.map(toX);
      drawn.push(make("rect", { class: "typical", x: low, y: TOP, width: high - low, height }),
        make("line", { class: "middle", x1: middle, x2: middle, y1: TOP, y2: BOTTOM }));
    }
    drawn.push(...countBars(entry().feature, toX, BOTTOM, 0.3 * height));
    for (const e of [-10, -5, 0, 5, 10]) {
      drawn.push(make("line", { class: e ? "grid" : "zero", x1: LEFT, x2: RIGHT, y1: toY(e), y2: toY(e) }),
        make("text", { x: LEFT - 5, y: toY(e) + 4, "text-anchor": "end" }, String(e)));
    }
    const tick = nice((domain[1] - domain[0]) / 7);
    for (let v = Math.ceil(domain[0] / tick) * tick; v <= domain[1]; v += tick) {
      drawn.push(make("text", { x: toX(v), y: HEIGHT - 8, "text-anchor": "middle" }, String(snap(v, tick))));
    }
    const spread = ofOutput(curve_spread, output, card);
    if (spread) {
      const side = (sign) => points().flatMap(([v, e], k) => e === null || spread[k] === null ? []
        : [`${toX(v)},${toY(clamp(e + sign * spread[k], -LIMIT, LIMIT))}`]);
      drawn.push(make("polygon", { class: "band", points: [...side(1), ...side(-1).reverse()].join(" ") }));
    }
    if (known.length) {
      const line = known.map(([v, e]) => `L${toX(v)} ${toY(e)}`).join("");
      const [first, last] = [toY(known[0][1]), toY(known.at(-1)[1])];
      drawn.push(make("path", { class: "line", d: `M${LEFT} ${first}${line}L${RIGHT} ${last}` }));
    }
    back.replaceChildren(...drawn);
  }
  /** Make a handle and a row for each knot. */
  function drawKnots() {
    const n = points().length;
    handles.replaceChildren(...points().map((_, i) =>
      make("circle", { class: "knot", r: 9, tabindex: 0, role: "slider", "aria-valuemin": -LIMIT,
        "aria-valuemax": LIMIT, "aria-label": `Knot ${i + 1} of ${n} of ${key}`,
        keydown: (event) => press(event, i), pointerdown: (event) => drag(event, i) })));
    rows = points().map((_, i) => {
      const at = numbers([`Value of knot ${i + 1} of ${key}`], null,
        (found) => (found ? move(i, found[0], points()[i][1]) : update()));
      const effect = numbers([`Effect of knot ${i + 1} of ${key}`], null,
        (found) => move(i, points()[i][0], found && found[0]), { min: -LIMIT, max: LIMIT });
      const gone = make("button", { type: "button", "aria-label": `Remove knot ${i + 1} of ${key}`,
        click: () => remove(i) }, "−");
      return { at, effect, node: make("li", { class: "row" }, "at ", at.inputs[0],
        " effect ", effect.inputs[0], gone) };
    });
    list.replaceChildren(...rows.map((row) => row.node));
  }
  function update(rescale = false) {
    const values = points().map(([v]) => v);
    if (rescale || values.some((v) => v < domain[0] || v > domain[1])) domain = domainOf(entry());
    if (handles.children.length !== values.length) { domain = domainOf(entry()); drawKnots(); }
    drawBack(BOTTOM - TOP);
    const { unit } = entry();
    says.textContent = curveSentence(points(), wordsOf(card), unit && visible(unit));
    points().forEach(([v, e], i) => {
      const now = e ?? effectAt(points(), v) ?? 0;
      const words = e === null ? "no opinion" : `${e}: ${strength(e, wordsOf(card))}`;
      const told = { cx: toX(v), cy: toY(now), class: e === null ? "knot empty" : "knot",
        "aria-valuenow": now, "aria-valuetext": `at ${v}, ${words}` };
      Object.entries(told).forEach((pair) => handles.children[i].setAttribute(...pair));
      rows[i].at.set([v]);
      rows[i].effect.set([e]);
    });
  }
  const more = make("button", { type: "button", click: () => {
    const gaps = points().slice(1).map(([v], k) => v - points()[k][0]);
    addBeside(gaps.indexOf(Math.max(...gaps)));
  } }, "Add a knot");
  return { svg, list, more, update };
}

"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const plots = [], HEIGHT = 240, SIDE = 62;
  const PALETTE = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c5"];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  const power = (n) => "10" + String(n).replace(/./g, (digit) => SUPERSCRIPT[digit] ?? digit);

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;  // never as HTML: people choose the names
    return made;
  };

  const plain = (value) => {
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size >= 999.5e9 || size < 1e-3) return value.toExponential(2).replace("e+", "e").replace(/\.?0+e/, "e");
    for (const [unit, suffix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
      if (size >= unit * 0.9995) return Number((value / unit).toPrecision(4)) + suffix;
    return String(Number(value.toPrecision(4)));
  };
  const percent = (value) => Number((100 * value).toPrecision(3)) + " %";
  const formatter = (chart) => (chart.axis === "percent" ? percent : plain);

  const logSplits = (u, axis, low, high) => {
    const build = (digits) => {
      const ticks = [];
      for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
        for (const digit of digits) {
          const tick = Number(`${digit}e${e}`);
          if (tick >= low && tick <= high) ticks.push(tick);
        }
      return ticks;
    };
    for (const digits of [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
      const ticks = build(digits);
      if (ticks.length >= 4) return ticks.length > 9 ? ticks.filter((_, i) => i % Math.ceil(ticks.length / 7) === 0) : ticks;
    }
    return [low, Math.sqrt(low * high), high].map((tick) => Number(tick.toPrecision(3)));
  };
  const logRange = (u, low, high) => {
    if (low === null || !(low > 0)) return [0.1, 10];
    const room = Math.max(1.03, Math.pow(high / low, 0.06));
    return [low / room, high * room];
  };
  const linearRange = (chart) => (u, low, high) => {
    if (low === null) return [0, 1];
    if (chart.axis === "percent" || chart.kind === "histogram") return [0, Math.max(high * 1.06, chart.kind === "histogram" ? 1 : 0.001)];
    if (high - low < 0.02 * Math.abs(high)) return [low - 0.1 * Math.abs(low), high + 0.1 * Math.abs(high)];
    // Curves that stay near their level keep their shape; others are shown from nought.
    const from = low >= 0 && low < 0.6 * high ? 0 : low - 0.08 * (high - low || Math.abs(high) || 1);
    return [from, high + 0.06 * (high - from || 1)];
  };

  // An SAE has one colour all over the page: its row in the table is the key.
  const drawn = [...new Set(data.charts.filter((c) => c.kind !== "scatter").flatMap((c) => c.series.map((s) => s.sae ?? -1)))];
  const others = drawn.filter((sae) => sae >= 0 && !document.querySelector(`tr.own[data-sae="${sae}"]`));
  const look = (series, part) => {
    if (series.role === "own") return { colour: "--own" };
    if (series.role === "held_out") return { colour: "--held-out" };
    const order = series.role === "part" ? part : others.indexOf(series.sae);
    return order < 0 ? { colour: "--muted" } : { colour: PALETTE[order % PALETTE.length], dashed: order >= PALETTE.length };
  };

  const lines = (chart) => {
    return chart.series.map((series, place) => {
      const { colour: name, dashed } = look(series, place), own = series.role === "own";
      const line = { label: series.label, colour: name, stroke: () => css(name), spanGaps: true, points: { show: false } };
      Object.assign(line, { role: series.role, sae: series.sae });
      line.width = own ? 2.4 : 1.3;
      if (dashed) line.dash = [5, 3];
      if (series.role === "held_out" || series.x.length < 3) line.points = { show: true, size: 6, fill: () => css(name) };
      if (chart.kind === "scatter") {
        line.paths = () => null;
        line.points = { show: true, size: own ? 13 : 9, fill: () => css(name), stroke: () => css("--card"), width: 1.5 };
      }
      if (chart.kind === "histogram") {
        line.spanGaps = false;
        line.points = { show: false };
        line.paths = own ? uPlot.paths.bars({ size: [1, Infinity], align: 1, gap: 1 }) : uPlot.paths.stepped({ align: 1 });
        if (own) Object.assign(line, { fill: () => css("--own-fill"), width: 1 });
      }
      return line;
    });
  };

  const table = (chart) => {
    const keep = (series) => series.x.map((x, i) => [x, series.y[i]]).filter(([, y]) => chart.axis !== "log" || y > 0);
    const tables = chart.series.map((series) => {
      const pairs = keep(series).sort((a, b) => a[0] - b[0]);
      return [pairs.map((pair) => pair[0]), pairs.map((pair) => pair[1])];
    });
    return uPlot.join(tables);
  };

  // Curves have points at different places: each shows its own nearest one.
  const nearest = (u, series, index) => {
    const values = u.data[series];
    for (let away = 0; away < values.length; away++) {
      if (values[index - away] != null) return index - away;
      if (values[index + away] != null) return index + away;
    }
    return index;
  };

  const heading = (chart, x) => {
    if (chart.kind === "histogram") return `fires on ${power(x)} to ${power(x + 0.25)} of the tokens`;
    if (chart.kind === "scatter") return "L0 and FVU";
    return `${plain(x)} tokens` + (data.batch ? ` · step ${Math.round(x / data.batch).toLocaleString("en")}` : "");
  };

  const tooltip = (chart, box) => {
    const tip = element("div", "tip");
    tip.hidden = true;
    const format = formatter(chart);
    const fill = (u) => {
      const rows = [element("div", "at", heading(chart, u.data[0][u.cursor.idx]))];
      u.series.map((series, i) => [series, i]).reverse().forEach(([series, i]) => {
        const at = u.cursor.idxs[i];
        if (i === 0 || !series.show || at == null || u.data[i][at] == null) return;
        if (chart.kind === "scatter" && Math.abs(u.valToPos(u.data[0][at], "x") - u.cursor.left) > 14) return;
        const row = element("div", "row"), swatch = element("span", "swatch");
        swatch.style.background = css(series.colour);
        const value = chart.kind === "scatter" ? `${plain(u.data[0][at])} · ${format(u.data[i][at])}` : format(u.data[i][at]);
        row.append(swatch, element("span", "", series.label), element("b", "", value));
        rows.push(row);
      });
      tip.replaceChildren(...rows);
      return rows.length > 1;
    };
    const move = (u) => {
      const { left, top, idx } = u.cursor;
      const synced = u !== hovered;
      tip.hidden = synced || idx == null || left < 0 || !fill(u);
      if (tip.hidden) return;
      const x = left + SIDE, right = x + tip.offsetWidth + 24 > box.clientWidth;
      tip.style.left = Math.max(0, right ? x - tip.offsetWidth - 14 : x + 14) + "px";
      tip.style.top = Math.max(0, Math.min(top, HEIGHT - tip.offsetHeight - 30)) + "px";
    };
    return { hooks: { init: () => box.append(tip), setCursor: move } };
  };

  // Scales settle later than they are set, so only what the person does in this chart goes on to the others.
  let hovered = null;
  const zoom = (u, key) => {
    if (key !== "x" || u !== hovered || !u.overTokens) return;
    const { min, max } = u.scales.x;
    for (const other of plots) if (other !== u && other.overTokens) other.setScale("x", { min, max });
  };

  const axes = (chart) => {
    const ink = { stroke: () => css("--muted"), font: "12px system-ui, sans-serif", grid: { stroke: () => css("--grid"), width: 1 } };
    ink.ticks = { stroke: () => css("--line"), width: 1, size: 4 };
    const x = { ...ink, space: 70, size: 34, values: (u, ticks) => ticks.map(plain) };
    if (chart.kind === "histogram") {
      x.incrs = [1, 2];
      x.space = 40;
      x.values = (u, ticks) => ticks.map(power);
    }
    const format = formatter(chart);
    const y = { ...ink, size: SIDE, space: 34, values: (u, ticks) => ticks.map(format) };
    if (chart.axis === "log") Object.assign(y, { splits: logSplits, filter: (u, ticks) => ticks });
    return [x, y];
  };

  const xRange = (chart) => (u, low, high) => {
    const all = u.data[0];
    if (chart.kind === "histogram") {
      const used = all.filter((_, i) => u.data.slice(1).some((counts) => counts[i] > 0));
      return [Math.min(Math.floor(used.length ? used[0] : -4), -3), 0];
    }
    if (chart.kind === "scatter") return [0, high * 1.15 || 1];
    return low === all[0] && high === all[all.length - 1] ? [0, Math.max(data.tokens, high)] : [low, high];
  };

  const draw = (chart) => {
    const figure = document.getElementById("chart-" + chart.id), box = figure.querySelector(".plot");
    const overTokens = chart.kind === "curve";
    const series = lines(chart);
    const log = chart.axis === "log";
    const cursor = { dataIdx: nearest, points: { size: 7 }, drag: { x: overTokens, y: false }, y: !overTokens, focus: { prox: 24 } };
    if (overTokens) cursor.sync = { key: "tokens" };
    const u = new uPlot({
      width: box.clientWidth, height: HEIGHT, legend: { show: false }, cursor, axes: axes(chart),
      padding: [8, 14, 0, 0],
      scales: { x: { time: false, range: xRange(chart) }, y: { distr: log ? 3 : 1, range: log ? logRange : linearRange(chart) } },
      series: [{}, ...series],
      plugins: [tooltip(chart, box)],
      hooks: { setScale: [zoom] },
    }, table(chart), box);
    u.overTokens = overTokens;
    u.over.addEventListener("pointerenter", () => { hovered = u; });
    u.over.addEventListener("pointerleave", () => { hovered = null; });
    legend(figure.querySelector(".legend"), u);
    new ResizeObserver(() => u.setSize({ width: box.clientWidth, height: HEIGHT })).observe(box);
    plots.push(u);
  };

  const legend = (box, u) => {
    const named = u.series.filter((series, i) => i > 0 && series.role !== "other").reverse();
    if (named.length < 2) return;
    named.forEach((series) => {
      const i = u.series.indexOf(series);
      const button = element("button"), swatch = element("span", "swatch");
      swatch.style.background = `var(${series.colour})`;
      button.type = "button";
      button.title = series.label;
      button.setAttribute("aria-pressed", "true");
      button.append(swatch, element("span", "", series.label));
      button.addEventListener("click", () => {
        u.setSeries(i, { show: !series.show });
        button.setAttribute("aria-pressed", String(series.show));
      });
      box.append(button);
    });
  };

  const key = (row) => {
    const sae = Number(row.dataset.sae), own = row.classList.contains("own"), cell = row.firstElementChild;
    const { colour } = look({ role: own ? "own" : "other", sae });
    const button = element("button", "key"), swatch = element("span", "swatch");
    swatch.style.background = `var(${colour})`;
    button.type = "button";
    button.disabled = own;
    button.setAttribute("aria-pressed", "true");
    button.append(swatch, element("span", "", cell.textContent));
    button.addEventListener("click", () => {
      const show = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(show));
      for (const u of plots) u.series.forEach((series, i) => i > 0 && series.sae === sae && u.setSeries(i, { show }));
    });
    cell.replaceChildren(button);
  };

  data.charts.forEach(draw);
  document.querySelectorAll("tr[data-sae]").forEach(key);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach((u) => u.redraw(false, true)));
  document.documentElement.dataset.drawn = String(plots.length);
})();

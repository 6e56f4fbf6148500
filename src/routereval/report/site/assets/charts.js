// Charts by plotly in the colours of the page, each with its numbers as CSV and as a table.
(function () {
  "use strict";
  // Okabe and Ito's palette, which any eye can tell apart; the yellow is left out, which does not show on white.
  var COLOURS = { light: ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#B07800", "#5b5b5b"],
                  dark: ["#56B4E9", "#E8833A", "#2CC295", "#E3A1C6", "#9BD3F5", "#E6B74C", "#B8B8B8"] };
  var DASHES = ["solid", "dash", "dot", "dashdot"];
  var MARKS = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "x"];
  var drawn = [], plots = [];
  var SHEET = 660; // pixels between the margins of a sheet of A4
  var HERE = document.currentScript.src;
  var library = null;

  // plotly is large: it is asked for when the first chart comes into sight, and the tables never wait for it.
  function withPlotly(then) {
    if (!library) {
      library = new Promise(function (ready, failed) {
        var script = document.createElement("script");
        script.src = HERE.replace(/charts\.js([?#].*)?$/, "plotly.min.js");
        script.onload = ready;
        script.onerror = failed;
        document.head.append(script);
      });
    }
    library.then(then);
  }

  // plotly reads <b>, <a href> and the like in any text, and entities: a name must hold neither.
  function text(name) {
    return String(name).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  // What names share is as a rule their beginning, and what tells them apart their end: the middle gives way.
  function short(name, most) {
    if (name.length <= most) return name;
    var head = Math.floor((most - 1) / 2);
    return name.slice(0, head) + "…" + name.slice(name.length - (most - 1 - head));
  }

  // The title of an axis, which plotly neither breaks nor keeps within the chart.
  function broken(title, most) {
    return title.split(" ").reduce(function (lines, word) {
      var last = lines[lines.length - 1];
      return last && (last + " " + word).length <= most ? lines.slice(0, -1).concat(last + " " + word) : lines.concat(word);
    }, []);
  }

  function isDark() {
    var theme = document.documentElement.getAttribute("data-theme");
    return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function colour(index) {
    var palette = COLOURS[isDark() ? "dark" : "light"];
    return palette[index % palette.length];
  }

  function faded(hex, alpha) {
    var n = parseInt(hex.slice(1), 16);
    return "rgba(" + (n >> 16) + "," + ((n >> 8) & 255) + "," + (n & 255) + "," + alpha + ")";
  }

  function layout(height, more) {
    var style = getComputedStyle(document.documentElement);
    function of(name) { return style.getPropertyValue(name).trim(); }
    var axis = { gridcolor: of("--line"), zerolinecolor: of("--strong-line"), linecolor: of("--strong-line"),
                 automargin: true, tickfont: { size: 12 }, title: { font: { size: 12.5 } } };
    var base = { height: height, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
                 font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: of("--ink") },
                 margin: { l: 8, r: 16, t: 8, b: 40 }, hoverlabel: { align: "left", bgcolor: of("--raised"),
                 bordercolor: of("--strong-line"), font: { color: of("--ink") } }, dragmode: false, hovermode: "closest",
                 showlegend: false };
    var made = Object.assign(base, more);
    made.xaxis = Object.assign({}, axis, more.xaxis);
    made.yaxis = Object.assign({}, axis, more.yaxis);
    return made;
  }

  var OPTIONS = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };

  function fill(figure, columns, rows) {
    var table = RouterEval.element("table", {}, [
      RouterEval.element("thead", {}, [RouterEval.element("tr", {}, columns.map(function (name) {
        return RouterEval.element("th", { scope: "col" }, [name]);
      }))]),
      RouterEval.element("tbody", {}, rows.map(function (row) {
        return RouterEval.element("tr", {}, row.map(function (value, i) {
          var shown = value === null || value === undefined ? "–" : typeof value === "number" && !Number.isInteger(value) ? RouterEval.fixed(value) : String(value);
          return i === 0 ? RouterEval.element("th", { scope: "row" }, [shown])
                         : RouterEval.element("td", typeof value === "number" ? { class: "num" } : {}, [shown]);
        }));
      }))
    ]);
    figure.querySelector(".as-table .scroll").replaceChildren(table);
  }

  // make() gives { traces, layout, columns, rows, says, stated }; it is asked again when the colours change.
  function chart(figure, make) {
    var plot = figure.querySelector(".plot");
    var button = figure.querySelector(".download");
    var details = figure.querySelector(".as-table");
    var now = null;
    function draw() {
      now = make();
      plot.setAttribute("aria-label", now.says);
      Plotly.react(plot, now.traces, now.layout, OPTIONS);
      if (details.open) fill(figure, now.columns, now.rows);
    }
    button.hidden = details.hidden = false;
    button.addEventListener("click", function () {
      now = now || make();
      var runs = now.stated.replace(/\n/g, " ");
      RouterEval.save(button.dataset.file, [now.columns.concat("runs")].concat(now.rows.map(function (row) { return row.concat(runs); })));
    });
    details.addEventListener("toggle", function () {
      now = now || make();
      if (details.open) fill(figure, now.columns, now.rows);
    });
    // Drawn when it comes into sight: a table that sorts at once is worth more than a chart nobody sees yet.
    var seen = new IntersectionObserver(function (entries) {
      if (!entries.some(function (entry) { return entry.isIntersecting; })) return;
      seen.disconnect();
      withPlotly(function () { drawn.push(draw); draw(); plots.push(plot); });
    }, { rootMargin: "300px" });
    seen.observe(plot);
    return function () { if (drawn.indexOf(draw) >= 0) draw(); else now = null; };
  }

  addEventListener("beforeprint", function () { plots.forEach(function (plot) { Plotly.relayout(plot, { width: SHEET }); }); });
  addEventListener("afterprint", function () { plots.forEach(function (plot) { Plotly.relayout(plot, { width: null, autosize: true }); }); });
  document.addEventListener("themechange", function () { drawn.forEach(function (draw) { draw(); }); });

  // What is short already, the tail, stays whole.
  function tick(row, most) {
    var tail = row.tail || "";
    return text(short(row.name.slice(0, row.name.length - tail.length), Math.max(8, most - tail.length)) + tail);
  }

  // Rows of { name, value, low, high, soft } from above, as dots with bars; a name may end in a tail.
  function forest(rows, title, zero) {
    var ordered = rows.filter(function (row) { return row.value !== null; });
    var narrow = innerWidth < 700;
    var lines = narrow ? broken(title, 20) : [title];
    var at = ordered.map(function (_, i) { return ordered.length - 1 - i; });
    function trace(soft) {
      var picked = ordered.map(function (row, i) { return [row, at[i]]; }).filter(function (pair) { return !!pair[0].soft === soft; });
      return {
        type: "scatter", mode: "markers", x: picked.map(function (p) { return p[0].value; }), y: picked.map(function (p) { return p[1]; }),
        customdata: picked.map(function (p) { return [text(p[0].name), RouterEval.fixed(p[0].value, zero), RouterEval.interval(p[0].low, p[0].high, zero)]; }),
        hovertemplate: "%{customdata[0]}<br>%{customdata[1]} %{customdata[2]}<extra></extra>",
        error_x: { type: "data", symmetric: false, thickness: 1.5, width: 0,
          array: picked.map(function (p) { return p[0].high === null ? 0 : p[0].high - p[0].value; }),
          arrayminus: picked.map(function (p) { return p[0].low === null ? 0 : p[0].value - p[0].low; }) },
        marker: { size: 8, color: colour(soft ? 6 : 0), symbol: soft ? "circle-open" : "circle" }
      };
    }
    return {
      traces: [trace(false), trace(true)],
      layout: layout(Math.max(160, 70 + 21 * ordered.length) + 16 * (lines.length - 1), {
        xaxis: { title: { text: lines.join("<br>") }, zeroline: !!zero, zerolinewidth: 2, side: "top" },
        yaxis: { tickvals: at, ticktext: ordered.map(function (row) { return tick(row, narrow ? 18 : 44); }), showgrid: false, zeroline: false,
                 range: [-0.7, ordered.length - 0.3], tickfont: { size: narrow ? 10.5 : 12 }, fixedrange: true },
        margin: { l: 8, r: 16, t: 28 + 16 * lines.length, b: 8 }
      })
    };
  }

  // Series of { name, points: [{ x, value, low, high }], shown, soft } as lines with bands.
  function curves(series, titles, reference) {
    var traces = [];
    var narrow = innerWidth < 700;
    series.forEach(function (one, i) {
      var hue = one.soft ? colour(6) : colour(i);
      var dash = DASHES[Math.floor(i / 7) % DASHES.length];
      var xs = one.points.map(function (p) { return p.x; });
      var group = "g" + i;
      var visible = one.shown ? true : "legendonly";
      // A band needs two points; one alone has a bar.
      var bar = one.points.length === 1 && one.points[0].low !== null ? { type: "data", symmetric: false, thickness: 1.5, width: 0,
        array: [one.points[0].high - one.points[0].value], arrayminus: [one.points[0].value - one.points[0].low] } : {};
      var banded = one.points.filter(function (p) { return p.low !== null; });
      traces.push({ type: "scatter", mode: "lines", hoverinfo: "skip", legendgroup: group, showlegend: false, visible: visible,
        x: banded.map(function (p) { return p.x; }).concat(banded.map(function (p) { return p.x; }).reverse()),
        y: banded.map(function (p) { return p.high; }).concat(banded.map(function (p) { return p.low; }).reverse()),
        fill: "toself", fillcolor: faded(hue, 0.13), line: { width: 0 } });
      traces.push({ type: "scatter", mode: "lines+markers", name: text(short(one.name, 40)), legendgroup: group, visible: visible, x: xs,
        y: one.points.map(function (p) { return p.value; }),
        customdata: one.points.map(function (p) { return [text(one.name), RouterEval.fixed(p.value), RouterEval.interval(p.low, p.high)]; }),
        hovertemplate: "%{customdata[0]}, m = %{x}<br>%{customdata[1]} %{customdata[2]}<extra></extra>",
        error_y: bar, line: { color: hue, width: one.soft ? 1.4 : 2, dash: one.soft ? "dot" : dash }, marker: { color: hue, size: 6.5, symbol: MARKS[i % MARKS.length] } });
    });
    var xs = Array.from(new Set(series.flatMap(function (one) { return one.points.map(function (p) { return p.x; }); }))).sort(function (a, b) { return a - b; });
    var more = {
      xaxis: { title: { text: titles.x }, type: "log", tickvals: xs, ticktext: xs.map(String), zeroline: false },
      yaxis: { title: { text: titles.y }, zeroline: false }, showlegend: true,
      legend: narrow ? { orientation: "h", y: -0.25, font: { size: 11 } } : { font: { size: 12 }, tracegroupgap: 0 }
    };
    if (reference) {
      var line = layout(0, {}).font.color;
      more.shapes = [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: reference.value, y1: reference.value, line: { color: line, width: 1, dash: "dash" } }];
      more.annotations = [{ xref: "paper", x: 0, xanchor: "left", y: reference.value, yanchor: "bottom", showarrow: false, text: text(reference.name), font: { size: 11 } }];
    }
    return { traces: traces, layout: layout(narrow ? 400 + 9 * series.length : Math.max(420, 60 + 19 * series.length), more) };
  }

  // Points of { name, x, y, xs: [low, high], ys: [low, high], soft }.
  function scatter(points, titles) {
    function trace(soft) {
      var picked = points.filter(function (p) { return p.x !== null && p.y !== null && !!p.soft === soft; });
      return { type: "scatter", mode: "markers", x: picked.map(function (p) { return p.x; }), y: picked.map(function (p) { return p.y; }),
        customdata: picked.map(function (p) { return [text(p.name), RouterEval.fixed(p.x) + " " + RouterEval.interval(p.xs[0], p.xs[1]), RouterEval.fixed(p.y) + " " + RouterEval.interval(p.ys[0], p.ys[1])]; }),
        hovertemplate: "%{customdata[0]}<br>" + titles.x + " %{customdata[1]}<br>" + titles.y + " %{customdata[2]}<extra></extra>",
        error_x: bars(picked, "x", "xs"), error_y: bars(picked, "y", "ys"),
        marker: { size: 8, color: colour(soft ? 6 : 0), symbol: soft ? "circle-open" : "circle" } };
    }
    function bars(picked, value, ends) {
      return { type: "data", symmetric: false, thickness: 0.8, width: 0, array: picked.map(function (p) { return p[ends][1] === null ? 0 : p[ends][1] - p[value]; }),
        arrayminus: picked.map(function (p) { return p[ends][0] === null ? 0 : p[value] - p[ends][0]; }) };
    }
    return { traces: [trace(false), trace(true)], layout: layout(420, { xaxis: { title: { text: titles.x }, zeroline: false }, yaxis: { title: { text: titles.y }, zeroline: false } }) };
  }

  RouterEval.charts = { chart: chart, forest: forest, curves: curves, scatter: scatter };
})();

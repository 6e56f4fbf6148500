// Charts of a benchmark: scores against the size of pools, routers side by side.
document.addEventListener("DOMContentLoaded", function () {
  "use strict";
  var R = RouterEval, METRICS = { gain: ["gain", "gain over the best single model", true], mu: ["mu", "mu", false] };
  function three(list, i) { return [R.unscaled(list[3 * i]), R.unscaled(list[3 * i + 1]), R.unscaled(list[3 * i + 2])]; }

  R.data().parts.forEach(function (part, index) {
    var series = part.rows.map(function (row) {
      return { name: row.label, soft: row.kind === "reference", shown: row.shown,
               points: part.sizes.map(function (m, i) { var n = three(row.mu, i + part.skip); return { x: m, value: n[0], low: n[1], high: n[2] }; }).filter(function (p) { return p.value !== null; }) };
    });
    R.charts.chart(document.getElementById("scaling" + index), function () {
      var made = R.charts.curves(series, { x: "candidates m", y: "mu" }, part.reference);
      made.columns = ["router", "m", "mu", "low", "high"];
      made.rows = series.flatMap(function (one) { return one.points.map(function (p) { return [one.name, p.x, p.value, p.low, p.high]; }); });
      made.stated = part.stated;
      made.says = "mu against the number of candidates, a line for each of " + series.length + " routers and references. The numbers are in the table below it.";
      return made;
    });
    var figure = document.getElementById("compare" + index), controls = figure.querySelector(".controls");
    var size = controls.querySelector("[name=size]"), metric = controls.querySelector("[name=metric]");
    controls.hidden = false;
    if (part.skip) size.append(new Option("all sizes", "0"));
    part.sizes.forEach(function (m, i) { size.append(new Option("m = " + m, String(i + part.skip))); });
    Object.keys(METRICS).forEach(function (name) { metric.append(new Option(METRICS[name][1], name)); });
    var draw = R.charts.chart(figure, function () {
      var of = METRICS[metric.value];
      var list = part.rows.map(function (row) {
        var n = three(row[of[0]], Number(size.value));
        return { name: row.label, kind: row.kind, value: n[0], low: n[1], high: n[2], soft: row.kind !== "router" };
      }).filter(function (row) { return row.value !== null; }).sort(function (a, b) { return b.value - a.value; });
      var made = R.charts.forest(list, of[1], of[2]);
      made.columns = ["router", "kind", of[1], "low", "high"];
      made.rows = list.map(function (row) { return [row.name, row.kind, row.value, row.low, row.high]; });
      made.stated = part.stated;
      made.says = of[1] + ", " + size.selectedOptions[0].text + ", for " + list.length + " routers. The numbers are in the table below it.";
      return made;
    });
    controls.addEventListener("change", function () { draw(); });
  });
});

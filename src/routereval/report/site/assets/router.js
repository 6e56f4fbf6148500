// Charts of a router: its gain by benchmark and size, and a line for each benchmark.
document.addEventListener("DOMContentLoaded", function () {
  "use strict";
  var R = RouterEval, all = R.data(), cells = all.cells;
  if (!cells.length || !document.getElementById("gains")) return;
  function three(list) { return list.map(R.unscaled); }
  function tail(cell) { return (cell.m === null ? "" : ", m = " + cell.m) + (cell.part ? " (" + cell.part + ")" : ""); }

  R.charts.chart(document.getElementById("gains"), function () {
    var list = cells.map(function (cell) { var n = three(cell.gain); return { name: cell.benchmark + tail(cell), tail: tail(cell), cell: cell, value: n[0], low: n[1], high: n[2] }; });
    var made = R.charts.forest(list, "gain over the best single model", true);
    made.columns = ["benchmark", "m", "gain", "low", "high"];
    made.rows = list.map(function (row) { return [row.cell.benchmark, row.cell.m, row.value, row.low, row.high]; });
    made.stated = all.stated;
    made.says = "Gain over the best single model in " + list.length + " cells of benchmark and pool size. The numbers are in the table below it.";
    return made;
  });
  var lines = new Map();
  cells.forEach(function (cell) {
    var line = cell.benchmark + (cell.part ? " (" + cell.part + ")" : "");
    if (!lines.has(line)) lines.set(line, { name: line, shown: true, points: [] });
    var n = three(cell.mu);
    if (n[0] !== null) lines.get(line).points.push({ x: cell.m, value: n[0], low: n[1], high: n[2] });
  });
  R.charts.chart(document.getElementById("scaling"), function () {
    var series = Array.from(lines.values());
    var made = R.charts.curves(series, { x: "candidates m", y: "mu" }, null);
    made.columns = ["benchmark", "m", "mu", "low", "high"];
    made.rows = series.flatMap(function (one) { return one.points.map(function (p) { return [one.name, p.x, p.value, p.low, p.high]; }); });
    made.stated = all.stated;
    made.says = "mu against the number of candidates, a line for each of " + series.length + " benchmarks. The numbers are in the table below it.";
    return made;
  });
});

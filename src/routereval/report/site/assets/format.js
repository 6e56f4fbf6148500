// Numbers as the pages write them, elements without markup, CSV that no spreadsheet takes for a formula.
var RouterEval = (function () {
  "use strict";
  var SCALE = 1000000;

  function data() { return JSON.parse(document.getElementById("data").textContent); }

  function fixed(value, signed) {
    var text = Math.abs(value).toFixed(3);
    if (Number(text) === 0) return text;
    return (value < 0 ? "\u2212" : signed ? "+" : "") + text;
  }

  function interval(low, high, signed) {
    return low === null ? "" : "[" + fixed(low, signed) + ", " + fixed(high, signed) + "]";
  }

  function unscaled(value) { return value === null ? null : value / SCALE; }

  function element(tag, attributes, children) {
    var made = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (name) { made.setAttribute(name, attributes[name]); });
    (children || []).forEach(function (child) { made.append(child); });
    return made;
  }

  // A name in pieces between which a narrow column may break.
  function breakable(text) {
    return text.split(/(?<=[:,/_=.])(?=\w)/).flatMap(function (piece, i) { return i ? [document.createElement("wbr"), piece] : [piece]; });
  }

  function field(value) {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    var text = /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value);
    return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  }

  function csv(rows) { return rows.map(function (row) { return row.map(field).join(","); }).join("\r\n") + "\r\n"; }

  function save(name, rows) {
    var url = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" }));
    var link = element("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(function () { URL.revokeObjectURL(url); }, 10000);
  }

  return { data: data, fixed: fixed, interval: interval, unscaled: unscaled, element: element, breakable: breakable, csv: csv, save: save };
})();

// Tables that sort by a button in each heading. Cells say by data-v what they are sorted by; what has none stays last.
(function () {
  "use strict";
  function key(row, column, how) {
    var text = row.cells[column].getAttribute("data-v");
    if (text === null || text === "") return null;
    return how === "text" ? text.toLowerCase() : Number(text);
  }

  // Each part of a table is sorted by itself; the row that names a part stays above it.
  function sort(table, column, direction, how) {
    var sign = direction === "ascending" ? 1 : -1;
    Array.from(table.tBodies, function (body) {
      var rows = Array.from(body.rows).filter(function (row) { return !row.classList.contains("group"); });
      var keyed = rows.map(function (row) { return [key(row, column, how), row]; });
      keyed.sort(function (a, b) {
        if (a[0] === null || b[0] === null) return (a[0] === null) - (b[0] === null);
        return a[0] < b[0] ? -sign : a[0] > b[0] ? sign : 0;
      });
      var ordered = document.createDocumentFragment();
      keyed.forEach(function (pair) { ordered.append(pair[1]); });
      body.append(ordered);
    });
  }

  function heading(table) { return Array.from(table.tHead.rows[0].cells); }

  function again(table) {
    var column = heading(table).findIndex(function (cell) { return cell.hasAttribute("aria-sort"); });
    if (column < 0) return;
    var cell = heading(table)[column];
    sort(table, column, cell.getAttribute("aria-sort"), cell.querySelector("button").dataset.sort);
  }

  document.querySelectorAll("table[data-sortable]").forEach(function (table) {
    heading(table).forEach(function (cell, column) {
      var button = cell.querySelector("button[data-sort]");
      if (!button) return;
      button.addEventListener("click", function () {
        var first = button.dataset.sort === "text" ? "ascending" : "descending";
        var was = cell.getAttribute("aria-sort");
        var direction = was === null ? first : was === "ascending" ? "descending" : "ascending";
        heading(table).forEach(function (other) { other.removeAttribute("aria-sort"); });
        cell.setAttribute("aria-sort", direction);
        sort(table, column, direction, button.dataset.sort);
      });
    });
  });
  RouterEval.sortAgain = again;
})();

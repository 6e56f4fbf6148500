// The leaderboard: filters pick one of the tables within the page; the address keeps the choice.
document.addEventListener("DOMContentLoaded", function () {
  "use strict";
  var table = document.getElementById("board");
  if (!table) return;
  var R = RouterEval, all = R.data(), form = document.getElementById("filters"), status = document.getElementById("status");
  var NAMES = all.axes.map(function (axis) { return axis.name; });
  var METRICS = { gain: [1, "gain over the best single model", true], mu: [0, "mu", false], gap: [2, "gap closed", true], V_R: [3, "V_R", false], V_B: [4, "V_B", false], behind: [6, "behind the leader", true] };
  var rows = [], told = "";

  all.axes.forEach(function (axis) {
    var select = form.elements[axis.name];
    if (axis.all) select.append(new Option("all", ""));
    axis.values.forEach(function (value, i) { select.append(new Option(value, String(i))); });
    select.parentElement.hidden = select.options.length < 2;
  });
  all.first.split(",").forEach(function (value, i) { form.elements[NAMES[i]].value = value; });
  form.hidden = false;
  if (!all.routers.some(function (one) { return one[2] === "control"; })) form.elements.controls.parentElement.hidden = true;
  if (!all.routers.some(function (one) { return one[2] === "reference"; })) form.elements.references.parentElement.hidden = true;

  function key() { return NAMES.map(function (name) { return form.elements[name].value; }).join(","); }

  function read() {
    var board = all.boards[key()];
    if (!board) return [];
    return board.rows.map(function (router, i) {
      var about = all.routers[router], numbers = [];
      for (var c = 0; c < 7; c++) {
        var at = (i * 7 + c) * 3;
        numbers.push([R.unscaled(board.values[at]), R.unscaled(board.values[at + 1]), R.unscaled(board.values[at + 2])]);
      }
      return { label: about[0], href: about[1], kind: about[2], credit: all.credits[router], position: board.position[i], have: board.have[i], scenes: board.scenes,
               numbers: numbers, leads: router === board.leader };
    });
  }

  function number(value, low, high, signed, mark) {
    var td = R.element("td", { class: "num", "data-v": value === null ? "" : value });
    var v = R.element("span", { class: "v" });
    if (mark && low !== null && (low > 0 || high < 0)) {
      v.append(R.element("span", { class: "mark " + (low > 0 ? "up" : "down"), "aria-hidden": "true" }, [low > 0 ? "▲" : "▼"]), R.element("span", { class: "vh" }, [low > 0 ? "above: " : "below: "]));
    }
    v.append(value === null ? "–" : R.fixed(value, signed));
    td.append(v);
    if (value !== null && low !== null) td.append(R.element("span", { class: "ci" }, [R.interval(low, high, signed)]));
    return td;
  }

  function by(credit) {
    return R.element("span", { class: "by" }, [credit.by].concat(credit.links.flatMap(function (link) {
      return [" ", R.element("a", { href: link[1], rel: "nofollow noopener noreferrer" }, [link[0]])];
    })));
  }

  function line(row) {
    var name = R.element("th", { scope: "row", "data-v": row.label }, [R.element("a", { href: row.href }, R.breakable(row.label))]);
    if (row.kind !== "router") name.append(R.element("span", { class: "kind" }, [row.kind]));
    if (row.credit) name.append(by(row.credit));
    var partial = row.have < row.scenes;
    var tr = R.element("tr", { class: row.kind + (partial ? " partial" : "") }, [
      R.element("td", { class: "num place", "data-v": row.position || "" }, [row.position ? String(row.position) : "–"]), name]);
    row.numbers.slice(0, 6).forEach(function (n, c) { tr.append(number(n[0], n[1], n[2], c === 1, c === 1)); });
    var last = row.numbers[6], behind = number(last[0], last[1], last[2], false, false), v = behind.querySelector(".v");
    if (row.leads) behind.replaceChildren(R.element("span", { class: "v" }, ["leader"]));
    else if (last[1] !== null && last[1] <= 0 && last[2] >= 0) {
      v.prepend(R.element("span", { class: "same", "aria-hidden": "true", title: "its interval holds 0: not told apart from the leader" }, ["≈"]), R.element("span", { class: "vh" }, ["not told apart from the leader: "]));
    }
    var have = R.element("span", { class: "v" }, [String(row.have)]);
    if (partial) have.append(R.element("span", { class: "of" }, [" of " + row.scenes]));
    tr.append(behind, R.element("td", { class: "num", "data-v": row.have }, [have]));
    return tr;
  }

  function part(row) { return row.kind === "reference" ? "references" : row.have < row.scenes ? "partial" : "routers"; }

  function say() {
    var board = all.boards[key()];
    if (!board) return "No runs for this choice.";
    var routers = rows.filter(function (row) { return row.kind !== "reference"; }).length;
    var what = board.scenes === 1 ? "1 scenario" : "the mean over " + board.scenes + " scenarios" + (board.benchmarks > 1 ? " of " + board.benchmarks + " benchmarks" : "");
    var prompts = board.prompts[0] === board.prompts[1] ? board.prompts[0] : board.prompts[0] + " to " + board.prompts[1];
    return "Showing " + rows.length + (rows.length === 1 ? " row" : " rows") + ", " + routers + (routers === 1 ? " router" : " routers") + ": " + what + ", " + prompts + " test prompts each.";
  }

  function stated() { return (all.boards[key()] || { stated: "" }).stated; }

  function filter() {
    var search = form.elements.search.value.trim().toLowerCase();
    rows = read().filter(function (row) {
      return (row.kind !== "reference" || form.elements.references.checked) && (row.kind !== "control" || form.elements.controls.checked) && (row.label + (row.credit ? "\n" + row.credit.by : "")).toLowerCase().indexOf(search) >= 0;
    });
    Array.from(table.tBodies, function (body, i) {
      var own = rows.filter(function (row) { return part(row) === all.groups[i][1]; });
      body.hidden = !own.length;
      body.replaceChildren.apply(body, Array.from(body.rows).slice(0, all.groups[i][0] ? 1 : 0).concat(own.map(line)));
    });
    R.sortAgain(table);
    if (say() !== told) status.textContent = told = say();
    document.getElementById("stated").textContent = stated();
    forest();
    scatter();
  }

  function remember() {
    var pieces = NAMES.filter(function (name) { return form.elements[name].value !== ""; }).map(function (name) {
      return name + "=" + encodeURIComponent(form.elements[name].selectedOptions[0].text);
    });
    try { history.replaceState(null, "", pieces.length ? "#" + pieces.join("&") : location.pathname); } catch (e) { /* a file that may not */ }
  }

  function recall() {
    new URLSearchParams(location.hash.slice(1)).forEach(function (value, name) {
      var axis = all.axes.find(function (one) { return one.name === name; });
      var found = axis ? axis.values.indexOf(value) : -1;
      if (found >= 0) form.elements[name].value = String(found);
    });
  }

  form.addEventListener("submit", function (event) { event.preventDefault(); });
  // No mean is taken over encoders that are apart, and a protocol may lack the chosen one: the first it has comes instead.
  function settle() {
    var encoder = form.elements.encoder;
    function has(value) { return all.boards[NAMES.map(function (name) { return name === "protocol" ? form.elements.protocol.value : name === "encoder" ? value : ""; }).join(",")]; }
    if (encoder.value === "" || has(encoder.value)) return;
    var first = Array.from(encoder.options).find(function (option) { return has(option.value); });
    if (first) encoder.value = first.value;
  }

  form.addEventListener("input", function (event) {
    if (event.target === form.elements.protocol) settle();
    filter();
    remember();
  });
  addEventListener("hashchange", function () { recall(); filter(); });

  document.getElementById("download").hidden = false;
  document.getElementById("download").addEventListener("click", function () {
    var header = ["place", "router", "kind"].concat(all.columns.flatMap(function (name) { return [name, name + "_low", name + "_high"]; }), ["scenarios", "of", "protocol"], all.stated);
    var board = all.boards[key()], protocol = form.elements.protocol.selectedOptions[0].text;
    R.save("leaderboard.csv", [header].concat(rows.map(function (row) {
      return [row.position || null, row.label, row.kind].concat(row.numbers.flat(), [row.have, row.scenes, protocol], board.cells);
    })));
  });

  // Means over fewer scenarios are not drawn beside the others.
  function ordered(by) {
    return rows.filter(function (row) { return row.have === row.scenes; }).sort(function (a, b) { return (b.numbers[by][0] === null ? -9 : b.numbers[by][0]) - (a.numbers[by][0] === null ? -9 : a.numbers[by][0]); });
  }

  var picker = document.querySelector("#forest .controls");
  picker.hidden = false;
  var metric = picker.querySelector("select");
  Object.keys(METRICS).forEach(function (name) { metric.append(new Option(METRICS[name][1], name)); });
  var forest = R.charts.chart(document.getElementById("forest"), function () {
    var of = METRICS[metric.value], index = of[0], list = ordered(index);
    var made = R.charts.forest(list.map(function (row) {
      return { name: row.label, value: row.numbers[index][0], low: row.numbers[index][1], high: row.numbers[index][2], soft: row.kind !== "router" };
    }), of[1], of[2]);
    made.columns = ["router", "kind", of[1], "low", "high"];
    made.rows = list.map(function (row) { return [row.label, row.kind].concat(row.numbers[index]); });
    made.stated = stated();
    made.says = "Dots with intervals of " + of[1] + " for " + list.length + " rows" + (list.length ? "; the highest is " + list[0].label : "") + ". The numbers are in the table below it.";
    return made;
  });
  metric.addEventListener("change", function () { forest(); });
  var scatter = R.charts.chart(document.getElementById("scatter"), function () {
    var list = ordered(0).filter(function (row) { return row.numbers[5][0] !== null; });
    var made = R.charts.scatter(list.map(function (row) {
      return { name: row.label, x: row.numbers[5][0], y: row.numbers[0][0], xs: row.numbers[5].slice(1), ys: row.numbers[0].slice(1), soft: row.kind !== "router" };
    }), { x: "E_p (bits)", y: "mu" });
    made.columns = ["router", "kind", "E_p", "E_p_low", "E_p_high", "mu", "mu_low", "mu_high"];
    made.rows = list.map(function (row) { return [row.label, row.kind].concat(row.numbers[5], row.numbers[0]); });
    made.stated = stated();
    made.says = "mu against E_p for " + list.length + " rows. The numbers are in the table below it.";
    return made;
  });

  recall();
  filter();
});

// Light, dark, or as the system has it; runs before anything is drawn.
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  var order = ["system", "light", "dark"];
  var now = "system";
  try { now = localStorage.getItem("routereval-theme") || "system"; } catch (e) { /* files without storage */ }
  if (order.indexOf(now) < 0) now = "system";

  function apply() {
    if (now === "system") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", now);
    document.dispatchEvent(new Event("themechange"));
  }
  apply();
  // Paper is white, and so are the charts on it.
  addEventListener("beforeprint", function () {
    root.setAttribute("data-theme", "light");
    document.dispatchEvent(new Event("themechange"));
  });
  addEventListener("afterprint", apply);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", function () {
    var button = document.getElementById("theme");
    button.hidden = false;
    function name() { button.textContent = "Theme: " + now; }
    name();
    button.addEventListener("click", function () {
      now = order[(order.indexOf(now) + 1) % order.length];
      try { localStorage.setItem("routereval-theme", now); } catch (e) { /* then it is not kept */ }
      name();
      apply();
    });
  });
})();

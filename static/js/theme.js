// Sets the colours before the first paint: the person's choice (on <html data-theme>), else the system's.
(function () {
  "use strict";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    root.setAttribute("data-bs-theme", root.dataset.theme || (system.matches ? "dark" : "light"));
  }
  apply();
  system.addEventListener("change", apply);
})();

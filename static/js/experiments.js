// The form of a new experiment: buttons that empty an option, shown while it has a value. It works without them.
(function () {
  "use strict";
  document.querySelectorAll("[data-resets]").forEach(function (button) {
    const field = document.getElementById(button.dataset.resets);
    if (!field) return;
    function show() { button.hidden = field.value === ""; }
    field.addEventListener("input", show);
    field.addEventListener("change", show);
    button.addEventListener("click", function () {
      field.value = "";
      field.dispatchEvent(new Event("change", { bubbles: true }));
      field.focus();
    });
    show();
  });
})();

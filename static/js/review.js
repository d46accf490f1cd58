// Keys of the review desk. Without this file the buttons do the same.
(function () {
  "use strict";

  function rests(event) {
    return event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.shortcuts === "off" ||
      document.querySelector("dialog[open]") ||
      event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
  }

  // Before the keys of all pages (sptar.js): with the reasons open, a digit chooses one and R rejects without.
  document.addEventListener("keydown", function (event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.matches("[data-enter-saves]")) {
      event.preventDefault();
      if (!event.repeat) event.target.form.requestSubmit();
      return;
    }
    if (rests(event)) return;
    // A key that is held down would answer one card after the other, unread.
    if (event.repeat && document.querySelector('[data-key="' + CSS.escape(event.key.toLowerCase()) + '"]')) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    const reasons = document.querySelector("details.reasons[open]");
    const reason = reasons && reasons.querySelector('[data-digit="' + CSS.escape(event.key.toLowerCase()) + '"]');
    if (!reason) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!event.repeat) reason.click();
  }, true);

  // The second half of a double click would answer the card that has come meanwhile.
  document.addEventListener("click", function (event) {
    if (event.detail > 1 && event.target.closest("#desk form button")) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }, true);

  // What opens takes the focus: the first reason, or the text at its end.
  document.addEventListener("toggle", function (event) {
    if (!event.target.matches || !event.target.matches("details.reasons, details.edit") || !event.target.open) return;
    const first = event.target.querySelector("textarea, [data-digit]");
    first.focus();
    if (first.setSelectionRange) first.setSelectionRange(first.value.length, first.value.length);
    document.querySelectorAll("details.reasons[open], details.edit[open]").forEach(function (other) {
      if (other !== event.target) other.open = false;
    });
  }, true);
})();

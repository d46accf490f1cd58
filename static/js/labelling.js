// Keys of the labelling screen. Without this file the buttons do the same.
(function () {
  "use strict";

  const hits = function () { return Array.from(document.querySelectorAll("[data-hit]")); };
  const isOpen = function (hit) { return !hit.classList.contains("graded"); };

  // The hit that the digits grade: the one with the focus, else the marked one, else the first that is not judged.
  function current() {
    const focused = document.activeElement && document.activeElement.closest("[data-hit]");
    return focused || document.querySelector("[data-hit].current") || hits().find(isOpen) || null;
  }

  function show(hit, focus) {
    document.querySelectorAll("[data-hit].current").forEach(function (other) { other.classList.remove("current"); });
    if (!hit) return;
    hit.classList.add("current");
    if (focus) {
      hit.focus({ preventScroll: true });
      hit.scrollIntoView({ block: "nearest" });
    }
  }

  function move(by) {
    const all = hits();
    const now = all.indexOf(current());
    const isFocused = all[now] && all[now].contains(document.activeElement);
    // The first press goes to the marked hit itself.
    show(all[isFocused ? Math.min(all.length - 1, Math.max(0, now + by)) : Math.max(0, now)], true);
  }

  function isTyping(target) {
    return target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
  }

  document.addEventListener("keydown", function (event) {
    // Enter sends a question; with Shift it begins a new line, for several questions.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.matches("[data-enter-submits]")) {
      event.preventDefault();
      event.target.form.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.shortcuts === "off") return;
    if (isTyping(event.target) || document.querySelector("dialog[open]") || !hits().length) return;
    const key = event.key.toLowerCase();
    // The arrows scroll a text that has the focus; J and K go on from there.
    if (event.key.startsWith("Arrow") && event.target.closest('[role="region"][tabindex]')) return;
    if (key === "j" || event.key === "ArrowDown") { event.preventDefault(); move(1); return; }
    if (key === "k" || event.key === "ArrowUp") { event.preventDefault(); move(-1); return; }
    if (!/^[0-3]$/.test(key)) return;
    const hit = current();
    const button = hit && hit.querySelector('button[name="grade"][value="' + key + '"]');
    if (button) { event.preventDefault(); button.click(); }
  });

  // After a grade the focus goes on to the next document that is not judged, after the last one to "done"; after a
  // refusal it stays.
  let judged = null;
  document.addEventListener("htmx:beforeRequest", function (event) {
    const form = event.target;
    if (!form.matches || !form.matches("form.grades, #rest")) return;
    judged = hits().indexOf(form.closest("[data-hit]"));
  });
  document.addEventListener("htmx:afterSettle", function () {
    if (judged === null) {
      // Other words, or a search that became ready: the first open hit is marked again.
      if (!document.querySelector("[data-hit].current")) show(hits().find(isOpen), false);
      return;
    }
    const all = hits();
    const same = all[judged];
    const refused = same && same.querySelector('[role="alert"]');
    const next = refused ? same : all.slice(judged + 1).find(isOpen) || all.find(isOpen);
    judged = null;
    show(next, true);
    const done = document.querySelector('[data-key="n"]');
    if (!next && done) done.focus({ preventScroll: true });
  });

  // The address follows the search, so that a reload shows the same.
  document.addEventListener("htmx:afterRequest", function (event) {
    // Not the event's target: the link went with the hits that were replaced.
    const asked = event.detail.requestConfig.elt;
    if (!event.detail.successful || !asked.matches("form.search-again, a.back-to-question")) return;
    const form = document.querySelector("form.search-again");
    if (asked !== form) { form.elements.find.value = ""; form.elements.find.focus(); }
    const words = form.elements.find.value.trim();
    history.replaceState(null, "", form.dataset.href + (words ? "?find=" + encodeURIComponent(words) : ""));
  });

  document.addEventListener("DOMContentLoaded", function () { show(hits().find(isOpen), false); });
})();

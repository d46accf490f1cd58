// Small manners for all pages. Every page works without this file.
(function () {
  "use strict";

  // Polling rests while the page is hidden (the server writes hx-trigger="every 2s"; a condition in it would need eval).
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (document.hidden && event.detail.elt.hasAttribute("data-poll")) event.preventDefault();
  });

  // An error of a button or form stands where messages stand (webapp.views.errors sends HX-Retarget); an error of a
  // poll is only announced, or it would cover the page again every two seconds.
  document.addEventListener("htmx:beforeSwap", function (event) {
    const detail = event.detail;
    if (detail.xhr.status < 400 || !detail.xhr.getResponseHeader("HX-Retarget")) return;
    if (detail.requestConfig.elt.hasAttribute("data-poll")) announce("This page could not be brought up to date. Trying again.");
    else { detail.shouldSwap = true; window.scrollTo({ top: 0 }); }
  });

  // A fragment that failed to load says so instead of standing still.
  document.addEventListener("htmx:sendError", function () { announce("The server does not answer. Trying again."); });

  function announce(text) {
    const place = document.getElementById("announcer");
    if (place && place.textContent !== text) place.textContent = text;
  }
  document.addEventListener("sptar:announce", function (event) { announce(event.detail.value || event.detail); });

  // <button data-opens="id"> opens a <dialog>; one with data-closes closes the dialog it stands in.
  document.addEventListener("click", function (event) {
    const opener = event.target.closest("[data-opens]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.opens);
      if (dialog) { event.preventDefault(); dialog.showModal(); }
    }
    const closer = event.target.closest("[data-closes]");
    if (closer) { event.preventDefault(); closer.closest("dialog").close(); }
    const copier = event.target.closest("[data-copies]");
    if (copier) {
      const source = document.getElementById(copier.dataset.copies);
      navigator.clipboard.writeText(source.value || source.textContent.trim()).then(function () { announce("Copied."); });
    }
  });

  // Only one top-bar menu open at a time; Escape closes it.
  document.addEventListener("click", function (event) {
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") document.querySelectorAll("details.menu[open]").forEach(function (menu) { menu.open = false; });
  });

  // Single keys: a button or link with data-key="n" is pressed by that key, unless somebody is typing or has switched
  // single keys off (WCAG 2.1.4). Keys belong to the innermost element with data-keys that is on the page.
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.shortcuts === "off") return;
    if (document.querySelector("dialog[open]")) return;
    const typing = event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
    if (typing) return;
    const target = document.querySelector('[data-key="' + CSS.escape(event.key.toLowerCase()) + '"]:not(:disabled)');
    if (target) { event.preventDefault(); target.click(); }
  });

  // After a swap the focus goes to the element that asks for it, so that keyboard users stay where the work is.
  document.addEventListener("htmx:afterSettle", function (event) {
    const wanted = event.detail.elt.querySelector ? event.detail.elt.querySelector("[data-focus]") : null;
    if (wanted) wanted.focus({ preventScroll: false });
  });

  // On narrow screens the stepper scrolls: the step of the page comes into view.
  document.addEventListener("DOMContentLoaded", function () {
    const here = document.querySelector('.stepper [aria-current="step"]');
    const frame = here && here.closest(".stepper");
    if (frame && frame.scrollWidth > frame.clientWidth) {
      frame.scrollLeft = here.offsetLeft - (frame.clientWidth - here.offsetWidth) / 2;
    }
  });

  // The tab's title shows that something finished while the person was elsewhere.
  document.addEventListener("sptar:finished", function (event) {
    if (document.hidden) document.title = "✓ " + document.title.replace(/^✓ /, "");
    announce(event.detail.value || "Finished.");
  });
})();

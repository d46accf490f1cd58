// Small manners for all pages. Every page works without this file.
(function () {
  "use strict";

  const HIDDEN_PACE = 30000; // milliseconds between two looks of the main poll while nobody sees the page

  function isPoll(element) { return element.hasAttribute("data-poll"); }

  // Polling rests while the page is hidden (the server writes hx-trigger="every 2s"; a condition in it would need eval),
  // save data-poll="hidden-too", which looks now and then, and what it sets off. data-poll="over" has ended.
  let lookedAt = 0;
  document.addEventListener("htmx:beforeRequest", function (event) {
    const element = event.detail.elt;
    if (!isPoll(element)) return;
    const cause = event.detail.requestConfig.triggeringEvent;
    const rests = document.hidden && !(cause && cause.type === "stages-changed");
    const looks = element.dataset.poll === "hidden-too" && Date.now() - lookedAt >= HIDDEN_PACE;
    if (element.dataset.poll === "over" || (rests && !looks)) event.preventDefault();
    else if (rests) lookedAt = Date.now();
  });

  // A poll replaces what it shows: what is open, scrolled and focused is put back. Opened and closed by hand both count.
  let kept = null;
  document.addEventListener("htmx:beforeSwap", function (event) {
    const detail = event.detail;
    kept = null;
    if (!detail.shouldSwap || !isPoll(detail.requestConfig.elt)) return;
    kept = { focus: document.activeElement && document.activeElement.id, parts: [] };
    detail.target.querySelectorAll("details[id], [tabindex][id], pre[id]").forEach(function (part) {
      kept.parts.push({ id: part.id, open: part.open, top: part.scrollTop, left: part.scrollLeft });
    });
  });
  document.addEventListener("htmx:afterSwap", function () {
    if (!kept) return;
    const before = kept;
    kept = null;
    before.parts.forEach(function (was) {
      const part = document.getElementById(was.id);
      if (!part) return;
      if (part.matches("details")) part.open = was.open;
      part.scrollTop = was.top;
      part.scrollLeft = was.left;
    });
    const focused = before.focus && document.getElementById(before.focus);
    if (focused && focused !== document.activeElement) focused.focus({ preventScroll: true });
  });

  // An error of a button or form stands where messages stand (webapp.views.errors sends HX-Retarget). A poll would put
  // it there again every two seconds: it has one notice of its own, which goes when the poll succeeds again.
  const failing = new Map(); // id of the poll: whether the connection is "lost" or the server "refused"
  document.addEventListener("htmx:beforeSwap", function (event) {
    const detail = event.detail;
    const element = detail.requestConfig.elt;
    if (detail.xhr.status < 400) return;
    if (isPoll(element)) {
      if (detail.xhr.status === 403 || detail.xhr.status === 404) {
        element.dataset.poll = "over";
        failing.delete(element.id);
        notice("page-over", "What this page shows has changed or is no longer there for you. Reload the page.");
      } else {
        failing.set(element.id, "refused");
        notice("poll-failed", "This page could not be brought up to date. Trying again.");
      }
    } else if (detail.xhr.getResponseHeader("HX-Retarget")) {
      detail.shouldSwap = true;
      window.scrollTo({ top: 0 });
    }
  });

  ["htmx:sendError", "htmx:timeout"].forEach(function (name) {
    document.addEventListener(name, function (event) {
      const element = event.detail.requestConfig.elt;
      if (isPoll(element)) {
        failing.set(element.id, "lost");
        notice("poll-failed", "The connection is lost. Trying again.");
      } else {
        const reads = event.detail.requestConfig.verb === "get";
        remove("not-sent");
        notice("not-sent", (reads ? "The" : "Nothing was saved: the") + " server does not answer. Press again.");
      }
    });
  });

  document.addEventListener("htmx:afterRequest", function (event) {
    if (!event.detail.successful) return;
    const element = event.detail.requestConfig.elt; // detail.elt is its parent when the answer has replaced it
    if (!isPoll(element)) remove("not-sent");
    failing.forEach(function (why, id) {
      if (why === "lost" || id === element.id || !document.getElementById(id)) failing.delete(id);
    });
    if (!failing.size) remove("poll-failed");
  });

  // Says something once where messages stand; a notice that is there already is not said again.
  function notice(id, text) {
    if (document.getElementById(id)) return;
    const place = document.createElement("div");
    place.id = id;
    place.className = "notice warn";
    place.textContent = text;
    document.getElementById("flash").append(place);
    announce(text);
  }
  function remove(id) {
    const place = document.getElementById(id);
    if (place) place.remove();
  }

  // The same sentence twice is two changes only when the place is empty in between.
  function announce(text) {
    const place = document.getElementById("announcer");
    if (!place) return;
    place.textContent = "";
    window.setTimeout(function () { place.textContent = text; }, 50);
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
  });

  // <button data-copies="id"> copies a field or a text. Over plain http browsers offer no clipboard to pages, so that the
  // text is selected and the old command tried.
  document.addEventListener("click", function (event) {
    const copier = event.target.closest("[data-copies]");
    if (!copier) return;
    const source = document.getElementById(copier.dataset.copies);
    function byHand() {
      if (source.select) { source.focus(); source.select(); }
      else window.getSelection().selectAllChildren(source);
      if (document.execCommand("copy")) answer(copier, "Copied");
      else answer(copier, "Selected: copy it with Ctrl+C");
    }
    if (!navigator.clipboard) byHand();
    else navigator.clipboard.writeText(source.value || source.textContent.trim()).then(function () { answer(copier, "Copied"); }, byHand);
  });
  function answer(button, text) {
    announce(text + ".");
    if (button.dataset.answers) return;
    const before = Array.from(button.childNodes);
    button.dataset.answers = "";
    button.replaceChildren(text);
    window.setTimeout(function () { button.replaceChildren(...before); delete button.dataset.answers; }, 2000);
  }

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
  // single keys off (WCAG 2.1.4).
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
      const left = here.getBoundingClientRect().left - frame.getBoundingClientRect().left;
      frame.scrollLeft += left - (frame.clientWidth - here.offsetWidth) / 2;
    }
  });

  // The tab's title shows that something finished while the person was elsewhere.
  document.addEventListener("sptar:finished", function (event) {
    if (document.hidden) document.title = "✓ " + document.title.replace(/^✓ /, "");
    announce(event.detail.value || "Finished.");
  });
  document.addEventListener("visibilitychange", function () {
    if (!document.hidden) document.title = document.title.replace(/^✓ /, "");
  });
})();

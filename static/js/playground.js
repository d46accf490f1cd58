// Keys, links between columns and tried questions of the playground. Without this file links and buttons do the same.
(function () {
  "use strict";

  const KEPT = 12; // questions of this window

  const hits = function (within) { return Array.from((within || document).querySelectorAll("[data-hit]")); };

  function current() {
    const focused = document.activeElement && document.activeElement.closest("[data-hit]");
    return focused || document.querySelector("[data-hit].current") || null;
  }

  function show(hit) {
    if (!hit) return;
    hits().forEach(function (other) { other.classList.toggle("current", other === hit); });
    hit.focus({ preventScroll: true });
    hit.scrollIntoView({ block: "nearest" });
  }

  // The same document lights up in all columns while the pointer or the focus is on one of them.
  function link(hit) {
    const doc = hit ? hit.dataset.doc : null;
    hits().forEach(function (other) { other.classList.toggle("linked", doc !== null && other.dataset.doc === doc); });
  }
  document.addEventListener("pointerover", function (event) {
    const hit = event.target.closest("[data-hit]");
    const focused = document.activeElement && document.activeElement.closest("[data-hit]");
    link(hit || focused);
  });
  document.addEventListener("focusin", function (event) { link(event.target.closest("[data-hit]")); });
  document.addEventListener("click", function (event) {
    const jump = event.target.closest("a[data-jumps]");
    const goal = jump && document.querySelector(jump.getAttribute("href"));
    if (goal) { event.preventDefault(); show(goal); }
  });

  function move(by) {
    const now = current();
    if (!now) { show(hits()[0]); return; }
    const column = hits(now.closest(".column"));
    show(column[Math.min(column.length - 1, Math.max(0, column.indexOf(now) + by))]);
  }

  // To the same document in the next column that has it, else to the same place.
  function across(by) {
    const now = current();
    if (!now) { show(hits()[0]); return; }
    const columns = Array.from(document.querySelectorAll("#results .column")).filter(function (one) { return hits(one).length; });
    const at = columns.indexOf(now.closest(".column"));
    const goal = columns[at + by];
    if (!goal) return;
    const there = hits(goal);
    const same = there.find(function (hit) { return hit.dataset.doc === now.dataset.doc; });
    show(same || there[Math.min(there.length - 1, hits(columns[at]).indexOf(now))]);
  }

  const MOVES = {
    j: function () { move(1); }, arrowdown: function () { move(1); },
    k: function () { move(-1); }, arrowup: function () { move(-1); },
    l: function () { across(1); }, arrowright: function () { across(1); },
    h: function () { across(-1); }, arrowleft: function () { across(-1); },
    "/": function () { const box = document.getElementById("q"); if (box) { box.focus(); box.select(); } },
  };

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.shortcuts === "off") return;
    if (document.querySelector("dialog[open]")) return;
    if (event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]")) return;
    const key = event.key.toLowerCase();
    if (MOVES[key] && (key === "/" || hits().length)) { event.preventDefault(); MOVES[key](); return; }
    if (!/^[0-3]$/.test(key)) return;
    const hit = current();
    const button = hit && hit.querySelector('button[name="grade"][value="' + key + '"]');
    if (button) { event.preventDefault(); button.click(); }
  });

  // After a grade the focus stays with the document, whose buttons were replaced.
  let judged = "";
  document.addEventListener("htmx:beforeRequest", function (event) {
    const form = event.target;
    if (form.matches && form.matches("form.grades")) judged = form.closest("[data-hit]").id;
  });
  document.addEventListener("htmx:afterSettle", function () {
    if (judged) { show(document.getElementById(judged)); judged = ""; }
    remember();
  });

  // The questions of this window, for a click back to them; they leave the browser with the window.
  function remember() {
    const place = document.getElementById("tried");
    const results = document.getElementById("results");
    if (!place || !results) return;
    const name = "tried " + window.location.pathname;
    let kept = [];
    try { kept = JSON.parse(window.sessionStorage.getItem(name)) || []; } catch (error) { kept = []; }
    const text = results.dataset.text;
    const others = kept.filter(function (one) { return one.text !== text; });
    if (text) {
      kept = [{ text: text, href: results.dataset.href }].concat(others).slice(0, KEPT);
      try { window.sessionStorage.setItem(name, JSON.stringify(kept)); } catch (error) { /* storage is full or off */ }
    }
    const list = place.querySelector("ul");
    list.replaceChildren(...others.slice(0, KEPT - 1).map(function (one) {
      const item = document.createElement("li");
      const anchor = document.createElement("a");
      anchor.href = one.href;
      anchor.dir = "auto";
      anchor.textContent = one.text;
      item.className = "tag";
      item.append(anchor);
      return item;
    }));
    place.hidden = !others.length;
  }

  document.addEventListener("DOMContentLoaded", remember);
})();

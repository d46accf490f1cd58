// The upload form: says that a file is too large before it is sent, and shows how much has been sent.
(function () {
  "use strict";

  function form() { return document.getElementById("upload-form"); }

  function say(sentence) {
    const place = document.getElementById("file-error");
    if (place) place.textContent = sentence;
  }

  function tooLarge() {
    const file = form().querySelector("input[type=file]").files[0];
    return Boolean(file) && file.size > Number(form().dataset.maxBytes);
  }

  document.addEventListener("change", function (event) {
    if (form() && event.target.matches("#upload-form input[type=file]")) say(tooLarge() ? form().dataset.maxWords : "");
  });

  document.addEventListener("htmx:confirm", function (event) {
    if (event.target === form() && tooLarge()) { event.preventDefault(); say(form().dataset.maxWords); }
  });

  document.addEventListener("htmx:xhr:progress", function (event) {
    const bar = event.target.querySelector && event.target.querySelector(".upload-progress");
    if (!bar || !event.detail.lengthComputable) return;
    bar.hidden = false;
    bar.value = Math.round((100 * event.detail.loaded) / event.detail.total);
  });

  // A refused file answers with 4xx and the form with its sentence, which is to be shown.
  document.addEventListener("htmx:beforeSwap", function (event) {
    if (event.target === form() && event.detail.xhr.status >= 400 && event.detail.xhr.status < 500) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });

  ["dragover", "dragleave", "drop"].forEach(function (name) {
    document.addEventListener(name, function (event) {
      if (event.target.matches && event.target.matches(".dropzone")) event.target.classList.toggle("over", name === "dragover");
    });
  });
})();

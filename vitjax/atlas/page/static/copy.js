"use strict";
// Buttons that copy a text, and texts that are there to be copied.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;

  /** A button that copies what `text()` gives; where the browser refuses, it says `else_`. */
  vitjax.copyButton = (label, text, else_) => {
    const button = element("button", null, label);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text());
        button.textContent = "Copied";
      } catch {
        button.textContent = else_; // browsers may refuse the clipboard to a page from disk
      }
      vitjax.say(button.textContent);
      setTimeout(() => { button.textContent = label; }, 2000);
    });
    return button;
  };

  /** A text of several lines with a button that copies it. */
  vitjax.copyText = (title, text) => {
    const shown = element("pre", { tabindex: "0", "aria-label": title }, text);
    return element("div", { class: "to-copy" }, element("div", null, element("h3", null, title),
      vitjax.copyButton("Copy", () => text, "Select the text to copy it")), shown);
  };

  /** A button that saves a text as a file. */
  vitjax.saveButton = (label, name, type, text) => element("button", {
    on: {
      click() {
        const address = URL.createObjectURL(new Blob([text()], { type }));
        element("a", { href: address, download: name }).click();
        setTimeout(() => URL.revokeObjectURL(address), 10_000);
      },
    },
  }, label);
})();

"use strict";
// A box to type into with suggestions below it that one walks with the arrow keys: the combobox of ARIA.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  let boxes = 0;

  /**
   * A search box. `options(text)` lists suggestions {text, note, picture, choose}; `free(text)`, if given, takes what is
   * typed when none of them is chosen; `begun()`, if given, gets ready what suggestions need, as a promise.
   */
  vitjax.searchBox = ({ label, hint, value = "", options, free, begun }) => {
    const id = `search-${++boxes}`;
    let shown = [];
    let active = -1;

    const input = element("input", {
      id, type: "text", role: "combobox", placeholder: hint, value, "aria-label": label, "aria-expanded": "false",
      "aria-controls": `${id}-list`, "aria-autocomplete": "list", autocomplete: "off", autocapitalize: "none",
      spellcheck: "false", enterkeyhint: "search",
    });
    const list = element("ul", { id: `${id}-list`, role: "listbox", "aria-label": `${label}: suggestions`, hidden: true });

    const walk = (to) => {
      active = to;
      [...list.children].forEach((row, place) => row.setAttribute("aria-selected", String(place === active)));
      if (active < 0) return input.removeAttribute("aria-activedescendant");
      input.setAttribute("aria-activedescendant", `${id}-${active}`);
      list.children[active].scrollIntoView({ block: "nearest" });
    };

    const close = () => {
      list.hidden = true;
      list.replaceChildren();
      shown = [];
      input.setAttribute("aria-expanded", "false");
      walk(-1);
    };

    const choose = (option) => {
      input.value = free ? "" : option.text;
      input.blur();
      option.choose();
    };

    const row = (option, place) => element("li", {
      id: `${id}-${place}`, role: "option", "aria-selected": "false",
      on: { mousedown: (event) => event.preventDefault(), click: () => choose(option) },
    }, option.picture && element("img", { src: option.picture, alt: "", width: 32, height: 32 }),
    element("span", { class: "name" }, option.text), element("span", { class: "note" }, option.note));

    const open = () => {
      shown = options(input.value);
      if (!shown.length) return close();
      list.replaceChildren(...shown.map(row));
      list.hidden = false;
      input.setAttribute("aria-expanded", "true");
      walk(-1);
      vitjax.say(`${shown.length} suggestions`);
    };

    const keys = {
      ArrowDown() { if (list.hidden) open(); if (shown.length) walk((active + 1) % shown.length); },
      ArrowUp() { if (list.hidden) open(); if (shown.length) walk((active <= 0 ? shown.length : active) - 1); },
      Enter() {
        if (active >= 0) return choose(shown[active]);
        const text = input.value.trim();
        const exact = shown.find((option) => option.text === text) ?? (free ? null : shown[0]);
        if (exact) return choose(exact);
        input.blur();
        free?.(text);
      },
      Escape() {
        if (!list.hidden) return close();
        if (input.value) input.value = "";
        else input.blur();
      },
    };
    input.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.isComposing) return;
      event.preventDefault();
      event.stopPropagation();
      keys[event.key]();
    });
    input.addEventListener("input", open);
    if (begun) {
      input.addEventListener("focus", async () => {
        await begun();
        if (!input.value || document.activeElement !== input) return;
        const walked = shown[active]?.text; // the reader may have walked on meanwhile
        open();
        walk(shown.findIndex((option) => option.text === walked));
      });
    }
    input.addEventListener("blur", close);
    return element("div", { class: "search" }, input, list);
  };

  /** Suggestions of units of an atlas. */
  vitjax.unitOptions = (atlas, text, most, choose) => vitjax.suggestUnits(atlas, text, most).map((unit) => ({
    text: atlas.name(unit), note: vitjax.verdict(atlas, unit), picture: atlas.picture(unit), choose: () => choose(unit),
  }));
})();

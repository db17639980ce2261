"use strict";
// The names of the layers at the side of the wall, each beside its rows as long as any of them is in sight.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const HIGH = 18; // pixels of a label

  /** Names without the words that all of them begin and end with: blocks.3.mlp.hidden is 3 among its like. */
  const shortened = (names) => {
    const words = names.map((name) => name.split("."));
    const shortest = Math.min(...words.map((list) => list.length));
    const same = (word) => words.length > 0 && words.every((list) => word(list) === word(words[0]));
    let [from, to] = [0, 0];
    while (from < shortest - 1 && same((list) => list[from])) from++;
    while (to < shortest - from - 1 && same((list) => list.at(-1 - to))) to++;
    return words.map((list) => list.slice(from, list.length - to).join("."));
  };

  vitjax.Labels = class {
    #bands = [];

    constructor() { this.node = element("div", { class: "labels", "aria-hidden": "true" }); }

    /** Names the bands of a layout; there is room for whole names or, on a phone, for what tells them apart. */
    show(bands) {
      this.#bands = bands;
      const names = bands.map((band) => band.label);
      const short = shortened(names);
      const longest = (texts) => String(Math.max(0, ...texts.map((text) => text.length)));
      this.node.hidden = bands.length === 0;
      this.node.style.setProperty("--long", longest(names));
      this.node.style.setProperty("--short", longest(short));
      this.node.replaceChildren(...names.map((name, place) => element("span", null,
        element("span", { class: "long" }, name), element("span", { class: "short" }, short[place]))));
    }

    /** Moves the labels to where their rows are on a wall of `high` pixels; leaves out those without room. */
    place(wall, high) {
      const size = wall.cellSize;
      this.node.style.transform = `translateX(${Math.round(Math.max(0, wall.pixel(0, 0).x))}px)`;
      let free = 0;
      this.#bands.forEach(({ row, rows }, place) => {
        const label = this.node.children[place];
        const top = wall.pixel(0, row).y;
        const y = Math.min(Math.max(top, 4), top + rows * size - HIGH);
        label.hidden = y < free || y > high || top + rows * size < HIGH / 2;
        if (label.hidden) return;
        free = y + HIGH;
        label.style.transform = `translateY(${Math.round(y)}px)`;
      });
    }
  };
})();

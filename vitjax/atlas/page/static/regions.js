"use strict";
// Names of regions on a map of units: the more one zooms in, the more of them there is room for.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const HIGH = 24; // pixels of a name, with the room around it
  const LETTER = 7.5;

  vitjax.Regions = class {
    #names = [];

    constructor() { this.node = element("div", { class: "regions" }); }

    /** Takes the names of a layout, the most telling first; a name leads to the units that respond to it. */
    show(names = []) {
      this.#names = names;
      this.node.hidden = !names.length;
      this.node.replaceChildren(...names.map(({ text, kind }) => element("a", {
        tabindex: "-1", href: vitjax.routes.overview(new URLSearchParams({ [kind ? "kind" : "text"]: text })),
      }, text)));
    }

    /** Moves the names to where they are on a wall of `wide` by `high` pixels; leaves out those that would lie over others. */
    place(wall, wide, high) {
      const taken = [];
      this.#names.forEach(({ text, x, y }, place) => {
        const label = this.node.children[place];
        const at = wall.pixel(x, y);
        const half = (text.length * LETTER) / 2 + 10;
        const box = { left: at.x - half, right: at.x + half, top: at.y - HIGH / 2, bottom: at.y + HIGH / 2 };
        const clear = taken.every((one) => box.right < one.left || box.left > one.right || box.bottom < one.top || box.top > one.bottom);
        label.hidden = !clear || box.left < 0 || box.right > wide || box.top < 0 || box.bottom > high;
        if (label.hidden) return;
        taken.push(box);
        label.style.transform = `translate(${Math.round(at.x)}px, ${Math.round(at.y)}px) translate(-50%, -50%)`;
      });
    }
  };
})();

"use strict";
// The card of the unit under the pointer or the keyboard's mark: its picture, its name, its main grades.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const GRADES = 3;
  const NARROW = 480; // pixels of a wall beside whose pictures there is no room
  const WAIT = 50; // milliseconds on a unit before its picture is asked for, so that a passing pointer loads nothing

  vitjax.Card = class {
    #unit = -1;

    constructor(atlas) {
      this.atlas = atlas;
      this.image = element("img", { alt: "", width: 160, height: 160 });
      this.text = element("div");
      this.load = vitjax.settled(WAIT, () => { if (this.#unit >= 0) this.image.src = atlas.picture(this.#unit); });
      this.node = element("a", { class: "card", hidden: true, tabindex: "-1" }, this.image, this.text);
    }

    get unit() { return this.#unit; }

    /** Shows a unit beside a rectangle {x, y, size} of the card's parent; -1 shows none. */
    show(unit, { x, y, size } = {}) {
      const { atlas, node } = this;
      node.hidden = unit < 0;
      if (unit >= 0 && unit !== this.#unit) {
        node.href = vitjax.routes.unit(atlas.name(unit));
        this.image.removeAttribute("src");
        this.load();
        const numbers = [...atlas.columns.values()].filter((column) => !column.words).slice(0, GRADES);
        const [first] = atlas.classes(unit);
        this.text.replaceChildren(
          element("strong", null, vitjax.nameText(atlas.name(unit))), vitjax.verdictMark(vitjax.verdict(atlas, unit)),
          element("dl", null, numbers.map((column) => [
            element("dt", null, column.label), element("dd", null, vitjax.format(column, atlas.value(unit, column.key)))])),
          first ? element("span", { class: "note" }, first) : "");
      }
      this.#unit = unit;
      if (unit < 0) return;
      const { clientWidth: wide, clientHeight: high } = node.parentElement;
      const narrow = wide < NARROW;
      node.classList.toggle("docked", narrow);
      const [width, height] = [node.offsetWidth, node.offsetHeight];
      // On a phone at the far end, since the click that follows a touch would else fall on the card.
      const right = x + size + 14 + width < wide ? x + size + 14 : Math.min(Math.max(8, x - 14 - width), wide - width - 8);
      const left = narrow ? 8 : right;
      const top = narrow ? (y > high / 2 ? 8 : high - height - 8) : Math.min(Math.max(8, y), Math.max(8, high - height - 8));
      node.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
    }
  };
})();

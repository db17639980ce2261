"use strict";
// The card of the unit under the pointer or the keyboard's mark: its picture, its name, its main grades.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const GRADES = 3;
  const NARROW = 480; // pixels of a wall beside whose pictures there is no room
  const WAIT = 50; // milliseconds on a unit before its picture is asked for, so that a passing pointer loads nothing

  /** A unit's verdict, its main grades, and what it responds to, each with its name. */
  vitjax.cardFacts = (atlas, unit) => {
    const verdict = vitjax.verdict(atlas, unit);
    const classes = atlas.classes(unit);
    const fact = (name, value) => [element("dt", null, name), element("dd", null, value)];
    return element("dl", null, verdict && fact("verdict", vitjax.verdictMark(verdict)),
      vitjax.mainColumns(atlas).slice(0, GRADES).map((column) => fact(column.label, vitjax.shownValue(atlas, unit, column))),
      atlas.silent.has(unit) ? fact("responds to", "hardly anything")
        : classes.length > 0 && element("div", { class: "responds" }, fact("responds to", classes.slice(0, 2).map((name) => name.split(",")[0]).join(" · "))));
  };

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
        this.text.replaceChildren(element("strong", null, vitjax.nameText(atlas.name(unit))), vitjax.cardFacts(atlas, unit));
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
      const top = narrow ? (y + size / 2 > high / 2 ? 8 : high - height - 8) : Math.min(Math.max(8, y), Math.max(8, high - height - 8));
      node.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
    }
  };
})();

"use strict";
// Units in a ranked grid, each with the value that it is ranked by; more come as one scrolls down.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const AT_ONCE = 60; // units that are added at a time

  const SILENT = "Its best photograph moves it next to nothing, so that its grades say little: it stands after all that respond.";

  /** A unit's picture with its rank, a value {text, label}, and perhaps a note below its name: that it hardly responds, first. */
  vitjax.tile = (atlas, unit, rank, { text, label, note }) => {
    const verdict = vitjax.verdict(atlas, unit);
    const silent = atlas.silent.has(unit);
    return element("li", null, element("a", { class: "tile", href: vitjax.routes.unit(atlas.name(unit)) },
      element("img", { src: atlas.picture(unit), alt: "", loading: "lazy", width: 128, height: 128 }),
      element("span", { class: "value" }, element("span", { class: "rank", "aria-hidden": "true" }, rank.toLocaleString("en")),
        element("b", null, text), " ", element("span", { class: "note" }, label),
        verdict && element("span", { class: "verdict dot", "data-verdict": verdict, title: verdict, role: "img", "aria-label": verdict })),
      element("span", { class: "name" }, vitjax.nameText(atlas.name(unit))),
      silent ? element("span", { class: "note class", title: SILENT }, "hardly responds: last")
        : note && element("span", { class: "note class" }, note)));
  };

  vitjax.Results = class {
    #atlas; #order = []; #value; #shown = 0; #watch;

    constructor(atlas) {
      this.#atlas = atlas;
      this.list = element("ol", { class: "tiles" });
      this.end = element("div", { class: "end" });
      this.node = element("div", { class: "results", hidden: true, tabindex: "0", role: "region", "aria-label": "Units, ranked" }, this.list, this.end);
      this.#watch = new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) this.#more(); }, { root: this.node, rootMargin: "600px" });
    }

    /** Shows units in an order; `value(unit)` gives what stands on its tile. */
    show(order, value, { shown = 0, top = 0 } = {}) {
      Object.assign(this.node, { hidden: false, scrollTop: 0 });
      this.#order = order;
      this.#value = value;
      this.#shown = 0;
      this.list.replaceChildren();
      do this.#more(); while (this.#shown < Math.min(shown, order.length));
      this.node.scrollTop = top;
      this.#watch.disconnect();
      this.#watch.observe(this.end);
    }

    hide() {
      this.#watch.disconnect();
      this.node.hidden = true;
      this.list.replaceChildren();
    }

    /** How much is shown, and from where: what `show` takes to show it again. */
    get place() { return { shown: this.#shown, top: this.node.scrollTop }; }

    #more() {
      const next = this.#order.slice(this.#shown, this.#shown + AT_ONCE);
      this.list.append(...next.map((unit, place) => vitjax.tile(this.#atlas, unit, this.#shown + place + 1, this.#value(unit))));
      this.#shown += next.length;
      this.end.hidden = this.#shown === this.#order.length;
      if (!this.end.hidden) { // it may still be in sight
        this.#watch.unobserve(this.end);
        this.#watch.observe(this.end);
      }
    }
  };
})();

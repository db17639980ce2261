"use strict";
// The bar above the units: how they are arranged and sorted, what is asked for, and one sentence that says what is seen.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;

  /** What comes first if a column falls, or rises. */
  const first = (column, falling) => {
    if (column.words) return falling ? "last" : "first";
    if (!column.better) return falling ? "largest" : "smallest";
    return falling === vitjax.choice.bestFalls(column) ? "best" : "worst";
  };

  vitjax.Bar = class {
    /** The bar of a choice, which it changes; `changed()` is called after that, `unfold(part)` to open or close the panel. */
    constructor(atlas, choice, { changed, unfold }) {
      Object.assign(this, { atlas, choice, changed });
      const arrangements = [...atlas.about.layouts, { key: vitjax.choice.GRID, label: "sorted" }];
      this.arrange = element("div", { class: "tabs", role: "group", "aria-label": "Arrange" }, arrangements.map(({ key, label }) =>
        element("button", { "data-key": key, on: { click: () => { choice.layout = key; changed(); } } }, label)));
      this.match = element("option", { value: vitjax.choice.MATCH }, "best match");
      this.sort = element("select", { "aria-label": "Sort by", on: { change: (event) => this.#sortBy(event.target.value) } },
        this.match, [...atlas.columns.values()].map((column) => element("option", { value: column.key }, column.label)),
        element("option", { value: vitjax.choice.UNIT }, "unit"));
      this.way = element("button", { on: { click: () => this.#turn() } });
      this.sorting = element("div", { class: "sorting" }, this.sort, this.way);
      const part = (name, title) => element("button", { "data-title": title, "aria-controls": "panel", "aria-expanded": "false", on: { click: () => unfold(name) } }, title);
      this.parts = { filters: part("filters", "Filters"), verdicts: part("verdicts", "Verdicts") };
      this.parts.verdicts.hidden = !vitjax.verdictColumn(atlas);
      this.chips = element("div", { class: "chips" });
      this.count = element("p", { class: "count", role: "status" });
      this.lead = element("p", { class: "lead" });
      this.node = element("div", null, element("div", { class: "bar" }, this.arrange, this.sorting, Object.values(this.parts), this.chips, this.count), this.lead);
    }

    /** Sorts by a column, the best first, or what is good in neither way, the largest; by match or unit number. */
    #sortBy(key) {
      const column = this.atlas.columns.get(key);
      this.choice.sort = key === vitjax.choice.MATCH ? "" : key;
      this.choice.falling = Boolean(column) && vitjax.choice.bestFalls(column);
      this.changed();
    }

    #turn() {
      Object.assign(this.choice, { sort: this.sorted.key, falling: !this.sorted.falling });
      this.changed();
    }

    /** Shows the choice as it is, by what {key, falling} the units are sorted, how many there are, and what was found. */
    show(sorted, shown, hits) {
      const { atlas, choice } = this;
      this.sorted = sorted;
      const layout = vitjax.choice.arranged(atlas, choice);
      const grid = layout === vitjax.choice.GRID;
      for (const tab of this.arrange.children) tab.setAttribute("aria-pressed", String(tab.dataset.key === layout));
      this.sorting.hidden = !grid;
      this.match.hidden = this.match.disabled = !(choice.text || choice.shown || choice.kind || choice.photo);
      this.sort.value = sorted.key;
      const column = atlas.columns.get(sorted.key);
      const arrow = sorted.falling ? "↓" : "↑";
      this.way.textContent = column ? `${arrow} ${first(column, sorted.falling)} first` : arrow;
      this.way.setAttribute("aria-label", `${column ? `${first(column, sorted.falling)} first` : "sorted"}: turn around`);
      this.way.disabled = sorted.key === vitjax.choice.MATCH;
      const conditions = vitjax.choice.conditions(choice);
      this.parts.filters.textContent = conditions ? `Filters (${conditions})` : "Filters";
      const all = atlas.count.toLocaleString("en");
      this.count.textContent = shown === atlas.count ? `${all} units` : `${shown.toLocaleString("en")} of ${all} units`;
      this.lead.replaceChildren(...(shown ? [this.#sentence(grid, column, hits), ...(grid ? [] : vitjax.verdictsInAll(atlas))] : []).flat(Infinity).filter(Boolean));
      this.#showChips();
    }

    #showChips() {
      const { choice } = this;
      const chip = (key, name) => choice[key] && element("button", {
        class: "chip", "aria-label": `Remove ${name} ${choice[key]}`, on: { click: () => { choice[key] = ""; this.changed(); } },
      }, element("span", null, `${name} `, element("b", null, choice[key])), element("span", { "aria-hidden": "true" }, "×"));
      const photo = choice.photo && element("button", {
        class: "chip", "aria-label": "Remove photograph", on: { click: () => { choice.photo = ""; this.changed(); } },
      }, element("img", { src: this.atlas.photo(Number(choice.photo)), alt: "photograph", width: 22, height: 22 }), element("span", { "aria-hidden": "true" }, "×"));
      const several = (name, said, size, clear) => size > 0 && element("button", {
        class: "chip", "aria-label": `Remove ${name} ${said}`, on: { click: () => { clear(); this.changed(); } },
      }, element("span", null, `${name} `, element("b", null, said)), element("span", { "aria-hidden": "true" }, "×"));
      const taps = [...choice.taps];
      const words = [...choice.words].map(([key, some]) => {
        const column = this.atlas.columns.get(key);
        return several(column.label, vitjax.verdictsCalled(column, column.words.filter((word) => some.has(word))), some.size, () => choice.words.delete(key));
      });
      this.chips.replaceChildren(...[chip("shown", "class"), chip("kind", "kind"), chip("word", "word"), chip("text", "search"),
        photo, several(taps.length === 1 ? "layer" : "layers", taps.length === 1 ? taps[0] : String(taps.length), taps.length, () => choice.taps.clear()), ...words].filter(Boolean));
    }

    /** What is seen, and what to do with it. */
    #sentence(grid, column, hits) {
      if (!grid) return "Each tile is a unit of the network: the picture that excites it most. Point at one for its grades, open it for its photographs.";
      if (this.sorted.key === vitjax.choice.MATCH && this.choice.photo) {
        return ["Ranked by where the photograph stands among a unit’s best.", hits.class && [" It is of the class ",
          element("a", { href: vitjax.routes.overview(new URLSearchParams({ class: hits.class })) }, hits.class), "."]];
      }
      if (this.sorted.key === vitjax.choice.MATCH) return "Ranked by how many of a unit’s best photographs are of what was searched for.";
      const last = column && this.atlas.silent.size ? " Units that hardly respond come last." : "";
      return column ? `Ranked by ${column.label}, ${first(column, this.sorted.falling)} first: ${column.help}.${last}` : "In the order of units.";
    }
  };
})();

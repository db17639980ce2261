"use strict";
// The overview: all units on the wall, how they are arranged, sorted and chosen, and the card of the one pointed at.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const SMALL = 28; // pixels: a smaller picture is shown on its card before a touch opens it

  class Overview {
    constructor(atlas, params) {
      this.atlas = atlas;
      this.choice = vitjax.choice.read(atlas, params);
      const at = (params.get("at") ?? "").split(",").map(Number);
      this.start = at.length === 3 && at.every(Number.isFinite) && at[2] > 0 ? at : null;
      this.current = -1;
      this.build();
    }

    build() {
      const { atlas } = this;
      const host = element("div", {
        class: "wall", tabindex: "0", role: "application", "aria-roledescription": "wall of pictures",
        "aria-label": "Pictures of all units. Arrow keys walk, Enter opens, plus and minus zoom, 0 shows all.",
        on: {
          pointermove: (event) => this.point(event),
          pointerleave: (event) => { if (event.pointerType === "mouse") this.mark(-1); },
          keydown: (event) => this.key(event),
        },
      });
      this.host = host;
      this.card = new vitjax.Card(atlas);
      this.cursor = element("div", { class: "cursor", hidden: true });
      this.labels = new vitjax.Labels();
      this.empty = element("div", { class: "empty", role: "alert", hidden: true });
      this.panel = element("aside", { class: "panel", id: "panel", "aria-label": "Filters", hidden: true });
      this.count = element("p", { class: "count", role: "status" });
      const button = (text, label, act) => element("button", { "aria-label": label, title: label, on: { click: act } }, text);
      this.room = element("div", { class: "room" }, this.panel, this.labels.node,
        element("div", { class: "hall" }, host, this.cursor, this.empty, this.card.node,
          element("div", { class: "zoom", role: "group", "aria-label": "Zoom" },
            button("+", "Zoom in", () => this.wall.zoom(2)), button("−", "Zoom out", () => this.wall.zoom(0.5)),
            button("⤢", "Show all", () => this.wall.home()))));
      this.node = element("section", { class: "overview" },
        element("h1", { class: "unseen", tabindex: "-1" }, atlas.about.title), this.bar(), this.room);
    }

    bar() {
      const { atlas, choice } = this;
      const arrangements = [...atlas.about.layouts, { key: vitjax.choice.GRID, label: "sorted" }];
      this.arrange = element("div", { class: "tabs", role: "group", "aria-label": "Arrange" }, arrangements.map(({ key, label }) =>
        element("button", { "data-key": key, on: { click: () => { choice.layout = key; this.update(); } } }, label)));
      this.sort = element("select", {
        "aria-label": "Sort by", on: { change: (event) => { choice.sort = event.target.value; this.update(); } },
      }, element("option", { value: "" }, "unit"),
      [...atlas.columns.values()].map((column) => element("option", { value: column.key }, column.label)));
      this.way = element("button", { on: { click: () => { choice.falling = !choice.falling; this.update(); } } });
      this.sorting = element("div", { class: "sorting" }, this.sort, this.way);
      this.filter = element("button", { "aria-controls": "panel", on: { click: () => this.unfold(this.panel.hidden) } });
      this.chips = element("div", { class: "chips" });
      return element("div", { class: "bar" }, this.arrange, this.sorting, this.filter, this.chips, this.count);
    }

    /** Once the page shows `node`. */
    enter() {
      this.wall = new vitjax.Wall(this.host, this.atlas, vitjax.images, {
        moved: () => this.moved(), chosen: (point, kind) => this.chosen(point, kind),
      });
      this.settle = vitjax.settled(250, () => this.address());
      this.repaint = () => this.wall.show({ ...this.wall.layout }); // its ground has another colour now
      addEventListener("vitjax-theme", this.repaint);
      return this.update(this.start);
    }

    leave() {
      this.left = true;
      removeEventListener("vitjax-theme", this.repaint);
      this.wall.destroy();
    }

    /** Shows what the choice says. */
    async update(view) {
      const { atlas, choice } = this;
      this.controls();
      const order = vitjax.choice.units(atlas, choice);
      this.order = order;
      const { clientWidth, clientHeight } = this.host;
      const grid = choice.layout === vitjax.choice.GRID;
      let whole;
      let problem = null;
      try {
        whole = grid ? vitjax.choice.grid(order, clientWidth / clientHeight || 1) : await atlas.layout(choice.layout);
      } catch (error) {
        problem = error;
        whole = vitjax.choice.grid([], 1);
      }
      if (this.left || this.order !== order) return; // something else was asked for meanwhile
      this.mark(-1);
      this.labels.show(whole.bands ?? []);
      this.wall.show(grid || order.length === atlas.count ? whole : vitjax.choice.thinned(whole, order, atlas.count), view);
      this.empty.hidden = order.length > 0 && !problem;
      this.empty.replaceChildren(...(problem ? [problem.message] : ["No unit meets these conditions. ",
        element("button", { on: { click: () => this.reset() } }, "Show all units")]));
      const all = atlas.count.toLocaleString("en");
      this.count.textContent = order.length === atlas.count ? `${all} units` : `${order.length.toLocaleString("en")} of ${all} units`;
      this.address();
    }

    controls() {
      const { choice } = this;
      for (const tab of this.arrange.children) tab.setAttribute("aria-pressed", String(tab.dataset.key === choice.layout));
      this.sorting.hidden = choice.layout !== vitjax.choice.GRID;
      this.sort.value = choice.sort;
      this.way.textContent = choice.falling ? "↓ falling" : "↑ rising";
      this.way.setAttribute("aria-label", `Sorted ${choice.falling ? "falling" : "rising"}: turn around`);
      this.way.disabled = !choice.sort;
      const conditions = vitjax.choice.conditions(choice);
      this.filter.textContent = conditions ? `Filters (${conditions})` : "Filters";
      this.filter.setAttribute("aria-expanded", String(!this.panel.hidden));
      const chip = (name, text, clear) => text && element("button", {
        class: "chip", "aria-label": `Remove ${name} ${text}`, on: { click: () => { clear(); this.update(); } },
      }, element("span", null, `${name} `, element("b", null, text)), element("span", { "aria-hidden": "true" }, "×"));
      this.chips.replaceChildren(...[
        chip("class", choice.shown, () => { choice.shown = ""; }),
        chip("search", choice.text, () => { choice.text = ""; }),
      ].filter(Boolean));
    }

    unfold(open) {
      this.panel.hidden = !open;
      this.fill(open);
      this.controls();
      if (open) this.panel.querySelector("button").focus();
      else this.filter.focus();
    }

    fill(open) {
      const changed = vitjax.settled(60, () => this.update());
      this.panel.replaceChildren(...(open ? [
        element("header", null, element("h2", null, "Filters"),
          element("button", { on: { click: () => this.reset() } }, "Reset"),
          element("button", { "aria-label": "Close filters", on: { click: () => this.unfold(false) } }, "×")),
        ...vitjax.filterFields(this.atlas, this.choice, changed).filter(Boolean),
      ] : []));
    }

    reset() {
      const none = vitjax.choice.read(this.atlas, new URLSearchParams());
      const { layout, sort, falling } = this.choice;
      Object.assign(this.choice, none, { layout, sort, falling });
      this.fill(!this.panel.hidden);
      this.update();
    }

    /** Writes what is seen into the address, so that a copy of it brings one back here. */
    address() {
      if (this.left) return;
      const params = vitjax.choice.write(this.atlas, this.choice);
      const { view } = this.wall;
      if (view) params.set("at", view.map((one) => Number(one.toFixed(2))).join(","));
      const hash = vitjax.routes.overview(params);
      vitjax.routes.correct(hash);
      vitjax.selection = { order: this.order, hash, all: this.order.length === this.atlas.count && !this.choice.sort };
    }

    moved() {
      if (!this.wall) return;
      this.settle();
      this.frame();
      this.labels.place(this.wall, this.host.clientHeight);
    }

    /** Marks a unit and shows its card; -1 marks none. */
    mark(unit) {
      this.current = unit;
      this.frame();
    }

    frame() {
      const where = this.current >= 0 ? this.wall.where(this.current) : null;
      this.cursor.hidden = !where;
      this.card.show(where ? this.current : -1, where ?? {});
      if (!where) return;
      this.cursor.style.transform = `translate(${where.x}px, ${where.y}px)`;
      this.cursor.style.width = this.cursor.style.height = `${Math.max(6, where.size)}px`;
    }

    point(event) {
      if (event.pointerType !== "mouse" || event.buttons) return;
      const box = this.host.getBoundingClientRect();
      this.mark(this.wall.unitAt(event.clientX - box.x, event.clientY - box.y));
    }

    chosen({ x, y }, kind) {
      const unit = this.wall.unitAt(x, y);
      const known = kind === "mouse" || unit === this.current || this.wall.cellSize >= SMALL;
      if (unit >= 0 && known) vitjax.routes.go(vitjax.routes.unit(this.atlas.name(unit)));
      else this.mark(unit);
    }

    key(event) {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      const acts = { "+": () => this.wall.zoom(2), "=": () => this.wall.zoom(2), "-": () => this.wall.zoom(0.5), 0: () => this.wall.home() };
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (step) {
        const unit = this.wall.beside(this.current, ...step);
        if (unit >= 0) this.wall.reveal(unit);
        this.mark(unit);
        if (unit >= 0) vitjax.say(`${this.atlas.name(unit)}, ${vitjax.verdict(this.atlas, unit)}`);
      } else if (event.key === "Enter" && this.current >= 0) vitjax.routes.go(vitjax.routes.unit(this.atlas.name(this.current)));
      else if (acts[event.key]) acts[event.key]();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }
  }

  vitjax.views.overview = async (atlas, { params }) => {
    const view = new Overview(atlas, params);
    return { title: "", node: view.node, wide: true, enter: () => view.enter(), leave: () => view.leave() };
  };
})();

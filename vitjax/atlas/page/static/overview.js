"use strict";
// The overview: all units on the wall, how they are arranged, sorted and chosen, and the card of the one pointed at.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const SMALL = 28; // pixels: a smaller picture is shown on its card before a touch opens it

  const EMPTY = { columns: 1, rows: 1, cells: [-1], bands: [] };

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
      this.regions = new vitjax.Regions();
      this.results = new vitjax.Results(atlas);
      this.bar = new vitjax.Bar(atlas, this.choice, {
        changed: () => { this.fill(); this.update(); }, unfold: (what) => this.unfold(what),
      });
      this.empty = element("div", { class: "empty", role: "alert", hidden: true });
      this.panel = element("aside", { class: "panel", id: "panel", hidden: true });
      this.unfolded = null; // "filters" or "verdicts"
      const button = (text, label, act) => element("button", { "aria-label": label, title: label, on: { click: act } }, text);
      this.hall = element("div", { class: "hall" }, host, this.regions.node, this.cursor, this.card.node,
          element("div", { class: "zoom", role: "group", "aria-label": "Zoom" },
            button("+", "Zoom in", () => this.wall.zoom(2)), button("−", "Zoom out", () => this.wall.zoom(0.5)),
            button("⤢", "Show all", () => this.wall.home())));
      this.room = element("div", { class: "room" }, this.panel, this.labels.node, this.hall, this.results.node, this.empty);
      this.node = element("section", { class: "overview" },
        element("h1", { class: "unseen", tabindex: "-1" }, atlas.about.title), this.bar.node, this.room);
    }

    /** Once the page shows `node`. */
    enter() {
      this.settle = vitjax.settled(250, () => this.address());
      this.repaint = () => this.wall?.show({ ...this.wall.layout }); // its ground has another colour now
      addEventListener("vitjax-theme", this.repaint);
      return this.update(this.start);
    }

    leave() {
      this.left = true;
      removeEventListener("vitjax-theme", this.repaint);
      if (vitjax.selection) vitjax.selection.place = this.results.node.hidden ? null : this.results.place;
      this.results.hide();
      this.wall?.destroy();
    }

    /** The wall, which is made when it is first shown. */
    hang() {
      this.wall ??= new vitjax.Wall(this.host, this.atlas, vitjax.images, {
        moved: () => this.moved(), chosen: (point, kind) => this.chosen(point, kind),
      });
      return this.wall;
    }

    /** Shows what the choice says. */
    async update(view) {
      const { atlas, choice } = this;
      const turn = (this.turn = (this.turn ?? 0) + 1);
      const layout = vitjax.choice.arranged(atlas, choice);
      const grid = layout === vitjax.choice.GRID;
      let [hits, whole, problem] = [null, null, null];
      try {
        [hits, whole] = await Promise.all([vitjax.choice.found(atlas, choice), grid ? null : atlas.layout(layout)]);
      } catch (error) {
        problem = error;
      }
      if (this.left || this.turn !== turn) return; // something else was asked for meanwhile
      const order = problem ? [] : vitjax.choice.units(atlas, choice, hits);
      Object.assign(this, { order, sorted: vitjax.choice.sorted(atlas, choice, hits) });
      this.bar.show(this.sorted, order.length, hits);
      this.mark(-1);
      this.hall.hidden = grid;
      this.labels.show(whole?.bands ?? []);
      this.regions.show(whole?.names);
      if (grid) this.rank(hits);
      else {
        this.results.hide();
        this.hang().show(order.length === atlas.count ? whole : vitjax.choice.thinned(whole ?? EMPTY, order, atlas.count), view);
      }
      this.empty.hidden = order.length > 0 && !problem;
      const unnamed = this.choice.text && !atlas.about.classes.length ? "The photographs here have no classes to search in. " : "";
      this.empty.replaceChildren(...(problem ? [problem.message] : [`No unit meets these conditions. ${unnamed}`,
        element("button", { on: { click: () => this.reset() } }, "Show all units")]));
      this.address();
    }

    /** Shows the results, from where the reader left them. */
    rank(hits) {
      const { atlas, sorted: { key } } = this;
      const matched = (unit) => (key === vitjax.choice.MATCH ? hits.names.get(unit) : null);
      const column = atlas.columns.get(key) ?? vitjax.mainColumns(atlas)[0];
      const asked = this.choice.kind || this.choice.shown || this.choice.text;
      const value = (unit) => ({
        ...(key === vitjax.choice.MATCH ? (this.choice.photo ? { text: `no. ${hits.get(unit) + 1}`, label: `of ${hits.most}` } : { text: `${hits.get(unit) ?? 0} of ${hits.most}`, label: asked })
          : { text: column ? vitjax.shownValue(atlas, unit, column) : "", label: column?.label }),
        note: matched(unit) ?? atlas.word(unit) ?? atlas.classes(unit)[0],
      });
      const { hash, place } = vitjax.selection ?? {};
      this.results.show(this.order, value, hash === location.hash && place ? place : {});
    }

    /** Opens a part of the panel in place of another, or closes it. */
    unfold(what) {
      this.unfolded = this.unfolded === what ? null : what;
      this.panel.hidden = !this.unfolded;
      this.fill();
      for (const [name, button] of Object.entries(this.bar.parts)) button.setAttribute("aria-expanded", String(name === this.unfolded));
      (this.unfolded ? this.panel.querySelector("button") : this.bar.parts[what]).focus();
    }

    /** What the part of the panel that is open shows. */
    fill() {
      const { atlas, choice, unfolded } = this;
      const title = unfolded && this.bar.parts[unfolded].dataset.title;
      const parts = {
        filters: () => vitjax.filterFields(atlas, choice, vitjax.settled(60, () => this.update()), () => { this.fill(); this.update(); }).filter(Boolean),
        verdicts: () => vitjax.verdictTable(atlas),
      };
      if (title) this.panel.setAttribute("aria-label", title);
      this.panel.replaceChildren(...(unfolded ? [
        element("header", null, element("h2", null, title),
          unfolded === "filters" && element("button", { on: { click: () => this.reset() } }, "Reset"),
          element("button", { "aria-label": `Close ${title.toLowerCase()}`, on: { click: () => this.unfold(unfolded) } }, "×")),
        ...parts[unfolded](),
      ] : []));
    }

    reset() {
      const none = vitjax.choice.read(this.atlas, new URLSearchParams());
      const { layout, sort, falling } = this.choice;
      Object.assign(this.choice, none, { layout, sort, falling });
      this.fill();
      this.update();
    }

    /** Writes what is seen into the address, so that a copy of it brings one back here. */
    address() {
      if (this.left) return;
      const params = vitjax.choice.write(this.atlas, this.choice);
      const view = this.hall.hidden ? null : this.wall?.view;
      if (view) params.set("at", view.map((one) => Number(one.toFixed(2))).join(","));
      const hash = vitjax.routes.overview(params);
      vitjax.routes.correct(hash);
      vitjax.selection = { order: this.order, hash, all: this.hall.hidden === false && this.order.length === this.atlas.count };
    }

    moved() {
      if (!this.wall) return;
      this.settle();
      this.frame();
      this.labels.place(this.wall, this.host.clientHeight);
      this.regions.place(this.wall, this.host.clientWidth, this.host.clientHeight);
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

"use strict";
// An atlas of activations: cells where they lie in the plane, as large as they are dense, and what each is for.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const LEAST = 0.35; // of a cell's side that the picture of the sparsest takes
  const FAINT = 0.08; // opacity of what adds nothing to the class that is asked for
  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  const check = (value) => (!Array.isArray(value.taps) || !Array.isArray(value.names)) && "it lists no taps";
  const number = (value) => value.toLocaleString("en");

  /** What cells add to a class, each in shares of what the one adds that adds most; null where none adds anything. */
  const shares = ({ scale, adds }, count, place) => {
    const text = atob(adds);
    const bytes = Array.from({ length: count }, (_, cell) => (text.charCodeAt(place * count + cell) << 24) >> 24);
    const most = Math.max(...bytes);
    return most > 0 && scale > 0 ? bytes.map((byte) => byte / most) : null;
  };

  class Plane {
    constructor(atlas, data, params) {
      Object.assign(this, { atlas, data, zoomed: 1, current: 0 });
      const named = data.taps.findIndex(({ tap }) => tap === params.get("tap"));
      this.layer = Math.max(0, named);
      this.name = data.names.indexOf(params.get("class") ?? "");
      this.even = params.get("size") === "even";
      this.build();
    }

    get about() { return this.data.taps[this.layer]; }

    build() {
      const { data } = this;
      const button = (text, label, act) => element("button", { "aria-label": label, title: label, on: { click: act } }, text);
      this.tabs = element("div", { class: "tabs", role: "group", "aria-label": "Layer" }, data.taps.map(({ tap }, place) =>
        element("button", { on: { click: () => { this.layer = place; this.draw(); } } }, tap)));
      const order = data.names.map((name, place) => ({ name, place })).sort((a, b) => a.name.localeCompare(b.name, "en"));
      this.select = element("select", { "aria-label": "Class", on: { change: (event) => { this.name = Number(event.target.value); this.weigh(); } } },
        element("option", { value: "-1" }, "all classes"), order.map(({ name, place }) => element("option", { value: place }, name)));
      this.size = element("button", { on: { click: () => { this.even = !this.even; this.draw(); } } }, "Size by density");
      this.count = element("p", { class: "count", role: "status" });
      this.grid = element("div", { class: "plane", role: "group", "aria-label": "Cells of activations. Arrow keys walk, Enter opens.",
        on: {
          keydown: (event) => this.key(event),
          pointerover: (event) => this.point(event), focusin: (event) => this.point(event),
        } });
      this.told = element("aside", { class: "told", "aria-label": "The cell pointed at" });
      this.node = element("section", { class: "activations" }, element("h1", { class: "unseen", tabindex: "-1" }, `Activations: ${this.atlas.about.title}`),
        element("div", { class: "bar" }, data.taps.length > 1 && this.tabs, data.names.length > 0 && this.select, this.size,
          element("a", { class: "plain", href: "#/?layout=activations" }, "All as a wall"), this.count),
        element("div", { class: "field" },
          element("div", { class: "ground" }, this.grid), this.told,
          element("div", { class: "zoom", role: "group", "aria-label": "Zoom" },
            button("+", "Zoom in", () => this.zoom(1.5)), button("−", "Zoom out", () => this.zoom(1 / 1.5)), button("⤢", "Show all", () => this.zoom(0)))));
    }

    enter() {
      this.sized = new ResizeObserver(() => this.zoom(1));
      this.sized.observe(this.grid.parentElement);
      return this.draw();
    }

    leave() { this.sized?.disconnect(); }

    /** Places the cells of the layer that is shown. */
    draw() {
      const { atlas, about } = this;
      const most = Math.max(...about.count);
      this.current = Math.min(this.current, about.count.length - 1);
      this.cells = about.count.map((count, cell) => {
        const unit = about.first + cell;
        const wide = this.even ? 1 : Math.max(LEAST, Math.sqrt(count / most));
        return element("a", {
          href: vitjax.routes.unit(atlas.name(unit)), "data-cell": cell, tabindex: cell === this.current ? 0 : -1,
          "aria-label": [this.names(cell, 1)[0]?.name, `${number(count)} activations`].filter(Boolean).join(", "),
          style: { "grid-row": String(about.row[cell] + 1), "grid-column": String(about.column[cell] + 1), "--wide": `${100 * wide}%` },
        }, element("img", { src: atlas.picture(unit), alt: "", loading: "lazy", decoding: "async" }));
      });
      const dropped = about.counts.flatMap((line, row) => line.flatMap((count, column) => {
        const shown = about.row.some((at, cell) => at === row && about.column[cell] === column);
        return count && !shown ? [element("i", { title: `${count} activations: too few`, style: { "grid-row": String(row + 1), "grid-column": String(column + 1) } })] : [];
      }));
      this.grid.style.setProperty("--side", String(about.side));
      this.grid.replaceChildren(...dropped, ...this.cells);
      [...this.tabs.children].forEach((tab, place) => tab.setAttribute("aria-pressed", String(place === this.layer)));
      this.size.setAttribute("aria-pressed", String(!this.even));
      this.show(this.current);
      return this.weigh();
    }

    /** Shows how much each cell adds to the class that is asked for. */
    async weigh() {
      const { about, name, layer } = this;
      this.select.value = String(name);
      this.address();
      let share = null;
      if (name >= 0) {
        try {
          this.adds = await vitjax.loadData(this.atlas.root, `activations-${layer}`, (value) => typeof value.adds !== "string" && "it holds no numbers");
        } catch (problem) {
          this.count.textContent = problem.message;
          return;
        }
        if (this.layer !== layer || this.name !== name) return; // something else was asked for meanwhile
        share = shares(this.adds, about.count.length, name);
      }
      this.share = share;
      if (share) this.mark(share.indexOf(Math.max(...share)));
      let adding = 0;
      this.cells.forEach((node, cell) => {
        const part = name < 0 ? 1 : share?.[cell] ?? 0;
        adding += Number(part > 0.1);
        node.style.setProperty("opacity", String(part > 0.1 ? 0.25 + 0.75 * part : FAINT));
      });
      const all = `${number(about.count.length)} cells of ${number(about.samples)} activations`;
      this.count.textContent = name < 0 ? all : `${number(adding)} of ${number(about.count.length)} cells add to ${this.data.names[name]}`;
      this.show(this.current);
    }

    /** The names that a cell adds most to. */
    names(cell, count = 5) {
      return (this.about.best?.[cell] ?? []).slice(0, count).map((place) => ({ place, name: this.data.names[place] }));
    }

    /** Tells of a cell at the side. */
    show(cell) {
      const { atlas, about } = this;
      const unit = about.first + cell;
      this.cells?.forEach((node, place) => node.classList.toggle("current", place === cell));
      const share = this.name >= 0 ? this.share?.[cell] ?? 0 : null;
      this.told.replaceChildren(
        element("img", { src: atlas.picture(unit), alt: "", width: 224, height: 224 }),
        element("h2", null, this.names(cell, 1)[0]?.name ?? `cell ${cell}`),
        element("p", { class: "note" }, `${number(about.count[cell])} of ${number(about.samples)} activations, row ${about.row[cell] + 1}, column ${about.column[cell] + 1}`),
        share !== null ? element("p", { class: "note" }, `${share < 0 ? "takes" : "adds"} ${Math.round(100 * Math.abs(share))} % of the most that a cell adds to ${this.data.names[this.name]}`) : "",
        this.names(cell).length ? element("p", { class: "note" }, "Adds most to") : "",
        element("ol", null, this.names(cell).map(({ place, name }) => element("li", null,
          element("button", { class: "chip", title: `Show where activations add to ${name}`, on: { click: () => { this.name = place; this.weigh(); } } }, element("span", null, name))))),
        element("a", { class: "button", href: vitjax.routes.unit(atlas.name(unit)) }, "Open"));
    }

    point(event) {
      const node = event.target.closest("[data-cell]");
      if (!node) return;
      this.mark(Number(node.dataset.cell));
      this.show(this.current);
    }

    /** Makes a cell the one that is told of, and that the Tab key comes to. */
    mark(cell) {
      this.current = cell;
      this.cells.forEach((node, place) => { node.tabIndex = place === cell ? 0 : -1; });
    }

    key(event) {
      const step = STEPS[event.key];
      if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const { row, column } = this.about;
      const away = (cell) => [column[cell] - column[this.current], row[cell] - row[this.current]];
      const far = (cell) => {
        const [x, y] = away(cell);
        const along = x * step[0] + y * step[1];
        return along > 0 ? along + 3 * Math.abs(x * step[1] + y * step[0]) : Infinity;
      };
      const next = this.cells.reduce((best, _, cell) => (far(cell) < far(best) ? cell : best), this.current);
      this.cells[next].focus();
    }

    /** Makes cells so many times as large; 0 makes all of them fit. */
    zoom(times) {
      const { clientWidth, clientHeight } = this.grid.parentElement;
      this.zoomed = times ? Math.min(8, Math.max(1, this.zoomed * times)) : 1;
      const fits = Math.max(12, (Math.min(clientWidth, clientHeight) - 16) / this.about.side);
      this.grid.style.setProperty("--cell", `${Math.floor(fits * this.zoomed)}px`);
    }

    /** Writes what is seen into the address. */
    address() {
      const params = new URLSearchParams();
      if (this.layer) params.set("tap", this.about.tap);
      if (this.name >= 0) params.set("class", this.data.names[this.name]);
      if (this.even) params.set("size", "even");
      const text = String(params).replace(/%3A/gi, ":");
      vitjax.routes.correct(`#/activations${text && `?${text}`}`);
      vitjax.selection = { ...vitjax.selection, hash: location.hash };
    }
  }

  vitjax.views.activations = async (atlas, { params }) => {
    if (!atlas.about.further?.includes("activations")) throw new vitjax.Problem("This atlas is of units, not of activations.");
    const view = new Plane(atlas, await vitjax.loadData(atlas.root, "activations", check), params);
    return { title: "Activations", node: view.node, wide: true, enter: () => view.enter(), leave: () => view.leave() };
  };

  // Where there are cells, their plane is what is seen first; an overview that is asked for something is the wall.
  const { overview } = vitjax.views;
  vitjax.views.overview = (atlas, route) => (atlas.about.further?.includes("activations") && !String(route.params)
    ? vitjax.views.activations(atlas, route) : overview(atlas, route));
})();

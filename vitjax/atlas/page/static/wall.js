"use strict";
// The wall: pictures of units in cells side by side, through which one pans and zooms. OpenSeadragon moves it.
(() => {
  const vitjax = window.vitjax;
  const PATIENCE = 600e3; // milliseconds for a tile: over a slow line the sheets of one may take long

  vitjax.Wall = class {
    #atlas; #images; #host; #viewer; #item = null; #layout = null; #cellOf = new Map(); #size = ""; #whole = true; #coming = null;

    /** A wall within the element `host`; `moved()` is called when other cells are seen, or lie elsewhere. */
    constructor(host, atlas, images, { moved, chosen }) {
      this.#atlas = atlas;
      this.#images = images;
      this.#host = host;
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.#viewer = OpenSeadragon({
        element: host, drawer: "canvas", tabIndex: "", keyboardNavEnabled: false,
        showNavigationControl: false, showSequenceControl: false,
        animationTime: still ? 0 : 0.5, springStiffness: 8, maxTilesPerFrame: 4, maxImageCacheCount: 120, timeout: PATIENCE,
        minZoomImageRatio: 0.9, maxZoomPixelRatio: 8, visibilityRatio: 0.4, smoothTileEdgesMinZoom: Infinity,
        gestureSettingsMouse: { clickToZoom: false, scrollToZoom: true, flickEnabled: !still },
        gestureSettingsTouch: { dblClickToZoom: true, flickEnabled: !still },
        viewportMargins: { left: 4, top: 8, right: 16, bottom: 16 },
        gestureSettingsPen: { clickToZoom: false, scrollToZoom: false },
      });
      this.#viewer.addHandler("update-viewport", () => {
        this.#fit();
        moved();
      });
      this.#viewer.addHandler("canvas-click", (event) => {
        if (event.quick) chosen(event.position, event.originalEvent.pointerType);
      });
    }

    /** Shows a layout {columns, rows, cells}; from the start, or where one is if its places are the same. */
    show(layout, view) {
      const stay = !view && this.#layout && this.#layout.columns === layout.columns && this.#layout.rows === layout.rows;
      const old = this.#item;
      this.#layout = layout;
      this.#coming = stay ? null : { view };
      this.#cellOf = new Map();
      layout.cells.forEach((unit, cell) => { if (unit >= 0) this.#cellOf.set(unit, cell); });
      this.#host.dataset.tiles = "loading";
      this.#viewer.addTiledImage({
        tileSource: vitjax.tileSource(this.#atlas, this.#images, layout, getComputedStyle(this.#host).backgroundColor),
        width: layout.columns, // so that a cell is one unit of length
        success: ({ item }) => {
          if (this.#layout !== layout) return this.#viewer.world.removeItem(item);
          this.#item = item;
          const whole = () => { this.#host.dataset.tiles = item.getFullyLoaded() ? "complete" : "loading"; };
          item.addHandler("fully-loaded-change", whole);
          // The last wall stays until the new one covers it, so that it does not flicker.
          if (old && stay) item.whenFullyLoaded(() => this.#forget(old));
          else if (old) this.#forget(old);
          if (!stay) this.#look(view);
          whole();
        },
      });
    }

    /** Keeps all in sight when all was, though the host has another size than before. */
    #fit() {
      const size = String(this.#viewer.viewport.getContainerSize());
      if (size === this.#size) this.#whole = this.#isWhole();
      else if (this.#whole) this.#home(true);
      this.#size = size;
    }

    /** Brings all into sight: in the middle, or at the top where a host that is taller than wide has room to spare. */
    #home(immediately) {
      const { viewport } = this.#viewer;
      viewport.goHome(immediately);
      const bounds = viewport.getHomeBounds();
      if (bounds.height <= bounds.width || !this.#layout) return;
      const top = (bounds.height - this.#layout.rows) / 2;
      if (top > 0) viewport.panBy(new OpenSeadragon.Point(0, top), immediately);
    }

    #forget(item) {
      item.source.drop();
      if (this.#viewer.world.getIndexOfItem(item) >= 0) this.#viewer.world.removeItem(item);
    }

    get layout() { return this.#layout; }

    /** What is seen, or about to be: the column and row at the centre, and how many columns are in sight; null for all. */
    get view() {
      if (this.#coming) return this.#coming.view ?? null;
      if (this.#isWhole()) return null;
      const bounds = this.#viewer.viewport.getBounds();
      const centre = bounds.getCenter();
      return [centre.x, centre.y, bounds.width];
    }

    #look(view) {
      const { viewport } = this.#viewer;
      this.#coming = null;
      this.#whole = !view;
      if (!view) return this.#home(true);
      const [x, y, across] = view;
      viewport.zoomTo(1 / across, null, true);
      viewport.panTo(new OpenSeadragon.Point(x, y), true);
      viewport.applyConstraints(true);
    }

    #isWhole() { return Math.abs(this.#viewer.viewport.getZoom() / this.#viewer.viewport.getHomeZoom() - 1) < 0.01; }

    home() { this.#home(false); }

    zoom(factor) {
      this.#viewer.viewport.zoomBy(factor);
      this.#viewer.viewport.applyConstraints();
    }

    /** The size of a cell on the screen, in pixels. */
    get cellSize() { return this.#viewer.viewport.deltaPixelsFromPoints(new OpenSeadragon.Point(1, 0), true).x; }

    /** The unit at a point of the host, or -1. */
    unitAt(x, y) {
      if (!this.#item) return -1;
      const point = this.#viewer.viewport.pointFromPixel(new OpenSeadragon.Point(x, y), true);
      const [column, row] = [Math.floor(point.x), Math.floor(point.y)];
      const { columns, rows, cells } = this.#layout;
      return column < 0 || row < 0 || column >= columns || row >= rows ? -1 : cells[row * columns + column];
    }

    /** Where a unit is within the host: {x, y, size}, or null. */
    where(unit) {
      const cell = this.#cellOf.get(unit);
      if (cell === undefined) return null;
      const { columns } = this.#layout;
      return { ...this.pixel(cell % columns, Math.floor(cell / columns)), size: this.cellSize };
    }

    /** Where the corner of a cell is within the host. */
    pixel(column, row) {
      const { x, y } = this.#viewer.viewport.pixelFromPoint(new OpenSeadragon.Point(column, row), true);
      return { x, y };
    }

    /** The next unit from `unit` in a direction, over empty cells; the first of all from -1. */
    beside(unit, right, down) {
      const { columns, rows, cells } = this.#layout;
      const cell = this.#cellOf.get(unit);
      if (cell === undefined) return cells.find((one) => one >= 0) ?? -1;
      let [column, row] = [(cell % columns) + right, Math.floor(cell / columns) + down];
      for (; column >= 0 && row >= 0 && column < columns && row < rows; column += right, row += down) {
        if (cells[row * columns + column] >= 0) return cells[row * columns + column];
      }
      return unit;
    }

    /** Moves so that a unit is in sight. */
    reveal(unit) {
      const cell = this.#cellOf.get(unit);
      const { viewport } = this.#viewer;
      const { columns } = this.#layout;
      const corner = new OpenSeadragon.Point((cell % columns) + 0.5, Math.floor(cell / columns) + 0.5);
      if (!viewport.getBounds().containsPoint(corner)) viewport.panTo(corner);
    }

    destroy() {
      const { world } = this.#viewer;
      for (let place = 0; place < world.getItemCount(); place++) world.getItemAt(place).source.drop();
      this.#viewer.destroy();
    }
  };
})();

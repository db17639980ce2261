"use strict";
// The tiles of the wall, composed out of the sheets of the fitting size: any order of any units is just other cells.
(() => {
  const vitjax = window.vitjax;
  const TILE = 512;
  const SMALLEST = 2; // pixels of a cell in the coarsest tiles
  const FEW = 2; // pictures of a tile that are not worth a sheet of at most MANY
  const MANY = 64;

  /** How large a cell is in the finest tiles: the power of two nearest to the picture's size. */
  const finest = (atlas) => {
    const picture = 2 ** Math.round(Math.log2(Math.max(...atlas.about.image_size)));
    return Math.max(...atlas.about.sheets.cells, Math.min(picture, TILE));
  };

  /** Where a unit's picture of at least `size` pixels lies: {file, x, y, side}; side is null for a whole file. */
  const place = (atlas, unit, size) => {
    const { side, cells } = atlas.about.sheets;
    const cell = cells.filter((one) => one >= size).sort((a, b) => a - b)[0];
    if (!cell) return { file: atlas.picture(unit), x: 0, y: 0, side: null };
    const across = Math.floor(side / cell);
    const sheet = Math.floor(unit / across ** 2);
    const spot = unit % across ** 2;
    const file = `${atlas.root}sheets/${cell}/${String(sheet).padStart(5, "0")}.webp`;
    return { file, x: (spot % across) * cell, y: Math.floor(spot / across) * cell, side: cell, many: across ** 2 };
  };

  /**
   * What to draw on a tile: {file: [{x, y, side, count, left, top}]}; neighbours on a sheet are drawn in one go, and
   * where units lie in disorder, pictures by themselves rather than a sheet for the sake of one or two.
   */
  const pieces = (atlas, layout, size, gap, tile) => {
    const files = new Map();
    const [west, north] = [Math.floor(tile.x / size), Math.floor(tile.y / size)];
    const east = Math.min(layout.columns, Math.ceil((tile.x + tile.width) / size));
    const south = Math.min(layout.rows, Math.ceil((tile.y + tile.height) / size));
    for (let row = north; row < south; row++) {
      let last = null;
      for (let column = west; column < east; column++) {
        const unit = layout.cells[row * layout.columns + column];
        if (unit < 0) { last = null; continue; }
        const { file, x, y, side, many } = place(atlas, unit, size);
        if (!gap && last && last.file === file && last.y === y && last.x + last.count * side === x) {
          last.count++;
          continue;
        }
        last = { unit, file, many, x, y, side, count: 1, left: column * size - tile.x, top: row * size - tile.y };
        if (!files.has(file)) files.set(file, []);
        files.get(file).push(last);
      }
    }
    for (const [file, list] of [...files]) {
      if (!(list[0].many <= MANY && list.length <= FEW && list.every(({ count }) => count === 1))) continue;
      files.delete(file);
      for (const { unit, left, top } of list) files.set(atlas.picture(unit), [{ x: 0, y: 0, side: null, count: 1, left, top }]);
    }
    return files;
  };

  let sources = 0;

  /** A source of tiles for OpenSeadragon: the units of `layout` from `images` on the colour `ground`. */
  vitjax.tileSource = (atlas, images, layout, ground) => {
    const top = finest(atlas);
    const levels = Math.log2(top / SMALLEST);
    const serial = ++sources; // OpenSeadragon keeps tiles by address
    const made = new OpenSeadragon.TileSource({
      width: layout.columns * top, height: layout.rows * top, tileSize: TILE, tileOverlap: 0, minLevel: 0, maxLevel: levels,
    });
    made.getTileUrl = (level, x, y) => `${serial}/${level}/${x}/${y}`;
    made.hasTransparency = () => false;
    const open = new Set(); // jobs in the making
    const callOff = (job) => {
      open.delete(job);
      job.userData.calls.forEach((one) => one());
    };
    made.downloadTileStart = (job) => {
      const [, level, column, row] = job.src.split("/").map(Number);
      const size = top / 2 ** (levels - level);
      const gap = size < 32 ? 0 : Math.round(size / 24);
      const tile = { x: column * TILE, y: row * TILE };
      tile.width = Math.min(TILE, layout.columns * size - tile.x);
      tile.height = Math.min(TILE, layout.rows * size - tile.y);
      const context = vitjax.element("canvas", { width: tile.width, height: tile.height }).getContext("2d");
      context.fillStyle = ground;
      context.fillRect(0, 0, tile.width, tile.height);
      const files = pieces(atlas, layout, size, gap, tile);
      let left = files.size;
      const drawn = () => {
        open.delete(job);
        job.finish(context, null, "context2d");
      };
      open.add(job);
      job.userData.calls = [...files].map(([file, list]) => images.want(file, (image) => {
        for (const { x, y, side, count, left, top } of image ? list : []) {
          const wide = side === null ? image.width : side * count;
          const high = side === null ? image.height : side;
          context.drawImage(image, x, y, wide, high, left, top, size * count - gap, size - gap);
        }
        if (--left === 0) drawn();
      }));
      if (!files.size) drawn();
    };
    made.downloadTileAbort = callOff;
    /** Gives up all tiles in the making; OpenSeadragon would complain of what comes after it has dropped an image. */
    made.drop = () => open.forEach((job) => {
      clearTimeout(job.jobId);
      callOff(job);
    });
    return made;
  };
})();

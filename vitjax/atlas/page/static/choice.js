"use strict";
// Which units are shown, and in which order: a choice, read from and written to an address, and the cells that follow.
(() => {
  const vitjax = window.vitjax;
  const GRID = "grid"; // the arrangement without gaps, sorted; the others are the atlas's own layouts

  const number = (text) => (text === "" || Number.isNaN(Number(text)) ? null : Number(text));

  /** Reads a choice out of an address; what the atlas does not have is passed over. */
  const read = (atlas, params) => {
    const layouts = [...atlas.about.layouts.map((layout) => layout.key), GRID];
    const taps = new Set(atlas.about.taps.map((one) => one.tap));
    const sort = params.get("sort") ?? "";
    const ranges = new Map();
    const words = new Map();
    for (const [key, column] of atlas.columns) {
      const asked = params.getAll(`is.${key}`);
      if (column.words) {
        const known = asked.filter((word) => column.words.includes(word));
        if (known.length) words.set(key, new Set(known));
      } else if (asked.length) {
        const [low, high] = asked[0].split("..").map(number);
        if ((low ?? high ?? null) !== null) ranges.set(key, { low: low ?? null, high: high ?? null });
      }
    }
    return {
      layout: layouts.includes(params.get("layout")) ? params.get("layout") : layouts[0],
      sort: atlas.columns.has(sort.replace(/^-/, "")) ? sort.replace(/^-/, "") : "",
      falling: sort.startsWith("-"),
      text: params.get("text") ?? "",
      shown: params.get("class") ?? "",
      taps: new Set(params.getAll("tap").filter((tap) => taps.has(tap))),
      unrepeated: params.get("repeats") === "hide",
      ranges,
      words,
    };
  };

  /** The parameters of an address that say this choice. */
  const write = (atlas, choice) => {
    const params = new URLSearchParams();
    if (choice.layout !== (atlas.about.layouts[0]?.key ?? GRID)) params.set("layout", choice.layout);
    if (choice.sort) params.set("sort", (choice.falling ? "-" : "") + choice.sort);
    if (choice.text) params.set("text", choice.text);
    if (choice.shown) params.set("class", choice.shown);
    for (const tap of choice.taps) params.append("tap", tap);
    for (const [key, { low, high }] of choice.ranges) params.set(`is.${key}`, `${low ?? ""}..${high ?? ""}`);
    for (const [key, words] of choice.words) for (const word of words) params.append(`is.${key}`, word);
    if (choice.unrepeated) params.set("repeats", "hide");
    return params;
  };

  /** How many conditions a unit has to meet. */
  const conditions = (choice) => choice.ranges.size + choice.words.size + Number(choice.taps.size > 0)
    + Number(choice.unrepeated) + Number(Boolean(choice.text)) + Number(Boolean(choice.shown));

  /** The numbers of the units that meet every condition, sorted as the choice says. */
  const units = (atlas, choice) => {
    const { columns, classes, duplicate } = atlas.units;
    const tests = [];
    for (const [key, { low, high }] of choice.ranges) {
      const values = columns[key];
      tests.push((unit) => values[unit] !== null && !(values[unit] < low && low !== null)
        && !(values[unit] > high && high !== null));
    }
    for (const [key, words] of choice.words) {
      const wanted = new Set(atlas.columns.get(key).words.flatMap((word, place) => (words.has(word) ? [place] : [])));
      tests.push((unit) => wanted.has(columns[key][unit]));
    }
    if (choice.taps.size) tests.push((unit) => choice.taps.has(atlas.tap(unit)));
    if (choice.unrepeated) tests.push((unit) => (duplicate[unit] ?? null) === null);
    if (choice.shown) {
      const place = atlas.about.classes.indexOf(choice.shown);
      tests.push((unit) => classes[unit]?.includes(place));
    }
    if (choice.text) tests.push(vitjax.matcher(atlas, choice.text));
    const left = [];
    for (let unit = 0; unit < atlas.count; unit++) if (tests.every((test) => test(unit))) left.push(unit);
    if (choice.sort) {
      const values = columns[choice.sort];
      const way = choice.falling ? -1 : 1;
      const key = (unit) => values[unit] ?? way * Infinity; // units without a value come last, either way
      left.sort((a, b) => (key(a) === key(b) ? a - b : way * (key(a) - key(b))));
    }
    return left;
  };

  /** The cells of an arrangement without gaps, as wide as `aspect` times its height. */
  const grid = (order, aspect) => {
    const columns = Math.max(1, Math.min(order.length, Math.ceil(Math.sqrt(order.length * aspect))));
    const rows = Math.max(1, Math.ceil(order.length / columns));
    const cells = new Int32Array(columns * rows).fill(-1);
    cells.set(order);
    return { columns, rows, cells, bands: [] };
  };

  /** A layout with only some of its units. */
  const thinned = (layout, order, count) => {
    const left = new Uint8Array(count);
    for (const unit of order) left[unit] = 1;
    return { ...layout, cells: layout.cells.map((unit) => (unit >= 0 && left[unit] ? unit : -1)) };
  };

  vitjax.choice = { GRID, read, write, conditions, units, grid, thinned };
})();

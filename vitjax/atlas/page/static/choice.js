"use strict";
// Which units are shown, and in which order: a choice, read from and written to an address, and the cells that follow.
(() => {
  const vitjax = window.vitjax;
  const GRID = "grid"; // the ranked results; the others are the atlas's own layouts
  const UNIT = "unit"; // sorted by unit number
  const MATCH = "match"; // sorted by how many of a unit's best photographs are of what was asked for

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
      layout: layouts.includes(params.get("layout")) ? params.get("layout") : "", // "": see arranged
      sort: [...atlas.columns.keys(), UNIT].includes(sort.replace(/^-/, "")) ? sort.replace(/^-/, "") : "", // "": see sorted
      falling: sort.startsWith("-"),
      text: params.get("text") ?? "",
      shown: params.get("class") ?? "",
      kind: params.get("kind") ?? "",
      word: params.get("word") ?? "",
      photo: /^\d+$/.test(params.get("photo") ?? "") ? params.get("photo") : "",
      taps: new Set(params.getAll("tap").filter((tap) => taps.has(tap))),
      unrepeated: params.get("repeats") === "hide",
      ranges,
      words,
    };
  };

  /** The parameters of an address that say this choice. */
  const write = (atlas, choice) => {
    const params = new URLSearchParams();
    if (choice.layout && choice.layout !== arranged(atlas, { ...choice, layout: "" })) params.set("layout", choice.layout);
    if (choice.sort) params.set("sort", (choice.falling ? "-" : "") + choice.sort);
    if (choice.text) params.set("text", choice.text);
    if (choice.shown) params.set("class", choice.shown);
    if (choice.kind) params.set("kind", choice.kind);
    if (choice.word) params.set("word", choice.word);
    if (choice.photo) params.set("photo", choice.photo);
    for (const tap of choice.taps) params.append("tap", tap);
    for (const [key, { low, high }] of choice.ranges) params.set(`is.${key}`, `${low ?? ""}..${high ?? ""}`);
    for (const [key, words] of choice.words) for (const word of words) params.append(`is.${key}`, word);
    if (choice.unrepeated) params.set("repeats", "hide");
    return params;
  };

  /** How many conditions a unit has to meet. */
  const conditions = (choice) => choice.ranges.size + choice.words.size + Number(choice.taps.size > 0)
    + Number(choice.unrepeated) + Number(Boolean(choice.text)) + Number(Boolean(choice.shown)) + Number(Boolean(choice.kind)) + Number(Boolean(choice.word)) + Number(Boolean(choice.photo));

  /** The arrangement that is shown: the one chosen, else results where anything is asked for, else the first layout. */
  const arranged = (atlas, choice) => choice.layout
    || (conditions(choice) || choice.sort ? GRID : atlas.about.layouts[0]?.key ?? GRID);

  /** Whether of a column the high numbers, or of words the last ones, come first: where the best ones do. */
  const bestFalls = (column) => !column.words && !vitjax.lowIsGood(column);

  /** What results are sorted by, {key, falling}: as chosen, else what was searched for, or the first main grade. */
  const sorted = (atlas, choice, hits) => {
    if (choice.sort) return { key: choice.sort, falling: choice.falling };
    if (hits?.size) return { key: MATCH, falling: !choice.photo };
    const [main] = vitjax.mainColumns(atlas);
    return main ? { key: main.key, falling: bestFalls(main) } : { key: UNIT, falling: false };
  };

  /**
   * How many photographs of which units are of what is asked for, unit -> number, as a promise; null if nothing is. Its
   * `most` is how many photographs of a unit there are, and `names` says which of the classes most of them are. Of a
   * photograph the number is its rank among the unit's best, and its class is given as `class`.
   */
  const found = async (atlas, { text, shown, kind, photo }) => {
    const responding = photo ? await vitjax.respondingTo(atlas, Number(photo)) : null;
    if (!text && !shown && !kind) return responding && Object.assign(responding, { names: new Map() });
    const classes = await vitjax.classesOf(atlas);
    const asked = [text && classes.ofText(text), shown && classes.ofClass(shown), kind && classes.ofKind(kind)].filter(Boolean);
    const both = (left, right) => new Map([...left].filter(([unit]) => right.has(unit)).map(([unit, n]) => [unit, Math.min(n, right.get(unit))]));
    const all = asked.reduce(both);
    const known = responding ? new Map([...responding].filter(([unit]) => all.has(unit))) : all;
    return Object.assign(known, { most: (responding ?? classes).most, names: asked[0].names ?? new Map(), class: responding?.class ?? null });
  };

  /** The numbers of the units that meet every condition, sorted as the choice says; `hits` is what `found` gave. */
  const units = (atlas, choice, hits) => {
    const { columns, duplicate } = atlas.units;
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
    if (choice.word) tests.push((unit) => atlas.word(unit) === choice.word);
    if (hits) {
      const alone = choice.text && !choice.shown && !choice.kind && !choice.photo;
      const named = alone ? vitjax.byName(atlas, choice.text) : null;
      const word = alone ? vitjax.wordMatcher(atlas, choice.text) : null;
      tests.push((unit) => hits.has(unit) || Boolean(named?.(unit)) || Boolean(word?.(unit)));
    }
    const left = [];
    for (let unit = 0; unit < atlas.count; unit++) if (tests.every((test) => test(unit))) left.push(unit);
    return arranged(atlas, choice) === GRID ? ranked(atlas, left, sorted(atlas, choice, hits), hits) : left;
  };

  /** Sorts units; those that hardly respond come last, and before them those without a value, either way. */
  const ranked = (atlas, order, { key, falling }, hits) => {
    const { columns } = atlas.units;
    const way = falling ? -1 : 1;
    if (key === UNIT) return falling ? order.reverse() : order;
    const values = key === MATCH ? null : columns[key];
    const value = (unit) => (values ? values[unit] : hits.get(unit)) ?? way * Infinity;
    const [main] = key === MATCH ? vitjax.mainColumns(atlas) : [];
    const then = main && { values: columns[main.key], way: bestFalls(main) ? -1 : 1 }; // of equal matches the best first
    const second = (unit) => (then ? then.way * (then.values[unit] ?? then.way * Infinity) : 0);
    const compare = (a, b) => (a === b ? 0 : a - b);
    const last = (unit) => Number(atlas.silent.has(unit)); // what grades say of them is out of next to nothing
    return order.sort((a, b) => last(a) - last(b) || way * compare(value(a), value(b)) || compare(second(a), second(b)) || a - b);
  };

  /** A layout with only some of its units. */
  const thinned = (layout, order, count) => {
    const left = new Uint8Array(count);
    for (const unit of order) left[unit] = 1;
    return { ...layout, cells: layout.cells.map((unit) => (unit >= 0 && left[unit] ? unit : -1)) };
  };

  vitjax.choice = { GRID, UNIT, MATCH, read, write, conditions, arranged, sorted, bestFalls, found, units, thinned };
})();

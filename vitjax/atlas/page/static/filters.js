"use strict";
// The panel in which units are chosen: a range of each number, words, layers, near-duplicates left out.
(() => {
  const vitjax = window.vitjax;
  const { element, drawing } = vitjax;
  const BINS = 40;

  /** The counts of a column's values in bins between its smallest and its largest. */
  const counted = (values) => {
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) if (value !== null) [low, high] = [Math.min(low, value), Math.max(high, value)];
    const counts = new Array(BINS).fill(0);
    const wide = high - low || 1;
    for (const value of values) if (value !== null) counts[Math.min(BINS - 1, Math.floor(((value - low) / wide) * BINS))]++;
    return { low, high, counts };
  };

  const numberField = (atlas, column, choice, change) => {
    const { low, high, counts } = counted(atlas.units.columns[column.key]);
    if (low > high) return null; // no unit has a value
    const most = Math.sqrt(Math.max(...counts));
    const kept = () => choice.ranges.get(column.key) ?? { low: null, high: null };
    const bars = counts.map((count, place) => drawing("rect", {
      x: place, width: 0.85, y: 24 - (Math.sqrt(count) / most) * 24, height: (Math.sqrt(count) / most) * 24,
    }));
    const mark = () => bars.forEach((bar, place) => {
      const [from, to] = [low + ((high - low) * place) / BINS, low + ((high - low) * (place + 1)) / BINS];
      const { low: least, high: greatest } = kept();
      bar.classList.toggle("out", (least !== null && to < least) || (greatest !== null && from > greatest));
    });
    const box = (side, name, hint) => element("input", {
      type: "number", step: "any", "aria-label": `${column.label}: ${name}`, placeholder: vitjax.format(column, hint),
      value: kept()[side] ?? "",
      on: {
        input(event) {
          const range = { ...kept(), [side]: event.target.value === "" ? null : Number(event.target.value) };
          if (range.low === null && range.high === null) choice.ranges.delete(column.key);
          else choice.ranges.set(column.key, range);
          mark();
          change();
        },
      },
    });
    mark();
    return element("fieldset", null,
      element("legend", null, column.label), element("p", { class: "help" }, column.help),
      drawing("svg", { class: "spread", viewBox: `0 0 ${BINS} 24`, preserveAspectRatio: "none", "aria-hidden": "true" }, bars),
      element("div", { class: "range" }, box("low", "at least", low), element("span", null, "to"), box("high", "at most", high)));
  };

  const checks = (legend, help, rows, open) => {
    const boxes = rows.map(({ text, note, on, set }) => element("label", { class: "check" },
      element("input", { type: "checkbox", checked: on, on: { change: (event) => set(event.target.checked) } }),
      element("span", null, vitjax.nameText(text)), element("span", { class: "note" }, note)));
    if (open) return element("fieldset", null, element("legend", null, legend), help && element("p", { class: "help" }, help), boxes);
    return element("details", { open: rows.some(({ on }) => on) }, element("summary", null, legend), element("div", { role: "group", "aria-label": legend }, boxes));
  };

  const wordField = (atlas, column, choice, change) => {
    const counts = new Array(column.words.length).fill(0);
    for (const word of atlas.units.columns[column.key]) if (word !== null) counts[word]++;
    const rows = column.words.map((word, place) => ({
      text: word, note: String(counts[place]), on: choice.words.get(column.key)?.has(word),
      set(on) {
        const words = choice.words.get(column.key) ?? new Set();
        if (on) words.add(word);
        else words.delete(word);
        if (words.size) choice.words.set(column.key, words);
        else choice.words.delete(column.key);
        change();
      },
    })).filter((row) => row.note !== "0" || row.on);
    return rows.length ? checks(column.label, column.help, rows, true) : null;
  };

  /** How many of a tap's units there are, and how many of them have the best verdict. */
  const tallied = (atlas, { first, count }) => {
    const column = vitjax.verdictColumn(atlas);
    const values = column && atlas.units.columns[column.key].slice(first, first + count);
    return values ? `${values.filter((value) => value === 0).length} of ${count} ${column.words[0]}` : String(count);
  };

  const THIRDS = ["first third", "middle", "last third"];

  /** Buttons that choose the layers of a third of the blocks; there are none where blocks are few. */
  const thirds = (atlas, choice, refill) => {
    const blocks = vitjax.blocksOf(atlas);
    const part = blocks.length / THIRDS.length;
    return part >= 1 && element("div", { class: "thirds", role: "group", "aria-label": "Layers of" }, THIRDS.map((name, place) => element("button", {
      on: {
        click() {
          choice.taps = new Set(blocks.slice(Math.round(place * part), Math.round((place + 1) * part)).flatMap(({ taps }) => taps.map(({ tap }) => tap)));
          refill();
        },
      },
    }, name)));
  };

  const tapField = (atlas, choice, change) => checks("layers", null, atlas.about.taps.map((one) => ({ ...one, note: tallied(atlas, one) })).map(({ tap, note }) => ({
    text: tap, note, on: choice.taps.has(tap),
    set(on) {
      if (on) choice.taps.add(tap);
      else choice.taps.delete(tap);
      change();
    },
  })), false);

  const repeatField = (atlas, choice, change) => {
    const repeats = atlas.units.duplicate.filter((unit) => unit !== null).length;
    return repeats > 0 && checks("repeats", null, [{
      text: "leave near-duplicates out", note: String(repeats), on: choice.unrepeated,
      set(on) { choice.unrepeated = on; change(); },
    }], true);
  };

  /**
   * The fields for a choice, which they change; `change()` is called after each change, and `refill()` after one that other
   * fields show.
   */
  vitjax.filterFields = (atlas, choice, change, refill) => [
    ...[...atlas.columns.values()].filter((column) => column.words).map((column) => wordField(atlas, column, choice, change)),
    repeatField(atlas, choice, change),
    thirds(atlas, choice, refill),
    tapField(atlas, choice, change),
    ...[...atlas.columns.values()].filter((column) => !column.words).map((column) => numberField(atlas, column, choice, change)),
  ];
})();

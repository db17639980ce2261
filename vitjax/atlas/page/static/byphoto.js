"use strict";
// A search by a photograph that a reader brings: the atlas's own photograph that it is, by its looks, and who responds to it.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const CROPS = [1, 0.95, 0.9, 0.875, 0.8]; // shares of the shorter side that models keep of a photograph
  const FINE = 8; // pixels that are averaged for one of a look, along a side
  const SAME = 5; // mean difference of two looks, of 255, below which they are of one photograph: it has 1 or 2, others 14 and more
  const opened = new WeakMap();

  const bytes = (base64) => Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));

  /** The photographs of an atlas as a promise: {side, numbers, looks, classes, units}. */
  vitjax.photographsOf = (atlas) => {
    if (!opened.has(atlas)) {
      const wrong = ({ numbers, looks, classes, units }) => [looks, classes, units].some((list) => list.length !== numbers.length) && "its lists differ in length";
      const loading = vitjax.loadData(atlas.root, "photographs", wrong).then((found) => ({ ...found, looks: found.looks.map(bytes) }));
      loading.catch(() => opened.delete(atlas));
      opened.set(atlas, loading);
    }
    return opened.get(atlas);
  };

  /** Which units have the photograph of this number among their best: unit -> its rank there from 0; with its class, and the most there are. */
  vitjax.respondingTo = async (atlas, number) => {
    const { numbers, classes, units } = await vitjax.photographsOf(atlas);
    const place = numbers.indexOf(number);
    const [list, found] = [units[place] ?? [], new Map()];
    const most = 1 + units.reduce((deepest, some) => some.reduce((rank, one, at) => (at % 2 ? Math.max(rank, one) : rank), deepest), 0);
    for (let at = 0; at < list.length; at += 2) found.set(list[at], list[at + 1]);
    return Object.assign(found, { class: classes[place] ?? null, most });
  };

  /** How a part of a picture looks in small. */
  const look = (bitmap, [x, y, wide, high], side) => {
    const fine = side * FINE;
    const context = element("canvas", { width: fine, height: fine }).getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, x, y, wide, high, 0, 0, fine, fine);
    const { data } = context.getImageData(0, 0, fine, fine);
    const sums = new Float32Array(side * side * 3);
    for (let place = 0; place < fine * fine; place++) {
      const [row, column] = [Math.floor(Math.floor(place / fine) / FINE), Math.floor((place % fine) / FINE)];
      for (let channel = 0; channel < 3; channel++) sums[(row * side + column) * 3 + channel] += data[place * 4 + channel] / FINE ** 2;
    }
    return sums;
  };

  const apart = (one, other) => one.reduce((sum, value, place) => sum + Math.abs(value - other[place]), 0) / one.length;

  /** The parts of a picture that a model may have seen: all of it, and the middle in the shape that it takes. */
  const parts = ({ width, height }, [tall, wide]) => {
    const most = Math.min(width / wide, height / tall);
    return [[0, 0, width, height], ...CROPS.map((share) => {
      const [w, h] = [wide * most * share, tall * most * share];
      return [(width - w) / 2, (height - h) / 2, w, h];
    })];
  };

  /** The number of the atlas's photograph that a file is, or null; how far it is from the nearest. */
  vitjax.sameAs = async (atlas, file) => {
    const { side, numbers, looks } = await vitjax.photographsOf(atlas);
    const bitmap = await createImageBitmap(file);
    const own = parts(bitmap, atlas.about.image_size).map((part) => look(bitmap, part, side));
    bitmap.close();
    let [nearest, least] = [null, Infinity];
    looks.forEach((one, place) => {
      const distance = Math.min(...own.map((other) => apart(other, one)));
      if (distance < least) [nearest, least] = [numbers[place], distance];
    });
    return { number: least < SAME ? nearest : null, least };
  };

  const quoted = (text) => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "")}'`);

  /** What scores a file on the units of the atlas. */
  const command = (atlas, file) => {
    const taps = new Set(atlas.about.taps.map(({ tap }) => tap.replace(/\bblocks\.\d+\./, "blocks.*.")));
    return `vitjax analyze exemplars --model ${quoted(atlas.about.model.source ?? "MODEL")} --data ${quoted(file.name)} --k 1 --taps ${[...taps].map(quoted).join(" ")}`;
  };

  /** Where a reader brings a photograph: a button, and the whole page to drop one on. `dialog` says what was not found. */
  vitjax.photoSearch = (opened_) => {
    const title = element("h2", { id: "photo-title" });
    const text = element("div");
    const dialog = element("dialog", { class: "help-dialog", "aria-labelledby": "photo-title", on: { click: (event) => { if (event.target === dialog) dialog.close(); } } },
      element("div", null, title, text, element("p", null, element("button", { on: { click: () => dialog.close() } }, "Close"))));
    const say = (heading, ...content) => {
      title.textContent = heading;
      text.replaceChildren(...content);
      dialog.showModal();
    };
    const ask = async (file) => {
      const atlas = opened_();
      if (!atlas || !file) return;
      if (!atlas.about.asked_by_photograph) return say("This atlas has no photographs to search by", element("p", null, "It was made without any, or exported by an older version of vitjax: export it again."));
      let found;
      try {
        found = await vitjax.sameAs(atlas, file);
      } catch (problem) {
        return say(problem instanceof vitjax.Problem ? problem.message : `${file.name} is no picture that this browser reads.`);
      }
      if (found.number !== null) return vitjax.routes.go(vitjax.routes.overview(new URLSearchParams({ photo: found.number })));
      say("It is none of this atlas’s photographs", element("p", null, "The page knows photographs by their looks, and runs no model. What every unit’s score on another one is, says"),
        vitjax.copyText("In a terminal", command(atlas, file)),
        element("p", { class: "help" }, "in exemplars.parquet, to be held against “best” in units.parquet of this atlas."));
    };
    const input = element("input", { type: "file", accept: "image/*", hidden: true, on: { change: () => { ask(input.files[0]); input.value = ""; } } });
    const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => { if (holdsFile(event)) event.preventDefault(); });
    addEventListener("drop", (event) => {
      if (!holdsFile(event)) return;
      event.preventDefault();
      ask(event.dataTransfer.files[0]);
    });
    const label = "Search by a photograph: choose it, or drop it on the page";
    return [element("button", { class: "by-photo", "aria-label": label, title: label, on: { click: () => input.click() } }, "▣"), input, dialog];
  };
})();

"use strict";
// What natural photographs say of a unit: the best ones under its activation map, ordinary ones, and all in a histogram.
(() => {
  const vitjax = window.vitjax;
  const { element, drawing } = vitjax;

  // From nothing over red and orange to pale yellow: dark where the map is low, so that little of the photograph is lost.
  const RAMP = [[40, 10, 60], [150, 20, 60], [230, 80, 20], [250, 170, 30], [255, 245, 160]];

  const colour = (share) => {
    const place = Math.min(share * (RAMP.length - 1), RAMP.length - 1.001);
    const [from, to] = [RAMP[Math.floor(place)], RAMP[Math.floor(place) + 1]];
    return from.map((value, channel) => value + (to[channel] - value) * (place % 1));
  };

  const bytes = (base64) => { try { return Uint8Array.from(atob(base64), (one) => one.charCodeAt(0)); } catch { return []; } };

  /** A canvas of one pixel a patch, or null if the map does not fit the grid. */
  const overlay = (map, [rows, columns]) => {
    const values = bytes(map);
    if (values.length !== rows * columns) return null;
    const canvas = element("canvas", { class: "map", width: columns, height: rows, "aria-hidden": "true" });
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(columns, rows);
    values.forEach((value, place) => pixels.data.set([...colour(value / 255), Math.round(255 * (value / 255) ** 0.8)], place * 4));
    context.putImageData(pixels, 0, 0);
    return canvas;
  };

  const fixed = (score) => (typeof score === "number" ? score.toFixed(2) : "–");

  const box = (patch, [rows, columns]) => element("i", {
    class: "patch",
    style: {
      left: `${((patch % columns) / columns) * 100}%`, top: `${(Math.floor(patch / columns) / rows) * 100}%`,
      width: `${100 / columns}%`, height: `${100 / rows}%`,
    },
  });

  const photograph = (atlas, entry, extra, caption) => element("figure", { class: "photograph" },
    element("div", { class: "frame" },
      element("img", { src: atlas.photo(entry.photo), alt: entry.class ?? entry.name, loading: "lazy", width: 160, height: 160 }), extra),
    element("figcaption", null, caption));

  const exemplar = (atlas, entry) => photograph(atlas, entry, [
    entry.map && overlay(entry.map, entry.grid ?? atlas.about.grid),
    entry.patch !== null && entry.patch !== undefined && box(entry.patch, entry.grid ?? atlas.about.grid),
  ], [
    element("b", null, fixed(entry.score)), " ", entry.class && element("span", { class: "class", title: entry.class }, entry.class),
    element("span", { class: "note", title: entry.name }, entry.name)]);

  /** The best photographs, with the switch and the strength of their activation maps. */
  vitjax.exemplars = (atlas, list, controls = true) => {
    const wall = element("div", { class: "photographs" }, list.map((entry) => exemplar(atlas, entry)));
    const set = () => {
      wall.style.setProperty("--map", shown.checked ? strength.value / 100 : 0);
      strength.disabled = !shown.checked;
    };
    const shown = element("input", { type: "checkbox", checked: true, on: { change: set } });
    const strength = element("input", { type: "range", min: 10, max: 100, value: 70, "aria-label": "Strength of the activation map", on: { input: set } });
    set();
    const maps = controls && list.some((entry) => entry.map);
    return [maps && element("div", { class: "maps" }, element("label", { class: "check" }, shown, element("span", null, "activation map")), strength), wall];
  };

  const named = (quantile) => ({ 0: "least", 0.5: "median", 1: "most" }[quantile] ?? `${Number((quantile * 100).toFixed(1))} %`);

  /** Photographs from all over the unit's scores. */
  vitjax.quantiles = (atlas, list) => element("div", { class: "photographs small" }, list.map((entry) => photograph(atlas, entry, null, [
    element("b", null, named(entry.quantile)), " ", fixed(entry.score), element("span", { class: "note", title: entry.name }, entry.name)])));

  /** How many photographs have which score; bars of the square root, since most photographs score low. */
  vitjax.histogram = ({ edges, counts }) => {
    const [wide, high] = [100, 32];
    const most = Math.sqrt(Math.max(...counts, 1));
    const step = wide / counts.length;
    const edge = (place) => Number(edges[place]).toPrecision(3);
    const span = (place) => {
      if (!edges.length) return "all scores";
      if (place === 0) return `below ${edge(0)}`;
      return place === edges.length ? `${edge(place - 1)} and above` : `${edge(place - 1)} to ${edge(place)}`;
    };
    const bars = counts.map((count, place) => {
      const tall = (Math.sqrt(count) / most) * high;
      return drawing("rect", { x: place * step, y: high - tall, width: step * 0.86, height: tall },
        drawing("title", null, `${span(place)}: ${count}`));
    });
    const total = counts.reduce((sum, count) => sum + count, 0);
    return element("figure", { class: "histogram" },
      drawing("svg", { viewBox: `0 0 ${wide} ${high}`, preserveAspectRatio: "none", role: "img", "aria-label": `Histogram of the scores of ${total} photographs` }, bars),
      element("figcaption", null, element("span", null, edges.length ? `below ${edge(0)}` : ""),
        element("span", { class: "note" }, `scores of ${total.toLocaleString("en")} photographs; height is the square root of the count`),
        element("span", null, edges.length ? `${edge(edges.length - 1)} and above` : "")));
  };
})();

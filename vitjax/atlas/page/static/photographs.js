"use strict";
// What natural photographs say of a unit: the best ones under its activation maps, ordinary ones, and all in a histogram.
(() => {
  const vitjax = window.vitjax;
  const { element, drawing } = vitjax;

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

  /** The patch that fired, if one did. */
  const fired = ({ patch }, shares) => typeof patch === "number" && (!shares || shares[patch] > 0);

  const exemplar = (atlas, entry, shares) => photograph(atlas, entry, [
    vitjax.overlay(shares, entry.grid ?? atlas.about.grid), fired(entry, shares) && box(entry.patch, entry.grid ?? atlas.about.grid),
  ], [
    element("b", null, vitjax.significant(entry.score)), " ", entry.class && element("span", { class: "class", title: entry.class }, entry.class),
    element("span", { class: "note", title: entry.name }, entry.name)]);

  /** A unit's best photographs, `most` of them, with the switch and the strength of their activation maps, and the scale. */
  vitjax.exemplars = (atlas, entry, { controls = true, most = Infinity } = {}) => {
    const { scale, shares } = vitjax.mapsOf(entry);
    const wall = element("div", { class: "photographs" },
      entry.exemplars.slice(0, most).map((one, place) => exemplar(atlas, one, shares[place])));
    const set = () => {
      wall.style.setProperty("--map", shown.checked ? strength.value / 100 : 0);
      strength.disabled = !shown.checked;
    };
    const shown = element("input", { type: "checkbox", checked: true, on: { change: set } });
    const strength = element("input", { type: "range", min: 10, max: 100, value: 80, "aria-label": "Strength of the activation map", on: { input: set } });
    set();
    const maps = controls && shares.some(Boolean);
    return [wall, maps && element("div", { class: "maps" },
      element("label", { class: "check" }, shown, element("span", null, "activation map")), strength, vitjax.legend(scale))];
  };

  const named = (quantile) => ({ 0: "least", 0.5: "median", 1: "most" }[quantile] ?? `${Number((quantile * 100).toFixed(1))} %`);

  /** Photographs from all over the unit's scores. */
  vitjax.quantiles = (atlas, list) => element("div", { class: "photographs small" }, list.map((entry) => photograph(atlas, entry, null, [
    element("b", null, named(entry.quantile)), " ", vitjax.significant(entry.score), element("span", { class: "note", title: entry.name }, entry.name)])));

  /** How many photographs have which score; bars of the square root, since most photographs score low. */
  vitjax.histogram = ({ edges, counts }) => {
    const [wide, high] = [100, 32];
    const most = Math.sqrt(Math.max(...counts, 1));
    const step = wide / counts.length;
    const edge = (place) => vitjax.significant(edges[place]);
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

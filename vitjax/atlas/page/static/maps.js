"use strict";
// Activation maps over photographs: all maps of a unit on one scale, from 0, where nothing is drawn, to its highest.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;

  // From dark violet over red and orange to pale yellow: it rises in lightness, so that it is read without colours too.
  const RAMP = [[60, 10, 90], [150, 20, 90], [225, 80, 30], [250, 170, 30], [255, 245, 160]];

  const colour = (share) => {
    const place = Math.min(share * (RAMP.length - 1), RAMP.length - 1.001);
    const [from, to] = [RAMP[Math.floor(place)], RAMP[Math.floor(place) + 1]];
    return [...from.map((value, channel) => value + (to[channel] - value) * (place % 1)), 255 * share ** 0.75];
  };

  const bytes = (base64) => { try { return Uint8Array.from(atob(base64), (one) => one.charCodeAt(0)); } catch { return new Uint8Array(); } };

  /** Exports of schema 1 scale each map by itself: its lowest value is taken for 0, and its mean is the score. */
  const older = (values, score) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return Float32Array.from(values, (value) => (mean > 0 ? (value * Math.max(score, 0)) / mean : 0));
  };

  /** The maps of a unit's photographs: {scale, shares}; shares of the scale by patch, null where there is no map. */
  vitjax.mapsOf = (entry) => {
    const kept = entry.exemplars.map((one) => one.map && bytes(one.map));
    if ("scale" in entry) return { scale: entry.scale, shares: kept.map((map) => map && Float32Array.from(map, (value) => value / 255)) };
    const maps = kept.map((map, place) => map && older(map, entry.exemplars[place].score));
    const scale = maps.reduce((most, map) => (map ? map.reduce((a, b) => Math.max(a, b), most) : most), 0);
    return { scale, shares: maps.map((map) => map && map.map((value) => (scale > 0 ? value / scale : 0))) };
  };

  const painted = (shares, rows, columns, attributes) => {
    const canvas = element("canvas", { width: columns, height: rows, ...attributes });
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(columns, rows);
    shares.forEach((share, place) => pixels.data.set(colour(share), place * 4));
    context.putImageData(pixels, 0, 0);
    return canvas;
  };

  /** A canvas of one pixel a patch, or null if the map does not fit the grid. */
  vitjax.overlay = (shares, [rows, columns]) => (shares?.length === rows * columns
    ? painted(shares, rows, columns, { class: "map", "aria-hidden": "true" }) : null);

  const STEPS = 64;

  /** What the colours of a unit's maps mean. */
  vitjax.legend = (scale) => {
    if (!(scale > 0)) return element("p", { class: "legend note" }, "It is active on no patch of these photographs.");
    const ramp = painted(Array.from({ length: STEPS }, (_, place) => place / (STEPS - 1)), 1, STEPS, { class: "ramp", "aria-hidden": "true" });
    return element("p", { class: "legend note", title: "One scale for all photographs of this unit; nothing is drawn where it is not active." },
      element("span", null, "0"), ramp, element("span", null, vitjax.significant(scale)), element("span", null, "activation"));
  };
})();

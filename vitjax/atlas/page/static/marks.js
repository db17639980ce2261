"use strict";
// Units that a reader marked: kept in this browser, shown as a list, shared by a link that names them.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const CHANGED = "vitjax-marks";

  // Names and not numbers, so that a list outlives another export. Without storage it lasts as long as the page.
  const key = ({ about }) => `vitjax-marks:${(about.model.sha256 || about.title).slice(0, 24)}`;
  const kept = new Map();
  const names = (atlas) => {
    if (!kept.has(key(atlas))) {
      let found = [];
      try { found = JSON.parse(localStorage.getItem(key(atlas))) ?? []; } catch { /* none */ }
      kept.set(key(atlas), Array.isArray(found) ? found.filter((one) => typeof one === "string") : []);
    }
    return kept.get(key(atlas));
  };
  const keep = (atlas, list) => {
    kept.set(key(atlas), list);
    try { localStorage.setItem(key(atlas), JSON.stringify(list)); } catch { /* lasts as long as the page */ }
    dispatchEvent(new Event(CHANGED));
  };
  const units = (atlas, list) => [...new Set(list.map((name) => atlas.number(name)))].filter((unit) => unit >= 0);

  vitjax.marks = {
    units: (atlas) => units(atlas, names(atlas)),
    has: (atlas, unit) => names(atlas).includes(atlas.name(unit)),
    toggle(atlas, unit) {
      const name = atlas.name(unit);
      const marked = !this.has(atlas, unit);
      keep(atlas, marked ? [...names(atlas), name] : names(atlas).filter((one) => one !== name));
      vitjax.say(marked ? `${name} is marked` : `${name} is no longer marked`);
    },
    add(atlas, more) { keep(atlas, [...new Set([...names(atlas), ...more.map((unit) => atlas.name(unit))])]); },
    clear(atlas) { keep(atlas, []); },
  };

  /** Calls `change` at once, and whenever marks change, as long as `node` is on the page. */
  const follow = (node, change) => {
    const changed = () => { if (node.isConnected) change(); else removeEventListener(CHANGED, changed); };
    change();
    setTimeout(() => addEventListener(CHANGED, changed));
    return node;
  };

  /** A button that marks a unit, or no longer. */
  vitjax.markButton = (atlas, unit) => {
    const button = element("button", { class: "mark", on: { click: () => vitjax.marks.toggle(atlas, unit) } });
    return follow(button, () => {
      const on = vitjax.marks.has(atlas, unit);
      button.textContent = on ? "★ Marked" : "☆ Mark";
      button.setAttribute("aria-pressed", String(on));
    });
  };

  /** The link to the list, with how many are on it. */
  vitjax.marksLink = (atlas) => {
    const link = element("a", { class: "plain marks", href: "#/list" });
    return follow(link, () => {
      const count = vitjax.marks.units(atlas).length;
      link.replaceChildren("★", element("span", { class: "long" }, " Marked"), count ? ` ${count}` : "");
      link.setAttribute("aria-label", `Marked units: ${count}`);
    });
  };

  /** The address of a list: the units of a tap by their indices, TAP:1,2,3. */
  const listed = (atlas, list) => {
    const taps = new Map();
    for (const unit of list) taps.set(atlas.tap(unit), [...(taps.get(atlas.tap(unit)) ?? []), atlas.units.index[unit]]);
    return `#/list?${String(new URLSearchParams([...taps].map(([tap, index]) => ["units", `${tap}:${index.join(",")}`]))).replace(/%3A/gi, ":").replace(/%2C/gi, ",")}`;
  };

  const asked = (params) => params.getAll("units").flatMap((text) => {
    const [tap, index] = vitjax.parts(text);
    return index.split(",").map((one) => `${tap}:${one}`);
  });

  vitjax.views.list = async (atlas, { params }) => {
    const own = !params.has("units");
    const list = own ? vitjax.marks.units(atlas) : units(atlas, asked(params));
    const missing = own ? 0 : new Set(asked(params)).size - list.length;
    const hash = own ? "#/list" : listed(atlas, list);
    vitjax.selection = { order: list, hash, all: false };
    const here = location.href.split("#")[0];
    const [main] = vitjax.mainColumns(atlas);
    const value = (unit) => ({ text: main ? vitjax.shownValue(atlas, unit, main) : "", label: main?.label, note: atlas.classes(unit)[0] });
    const row = (unit) => ({ unit: atlas.name(unit), ...vitjax.gradesOf(atlas, unit), classes: atlas.classes(unit) });
    const again = (hash_) => (location.hash === hash_ ? dispatchEvent(new HashChangeEvent("hashchange")) : vitjax.routes.go(hash_));
    return {
      title: own ? "Marked units" : "A list of units",
      node: element("article", { class: "list" },
        element("h1", { tabindex: "-1" }, own ? "Marked units" : "A list of units"),
        element("p", { class: "help" }, own ? "Kept in this browser. A link to them shows the same units to others."
          : `${list.length} units that somebody chose.`, missing > 0 && ` ${missing} more are not in this atlas.`),
        list.length > 0 ? element("div", { class: "actions" },
          vitjax.copyButton("Copy link to these", () => here + listed(atlas, list), "The clipboard is closed to this page"),
          vitjax.saveButton("Grades as JSON", "units.json", "application/json", () => `${JSON.stringify(list.map(row), null, 1)}\n`),
          own ? element("button", { on: { click: () => { vitjax.marks.clear(atlas); again("#/list"); } } }, "Clear")
            : element("button", { on: { click: () => { vitjax.marks.add(atlas, list); again("#/list"); } } }, "Mark them all"))
          : element("p", null, "No unit is marked: open one and press ☆ Mark, or m."),
        element("ol", { class: "tiles" }, list.map((unit, place) => vitjax.tile(atlas, unit, place + 1, value(unit))))),
      keys: { Escape: () => vitjax.routes.go("#/") },
    };
  };
})();

"use strict";
// Two units side by side, or the same unit of two atlases: pictures, grades in one table, best photographs.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const opened = new Map(); // name -> the atlas beside this one, as a promise

  /** Where an atlas of the same site lies; an address never says so itself, since scripts are loaded from there. */
  const rootOf = ({ path }) => `${path.split("/").map(encodeURIComponent).join("/").replace(/\/*$/, "")}/`;

  const openBeside = (atlas, name) => {
    if (!name) return atlas;
    const found = atlas.about.beside.find((one) => one.name === name);
    if (!found) throw new vitjax.Problem(`There is no atlas ${name} beside this one.`);
    if (!opened.has(name)) opened.set(name, vitjax.openAtlas(rootOf(found)));
    opened.get(name).catch(() => opened.delete(name));
    return opened.get(name);
  };

  const picker = (label, atlas, name, go) => vitjax.searchBox({
    label, hint: "unit, e.g. 3:19", value: name, options: (text) => vitjax.unitOptions(atlas, text, 8, (unit) => go(atlas.name(unit))),
  });

  const called = (name, beside) => [vitjax.nameText(name), beside && ` of ${beside}`];

  const side = ({ atlas, unit, entry, name, beside, choose }) => {
    const chosen = entry.pictures.find((picture) => picture.chosen) ?? entry.pictures[0];
    return element("section", { class: "side", "aria-label": beside ? `${name} of ${beside}` : name },
      choose,
      element("figure", { class: "exhibit" },
        element("a", { class: "mat", href: atlas.root ? null : vitjax.routes.unit(name) },
          element("img", { class: "large", src: atlas.pictureFile(chosen), alt: `Picture of ${name}`, width: atlas.about.image_size[1], height: atlas.about.image_size[0] })),
        element("figcaption", null, element("b", null, vitjax.nameText(name)), " ", vitjax.verdictMark(vitjax.verdict(atlas, unit)),
          element("span", { class: "note" }, ` ${chosen.made}`))));
  };

  vitjax.views.compare = async (atlas, { units: [left = "", right = ""], params }) => {
    const beside = params.get("with") ?? "";
    const other = await openBeside(atlas, beside);
    const sides = [
      { atlas, name: left, beside: "", unit: vitjax.unitCalled(atlas, left) },
      { atlas: other, name: right, beside, unit: vitjax.unitCalled(other, right) },
    ];
    await Promise.all(sides.map(async (one) => { one.entry = await one.atlas.detail(one.unit); }));
    const to = (a, b, name) => vitjax.routes.go(vitjax.routes.compare(a, b, name));
    sides[0].choose = picker("Left unit", atlas, left, (name) => to(name, right, beside));
    const atlases = atlas.about.beside.length > 0 && element("select", {
      "aria-label": "Right atlas", on: { change: (event) => to(left, event.target.value ? left : right, event.target.value) },
    }, element("option", { value: "" }, "this atlas"),
    atlas.about.beside.map(({ name }) => element("option", { value: name, selected: name === beside }, name)));
    sides[1].choose = element("div", { class: "picker" }, picker("Right unit", other, right, (name) => to(left, name, beside)), atlases);
    const heads = (one) => ({ head: called(one.name, one.beside), grades: vitjax.gradesOf(one.atlas, one.unit), atlas: one.atlas, unit: one.unit });
    const best = sides.map((one) => one.entry.exemplars);
    const photographs = best.some((list) => list.length) && element("section", { "aria-labelledby": "best" },
      element("h2", { id: "best" }, "Best photographs"),
      element("div", { class: "pair" }, best.map((_, place) => element("div", { class: "side" },
        vitjax.exemplars(sides[place].atlas, sides[place].entry, { controls: false, most: 6 })[0]))));
    return {
      title: `${left} and ${right}`,
      node: element("article", { class: "compare" },
        element("h1", { class: "unseen", tabindex: "-1" }, `${left} and ${right}`),
        element("div", { class: "pair" }, sides.map(side)),
        vitjax.gradeTable("Grades of both", sides.map(heads), "difference"), photographs),
      keys: { Escape: () => vitjax.routes.go(vitjax.routes.unit(left)) },
    };
  };
})();

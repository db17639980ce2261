"use strict";
// The page of one unit: its pictures, its report card, the photographs it responds to, and the units like it.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const CLASSES = 3; // that are named
  const FEW = 5; // units of a layer of which a usual one can be told
  const ROOMY = "(min-width: 44rem)";

  /** The number of the unit called `name`; else a problem that names the nearest. */
  vitjax.unitCalled = (atlas, name) => {
    const unit = atlas.number(name);
    if (unit >= 0) return unit;
    const problem = new vitjax.Problem(`This atlas has no unit ${name}.`);
    problem.units = vitjax.nearestUnits(atlas, name).map((one) => atlas.name(one));
    throw problem;
  };

  /** A small picture that leads to a unit, captioned with its name. */
  vitjax.thumbnail = (atlas, unit, note) => element("a", { class: "thumbnail", href: vitjax.routes.unit(atlas.name(unit)) },
    element("img", { src: atlas.picture(unit), alt: "", loading: "lazy", width: 112, height: 112 }),
    element("span", null, vitjax.nameText(atlas.name(unit))), note && element("span", { class: "note" }, note));

  /** The unit that is `step` from `unit` in what the overview showed, or else in unit order; -1 at the ends. */
  const walked = (atlas, unit, step) => {
    const order = vitjax.selection?.all === false ? vitjax.selection.order : null;
    const place = order ? order.indexOf(unit) : -1;
    const next = place >= 0 ? order[place + step] ?? -1 : unit + step;
    return { unit: next >= 0 && next < atlas.count ? next : -1, place, total: place >= 0 ? order.length : atlas.count };
  };

  const walk = (atlas, unit) => {
    const link = (step, text, rel) => {
      const { unit: next } = walked(atlas, unit, step);
      return next < 0 ? element("span", { class: "button off" }, text)
        : element("a", { class: "button", rel, href: vitjax.routes.unit(atlas.name(next)), "aria-label": `${rel === "prev" ? "Previous" : "Next"} unit, ${atlas.name(next)}` }, text);
    };
    const { place, total } = walked(atlas, unit, 0);
    const [at, all] = [(place >= 0 ? place : unit) + 1, total].map((number) => number.toLocaleString("en"));
    const where = `${at} of ${all}${place >= 0 ? " shown" : ""}`;
    return element("nav", { class: "walk", "aria-label": "Units" },
      element("a", { class: "button", href: vitjax.selection?.hash ?? "#/" }, "All units"),
      link(-1, "← Previous", "prev"), element("span", { class: "note" }, where), link(1, "Next →", "next"));
  };

  /** The large picture, and the unit's other pictures to look at in its place. */
  const pictures = (atlas, unit, entry) => {
    const name = atlas.name(unit);
    const list = entry.pictures.map((picture, place) => ({ ...picture, place, src: atlas.pictureFile(picture) }));
    const first = Math.max(0, list.findIndex((picture) => picture.chosen));
    const large = element("img", { class: "large", width: atlas.about.image_size[1], height: atlas.about.image_size[0] });
    const made = element("figcaption");
    const download = element("a", { class: "button" }, "Download picture");
    const show = (picture) => {
      large.src = picture.src;
      large.alt = `Picture of ${name}, ${picture.made}`;
      const against = vitjax.againstPhotographs(atlas, unit, picture.grades);
      made.replaceChildren(...(against ? [element("b", { class: "against" }, against), element("br")] : []),
        picture.made, picture.chosen && list.length > 1 ? element("span", { class: "note" }, " – chosen") : "");
      download.href = picture.src;
      download.download = `${name.replaceAll(":", "_")}${picture.place ? `_${picture.place}` : ""}.webp`;
      for (const button of strip.children) button.setAttribute("aria-pressed", String(Number(button.dataset.place) === picture.place));
    };
    const strip = element("div", { class: "strip", role: "group", "aria-label": "Pictures of this unit", hidden: list.length < 2 }, list.map((picture) =>
      element("button", { "data-place": picture.place, on: { click: () => show(picture) } },
        element("img", { src: picture.src, alt: "", width: 72, height: 72 }), element("span", null, picture.made),
        element("span", { class: "note" }, picture.chosen ? "chosen" : ""))));
    show(list[first]);
    return { node: element("figure", { class: "exhibit" }, element("div", { class: "mat" }, large), made, strip), download, list };
  };

  const section = (id, title, help, ...content) => element("section", { "aria-labelledby": id },
    element("h2", { id }, title), help && element("p", { class: "help" }, help), ...content);

  const neighbours = (atlas, title, list) => {
    const row = (label, some) => some.length > 0 && element("div", null, element("h3", null, label),
      element("div", { class: "thumbnails" }, some.map(({ unit, likeness }) => vitjax.thumbnail(atlas, unit, likeness.toFixed(2)))));
    const known = (list ?? []).filter(({ unit }) => unit >= 0 && unit < atlas.count);
    return known.length > 0 && section(`near-${title}`, `Alike by ${title}`, "With the cosine of the two.",
      row("in this layer", known.filter((one) => one.same_layer)), row("in other layers", known.filter((one) => !one.same_layer)));
  };

  /** A part of the page that is folded where there is little room, and at first where `folded`. */
  const fold = (title, folded, ...content) => element("details", { class: "fold", open: !folded && matchMedia(ROOMY).matches },
    element("summary", null, element("h2", null, title)), ...content);

  const evidence = (atlas, entry) => (entry.quantiles.length > 0 || entry.histogram) && fold("Ordinary photographs and scores", false,
    entry.quantiles.length > 0 && [element("p", { class: "help" }, "From all over its scores: what it responds to less, or not at all."),
      vitjax.quantiles(atlas, entry.quantiles)],
    entry.histogram && vitjax.histogram(entry.histogram));

  /** How often each class is among the best photographs, the most frequent first; those that are there once do not count. */
  const counted = (exemplars) => {
    const counts = new Map();
    for (const one of exemplars) if (one.class) counts.set(one.class, (counts.get(one.class) ?? 0) + 1);
    return [...counts].filter(([, count]) => count > 1).sort((a, b) => b[1] - a[1]).slice(0, CLASSES);
  };

  const median = (values) => values.filter((value) => value !== null).sort((a, b) => a - b)[Math.floor(values.length / 2)];

  /** That a unit hardly responds, in numbers. */
  const silence = (atlas, unit, [first]) => {
    const { tap, first: start, count } = atlas.about.taps[atlas.tapOf[unit]];
    const best = atlas.units.columns.best?.slice(start, start + count);
    const active = atlas.units.columns.photos_active?.[unit];
    return element("p", { class: "silent" }, element("strong", null, "Hardly responds. "),
      `Its best photograph scores ${vitjax.significant(first.score)}`,
      best && count >= FEW ? `, the usual unit of ${tap} ${vitjax.significant(median(best))} on its own` : "",
      typeof active === "number" ? `; it is active on ${vitjax.significant(100 * active)} % of all patches.` : ".");
  };

  /** What a unit responds to, or that it hardly does, and which unit it nearly repeats. */
  vitjax.responds = (atlas, unit, { exemplars, kinds }) => {
    const quiet = atlas.silent.has(unit) && exemplars.length > 0;
    const [classes, several] = quiet ? [[], []] : [counted(exemplars), kinds ?? []];
    const repeated = atlas.duplicate(unit);
    const word = quiet ? null : atlas.word(unit);
    const link = (what) => ([name, count]) => element("a", { class: "chip", title: name, href: vitjax.routes.overview(new URLSearchParams({ [what]: name })) },
      element("span", null, name), ` ${count} of ${exemplars.length}`);
    return [
      quiet && silence(atlas, unit, exemplars),
      classes.length + several.length > 0 && element("p", { class: "classes" }, element("span", { class: "note" }, "Responds to "),
        several.map(link("kind")), classes.map(link("class"))),
      word && element("p", { class: "classes" }, element("span", { class: "note" }, "Named by CLIP "),
        element("a", { class: "chip", href: vitjax.routes.overview(new URLSearchParams({ word })) }, word)),
      repeated !== null && element("p", { class: "note" }, "Nearly repeats ", element("a", { href: vitjax.routes.unit(atlas.name(repeated)) }, atlas.name(repeated)), "."),
    ];
  };

  vitjax.views.unit = async (atlas, { units: [name = ""] }) => {
    const unit = vitjax.unitCalled(atlas, name);
    const entry = await atlas.detail(unit);
    const { node, download, list } = pictures(atlas, unit, entry);
    const [chosen, ...others] = [...list].sort((a, b) => Number(b.chosen) - Number(a.chosen));
    const sides = [
      { head: others.length ? `${chosen.made}, chosen` : "value", grades: vitjax.gradesOf(atlas, unit), atlas, unit },
      ...others.map(({ made, grades }) => ({ head: made, grades: grades ?? {}, atlas, unit })),
    ];
    const near = entry.near.looks?.[0]?.unit ?? walked(atlas, unit, unit ? -1 : 1).unit;
    const actions = element("div", { class: "actions" }, vitjax.markButton(atlas, unit), vitjax.copyButton("Copy link", () => location.href, "Copy it from the address bar"), vitjax.citeButton(), download,
      near >= 0 && element("a", { class: "button", id: "compare", href: vitjax.routes.compare(name, atlas.name(near)) }, "Compare"));
    const go = (step) => () => {
      const { unit: next } = walked(atlas, unit, step);
      if (next >= 0) vitjax.routes.go(vitjax.routes.unit(atlas.name(next)));
    };
    return {
      title: name,
      node: element("article", { class: "unit" }, walk(atlas, unit),
        element("header", { class: "label" }, element("h1", { tabindex: "-1" }, vitjax.nameText(name)),
          vitjax.verdictMark(vitjax.verdict(atlas, unit)), vitjax.responds(atlas, unit, entry), actions),
        element("div", { class: "plate" }, node, entry.exemplars.length > 0 && element("section", { class: "best", "aria-labelledby": "best" },
          element("h2", { id: "best" }, "Best photographs"), vitjax.exemplars(atlas, entry))),
        element("section", { class: "report", "aria-label": "Grades" }, vitjax.mainGrades(atlas, unit),
          fold(`All ${atlas.columns.size} grades`, true, vitjax.gradeTable("Report card", sides, "standing"))),
        evidence(atlas, entry), neighbours(atlas, "looks", entry.near.looks), neighbours(atlas, "responses", entry.near.responses),
        vitjax.reuse(atlas, unit, entry)),
      keys: {
        j: go(1), k: go(-1), ArrowRight: go(1), ArrowLeft: go(-1),
        m: () => vitjax.marks.toggle(atlas, unit),
        c: () => actions.querySelector("#compare")?.click(),
        Escape: () => vitjax.routes.go(vitjax.selection?.hash ?? "#/"),
      },
    };
  };
})();

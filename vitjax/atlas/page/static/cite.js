"use strict";
// What others need to use an atlas: how to cite it and its units, a unit's data, and a unit within another page.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const HOME = "https://github.com/vitjax/vitjax";

  const escaped = (text) => String(text ?? "").replace(/[\\{}]/g, "").replace(/[#$%&_]/g, "\\$&");

  /** The page's own address without what is shown, "" where it is opened from disk. */
  const address = () => (location.protocol.startsWith("http") ? `${location.origin}${location.pathname}` : "");

  const entry = (kind, key, fields) => {
    const lines = Object.entries(fields).filter(([, value]) => value).map(([name, value]) => `  ${name} = {${value}},`);
    return [`@${kind}{${key},`, ...lines, "}"].join("\n");
  };

  /** A recipe in a few words: its name, or the one that it was changed from. */
  vitjax.recipeName = ({ name, base, changed } = {}) => (base
    ? `${base} with ${Object.entries(changed).map(([key, [, here]]) => `${key} ${vitjax.said(here)}`).join(", ")}` : name ?? "");

  /** BibTeX of the atlas, or of one of its units, and of vitjax. */
  vitjax.bibtex = (atlas, unit = null) => {
    const { title, model, recipe, versions } = atlas.about;
    const key = `atlas-${(model.sha256 ?? "").slice(0, 8) || title.replace(/\W+/g, "-")}`;
    const name = unit === null ? "" : atlas.name(unit);
    const where = address() && `${address()}${name && vitjax.routes.unit(name)}`;
    const today = new Date().toISOString().slice(0, 10);
    const note = [`pictures by recipe ${vitjax.recipeName(recipe)}`, `vitjax ${versions.vitjax ?? ""}`.trim(),
      model.sha256 && `model of SHA-256 ${model.sha256.slice(0, 16)}`].filter(Boolean).join(", ");
    return [
      entry("misc", name ? `${key}-${name.replace(/\W+/g, "-")}` : key, {
        title: `{${escaped(name ? `Unit ${name} of ${title}` : `An atlas of ${title}`)}}`,
        howpublished: where && `\\url{${where}}`, note: escaped(note), urldate: where && today,
      }),
      entry("software", "vitjax", { title: "{vitjax: see what Vision Transformers learn, in JAX}", author: "{The vitjax authors}", year: "2026", version: versions.vitjax, url: HOME }),
    ].join("\n\n");
  };

  /** All that the atlas says of a unit, for programs. */
  const unitData = (atlas, unit, entry_) => {
    const { title, model, recipe, seeds, versions, data } = atlas.about;
    const near = Object.entries(entry_.near).map(([kind, list]) => [kind, list.map((one) => ({ unit: atlas.name(one.unit), likeness: one.likeness }))]);
    return {
      unit: atlas.name(unit), atlas: title, address: address() && `${address()}${vitjax.routes.unit(atlas.name(unit))}`,
      model, recipe, seeds, versions, photographs: data, grades: vitjax.gradesOf(atlas, unit), hardly_responds: atlas.silent.has(unit),
      kinds: entry_.kinds ?? [], pictures: entry_.pictures, map_scale: entry_.scale ?? null,
      exemplars: entry_.exemplars.map(({ map, ...rest }) => rest), quantiles: entry_.quantiles, histogram: entry_.histogram, near: Object.fromEntries(near),
    };
  };

  const frame = (atlas, name) => {
    const source = `${address() || "ADDRESS/"}?embed${vitjax.routes.unit(name)}`;
    const safe = (text) => text.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");
    return `<iframe src="${safe(source)}" title="${safe(`${name} of ${atlas.about.title}`)}" width="420" height="430" loading="lazy" style="border: 0"></iframe>`;
  };

  /** A button that unfolds what of a unit others can use, and goes there. */
  vitjax.citeButton = () => element("button", {
    id: "cite",
    on: {
      click() {
        const fold = document.querySelector(".reuse");
        fold.open = true;
        fold.scrollIntoView();
        fold.querySelector("pre").focus({ preventScroll: true });
      },
    },
  }, "Cite");

  /** What of a unit others can use, folded. */
  vitjax.reuse = (atlas, unit, entry_) => {
    const name = atlas.name(unit);
    const file = name.replaceAll(":", "_");
    const lossless = atlas.about.lossless && element("a", { class: "button", href: atlas.picture(unit).replace(/webp$/, "png"), download: `${file}.png` }, "PNG, lossless");
    return element("details", { class: "fold reuse" }, element("summary", null, element("h2", null, "Cite and reuse")),
      vitjax.copyText("BibTeX", vitjax.bibtex(atlas, unit)),
      element("div", { class: "actions" }, lossless,
        vitjax.saveButton("Data as JSON", `${file}.json`, "application/json", () => `${JSON.stringify(unitData(atlas, unit, entry_), null, 1)}\n`)),
      vitjax.copyText("In another page", frame(atlas, name)),
      vitjax.copyText("In Python", `import vitjax\n\natlas = vitjax.open_atlas("FOLDER")\natlas.picture("${name}"), atlas.maps("${name}"), atlas.near("${name}")\natlas.to_pandas().set_index("unit").loc["${name}"]`));
  };

  vitjax.links = { home: HOME };
})();

"use strict";
// What this atlas is of and how it was made, and its files for programs.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;

  const said = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value ?? "–"));

  const table = (title, values) => {
    const rows = Object.entries(values ?? {}).filter(([, value]) => value !== null && value !== undefined);
    return rows.length > 0 && element("section", null, element("h2", null, title),
      element("dl", { class: "facts" }, rows.map(([key, value]) => [element("dt", null, key.replaceAll("_", " ")), element("dd", null, said(value))])));
  };

  const TABLES = { units: "the units and their grades", pictures: "every picture and its grades", exemplars: "the photographs they respond to" };

  const file = (name, help) => element("li", null, element("a", { href: name }, name), ` – ${help}`);

  vitjax.views.about = async (atlas) => {
    const { model, recipe, seeds, data, versions, taps, image_size: [height, width] } = atlas.about;
    return {
      title: "About",
      node: element("article", { class: "about" },
        element("h1", { tabindex: "-1" }, atlas.about.title),
        element("p", { class: "lead" }, `${atlas.count.toLocaleString("en")} units of ${taps.length} layers, each with a picture that was painted to excite it, and with grades that say how good the picture is.`),
        table("Model", model),
        table("Pictures", { size: `${width} × ${height}`, recipe: recipe?.name, seeds: seeds?.join(", "), ...recipe?.fields }),
        table("Photographs", data),
        element("section", null, element("h2", null, "Grades"),
          element("dl", { class: "facts" }, atlas.about.columns.map(({ label, help }) => [element("dt", null, label), element("dd", null, help)]))),
        table("Versions", versions),
        element("section", null, element("h2", null, "Files"), element("ul", null,
          atlas.about.tables.map((name) => file(`${name}.parquet`, TABLES[name] ?? "a table")), file("manifest.json", "how all was made"))),
        element("p", { class: "note" }, "Deep zoom by ", element("a", { href: "page/vendor/openseadragon-6.1.1/LICENSE.txt" }, "OpenSeadragon 6.1.1"), " (BSD). Made with vitjax.")),
      keys: { Escape: () => vitjax.routes.go(vitjax.selection?.hash ?? "#/") },
    };
  };
})();

"use strict";
// What this atlas is of and how it was made, and its files for programs.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;

  const said = (value) => (value instanceof Node ? value : value !== null && typeof value === "object" ? JSON.stringify(value) : String(value ?? "–"));
  vitjax.said = said;

  const outside = (address, text) => element("a", { href: address, rel: "external noreferrer" }, text);

  /** Where a model or a data set is on the hub; a name may mean a folder, so that only a known revision makes it one. */
  const source = ({ source: name, revision }) => (name && revision && /^[\w.-]+\/[\w.-]+$/.test(name)
    ? outside(`https://huggingface.co/${name}/tree/${revision}`, name) : name);
  const dataSource = ({ source: name, images }) => {
    const hub = /^hf:\/\/datasets\/([\w.-]+\/[\w.-]+)/.exec(name ?? "");
    return { source: hub ? outside(`https://huggingface.co/datasets/${hub[1]}`, name) : name, images: images?.toLocaleString("en"), licence: "their source’s own: see there before you publish them" };
  };

  /** What of a recipe was changed, each field with what it was. */
  const changes = ({ base, changed }) => base && Object.fromEntries(Object.entries(changed)
    .map(([key, [there, here]]) => [key, `${said(here)} instead of ${said(there)}`]));

  const facts = (values) => {
    const rows = Object.entries(values ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
    return rows.length > 0 && element("dl", { class: "facts" }, rows.map(([key, value]) => [element("dt", null, key.replaceAll("_", " ")), element("dd", null, said(value))]));
  };
  const table = (title, values) => {
    const list = facts(values);
    return list && element("section", null, element("h2", null, title), list);
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
        element("section", null, element("h2", null, "Cite"), vitjax.copyText("BibTeX", vitjax.bibtex(atlas)),
          element("p", { class: "note" }, "Units have entries of their own: Cite on their pages.")),
        table("Model", { ...model, source: source(model), licence: model.licence || "not recorded" }),
        table("Pictures", { size: `${width} × ${height}`, recipe: vitjax.recipeName(recipe), seeds: seeds?.join(", "), licence: "they are made of the model: its licence says what may be done with them" }),
        recipe?.base && table(`Changed of the recipe ${recipe.base}`, changes(recipe)),
        element("details", { class: "fold" }, element("summary", null, element("h2", null, "All settings of the recipe")), facts(recipe?.fields)),
        data && table("Photographs", dataSource(data)),
        element("section", null, element("h2", null, "Grades"),
          element("dl", { class: "facts" }, atlas.about.columns.map(({ label, help }) => [element("dt", null, label), element("dd", null, help)]))),
        table("Versions", versions),
        element("section", null, element("h2", null, "Files"), element("ul", null,
          atlas.about.tables.map((name) => file(`${name}.parquet`, TABLES[name] ?? "a table")), file("manifest.json", "how all was made")),
          vitjax.copyText("In Python", 'import vitjax\n\natlas = vitjax.open_atlas("FOLDER")\natlas.to_pandas()  # or pandas.read_parquet("FOLDER/units.parquet")')),
        element("p", { class: "note" }, "Deep zoom by ", element("a", { href: "page/vendor/openseadragon-6.1.1/LICENSE.txt" }, "OpenSeadragon 6.1.1"), " (BSD). What classes are kinds of by ", outside("https://wordnet.princeton.edu", "WordNet 3.0"), ". Made with ", outside(vitjax.links.home, "vitjax"), ` ${versions.vitjax ?? ""} (Apache-2.0).`)),
      keys: { Escape: () => vitjax.routes.go(vitjax.selection?.hash ?? "#/") },
    };
  };
})();

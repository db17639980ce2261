"use strict";
// One unit within another page, asked for by ?embed before the #: its picture, its verdict, its best photographs.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const BEST = 6; // photographs

  vitjax.embedded = new URLSearchParams(location.search).has("embed");

  vitjax.views.embed = async (atlas, { units: [name = ""] }) => {
    const unit = vitjax.unitCalled(atlas, name);
    const entry = await atlas.detail(unit);
    const whole = element("a", { href: location.pathname + vitjax.routes.unit(name), target: "_blank", rel: "noopener" }, vitjax.nameText(name));
    return {
      title: name,
      node: element("article", { class: "embedded" },
        element("header", null, element("h1", { tabindex: "-1" }, whole), vitjax.verdictMark(vitjax.verdict(atlas, unit))),
        element("img", { class: "large", src: atlas.picture(unit), alt: `Picture of ${name}`, width: atlas.about.image_size[1], height: atlas.about.image_size[0] }),
        vitjax.responds(atlas, unit, entry),
        entry.exemplars.length > 0 && vitjax.exemplars(atlas, entry, { controls: false, most: BEST })[0],
        element("p", { class: "note" }, atlas.about.title)),
    };
  };
})();

"use strict";
// The page: its frame, and the view that its address asks for.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const DECODED = 100e6; // bytes of pictures kept decoded

  let atlas = null;
  let view = null; // {title, node, keys, enter, leave}
  let classes = null; // of the atlas, once a reader searches
  let asked = 0; // so that a view that comes late is not shown over a later one

  const main = element("main", { id: "main" });
  const title = element("a", { class: "title", href: "#/" }, element("img", { src: "page/icon.svg", alt: "", width: 22, height: 22 }), element("span", null, "vitjax atlas"));
  const search = element("div", { class: "searching" });
  const unread = new Set();
  const notice = element("p", { class: "notice", role: "status", hidden: true });
  const missed = (file) => {
    unread.add(file);
    const [first] = unread;
    notice.textContent = unread.size === 1 ? `The file ${first} is missing or damaged.` : `${unread.size} files are missing or damaged, among them ${first}.`;
    notice.hidden = false;
  };
  vitjax.images = new vitjax.Images(DECODED, missed);
  // Errors of pictures do not rise, they are only seen on their way down.
  addEventListener("error", ({ target }) => { if (target instanceof HTMLImageElement) missed(target.getAttribute("src")); }, true);

  const icon = (text, label, act) => element("button", { class: "icon", "aria-label": label, title: label, on: { click: act } }, text);

  const marks = element("span", { class: "marks-place" });
  const frame = () => vitjax.embedded ? [main, notice, element("p", { id: "said", class: "unseen", role: "status" })] : [
    element("button", { class: "skip", on: { click: () => main.querySelector("h1, .problem")?.focus() } }, "Skip to content"),
    element("header", null, title, search, element("nav", { "aria-label": "Page" },
      element("button", { class: "plain any", "aria-label": "Any unit", on: { click: () => atlas && vitjax.anyUnit(atlas) } }, "Any", element("span", { class: "long" }, " unit")),
      marks, element("a", { class: "plain", href: "#/about" }, "About"),
      icon("◐", "Light or dark", vitjax.theme.toggle), icon("?", "Keyboard help", () => vitjax.help()))),
    main, notice, element("p", { id: "said", class: "unseen", role: "status" }), vitjax.helpDialog(),
  ];

  /** A view that says what is wrong. */
  const problemView = (problem) => {
    const known = problem instanceof vitjax.Problem;
    if (!known) console.error(problem);
    return {
      title: "Problem",
      node: element("article", { class: "problem" },
        element("h1", { tabindex: "-1" }, known ? problem.message : `The page failed: ${problem.message}`),
        problem.units && element("p", null, "Near it are ", problem.units.map((name, place) => [place ? ", " : "", element("a", { href: vitjax.routes.unit(name) }, name)]), "."),
        atlas && element("p", null, element("a", { class: "button", href: "#/" }, "All units"))),
    };
  };

  const viewOf = async (route) => {
    try {
      const name = vitjax.embedded && route.view === "unit" ? "embed" : route.view;
      const make = Object.hasOwn(vitjax.views, name) && vitjax.views[name];
      if (!make) throw new vitjax.Problem(`This page has no view ${route.view}.`);
      return await make(atlas, route);
    } catch (problem) {
      return problemView(problem);
    }
  };

  const show = async (moveFocus) => {
    const turn = ++asked;
    const focused = document.activeElement;
    const { hash } = location;
    const next = await viewOf(vitjax.routes.read(hash));
    if (turn !== asked) return;
    view?.leave?.();
    view = next;
    vitjax.routes.shown = hash;
    document.title = [next.title, atlas?.about.title].filter(Boolean).join(" – ");
    document.body.classList.toggle("wide", Boolean(next.wide));
    const stayed = document.activeElement === focused; // or else the reader went elsewhere while this was loading
    main.replaceChildren(next.node);
    scrollTo(0, 0);
    if (moveFocus && stayed) next.node.querySelector("h1")?.focus({ preventScroll: true });
    await next.enter?.();
  };

  const searchHere = () => vitjax.searchBox({
    label: "Search", hint: "Unit, class or kind: 3:19, dog  ( / )",
    options: (text) => [
      ...vitjax.unitOptions(atlas, text, 6, (unit) => vitjax.routes.go(vitjax.routes.unit(atlas.name(unit)))),
      ...vitjax.suggestWords(atlas, text, 3).map((name) => ({
        text: name, note: "word", choose: () => vitjax.routes.go(vitjax.routes.overview(new URLSearchParams({ word: name }))),
      })),
      ...(classes?.suggest(text, 8) ?? []).map(({ name, kind, many }) => ({
        text: name, note: kind ? `kind of ${many} ${many === 1 ? "class" : "classes"}` : "class",
        choose: () => vitjax.routes.go(vitjax.routes.overview(new URLSearchParams({ [kind ? "kind" : "class"]: name }))),
      })),
    ],
    begun: async () => { classes = await vitjax.classesOf(atlas).catch(() => null); },
    free: (text) => vitjax.routes.go(vitjax.routes.overview(text ? new URLSearchParams({ text }) : null)),
  });

  const start = async () => {
    document.body.replaceChildren(...frame());
    document.body.classList.toggle("embed", vitjax.embedded);
    if (!vitjax.embedded) vitjax.listen(() => view, () => atlas);
    main.append(element("p", { class: "loading", role: "status" }, "Loading …"));
    try {
      atlas = await vitjax.openAtlas("");
    } catch (problem) {
      main.replaceChildren(problemView(problem).node);
      return;
    }
    title.lastChild.textContent = atlas.about.title;
    search.append(searchHere(), ...(atlas.about.data ? vitjax.photoSearch(() => atlas) : []));
    marks.append(vitjax.marksLink(atlas));
    addEventListener("hashchange", () => show(true));
    await show(false);
  };
  start();
})();

"use strict";
// The keyboard: what every view answers to, what the shown view adds, and the help that lists it.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;

  const HELP = [
    ["/", "search"], ["j  →", "next unit"], ["k  ←", "previous unit"], ["c", "compare with the unit most alike"],
    ["m", "mark this unit"], ["r", "any unit"], ["g o", "all units"], ["g m", "marked units"], ["g a", "about this atlas"], ["t", "light or dark"], ["Esc", "back"], ["?", "this help"],
    ["← ↑ → ↓", "on the wall: walk from picture to picture"], ["Enter", "on the wall: open the unit"], ["+  −  0", "on the wall: zoom in, out, show all"],
  ];

  /** The help as a dialog; vitjax.help() opens it. */
  vitjax.helpDialog = () => {
    const close = element("button", { on: { click: () => dialog.close() } }, "Close");
    const dialog = element("dialog", { class: "help-dialog", "aria-labelledby": "help-title", on: { click: (event) => { if (event.target === dialog) dialog.close(); } } },
      element("div", null, element("h2", { id: "help-title" }, "Keyboard"),
        element("dl", null, HELP.map(([keys, text]) => [element("dt", null, keys.split(/\s+/).map((key) => element("kbd", null, key))), element("dd", null, text)])),
        close));
    vitjax.help = () => { if (!dialog.open) dialog.showModal(); };
    return dialog;
  };

  /** Goes to a unit by chance. */
  vitjax.anyUnit = (atlas) => vitjax.routes.go(vitjax.routes.unit(atlas.name(Math.floor(Math.random() * atlas.count))));

  const everywhere = (atlas) => ({
    "/": () => document.querySelector("header [role=combobox]").focus(),
    "?": () => vitjax.help(),
    t: () => vitjax.theme.toggle(),
    r: () => atlas && vitjax.anyUnit(atlas),
    "g o": () => vitjax.routes.go(vitjax.selection?.hash ?? "#/"),
    "g m": () => vitjax.routes.go("#/list"),
    "g a": () => vitjax.routes.go(vitjax.routes.about()),
  });

  /** Listens; `shown()` is the view on the page, `atlas()` the atlas, as soon as there are such. */
  vitjax.listen = (shown, atlas) => {
    let before = "";
    addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input, select, textarea, dialog, [contenteditable]");
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing) return;
      const keys = { ...everywhere(atlas()), ...shown()?.keys };
      const act = keys[`${before} ${event.key}`] ?? keys[event.key];
      before = event.key === "g" ? "g" : "";
      if (!act) return;
      event.preventDefault();
      act();
    });
  };
})();

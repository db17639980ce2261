"use strict";
// Light or dark: what was chosen before, or else what the system says. Runs before the first paint.
(() => {
  const vitjax = (window.vitjax ??= {});
  const key = "vitjax-theme";

  // A page opened from disk or with cookies blocked may have no storage: then the choice lasts as long as the page.
  const remembered = () => { try { return localStorage.getItem(key); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem(key, theme); } catch { /* lasts as long as the page */ } };

  const set = (theme) => {
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  };
  set(remembered());

  vitjax.theme = {
    now: () => document.documentElement.dataset.theme
      || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
    toggle() {
      const theme = vitjax.theme.now() === "dark" ? "light" : "dark";
      set(theme);
      remember(theme);
      dispatchEvent(new Event("vitjax-theme"));
    },
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("vitjax-theme")));
})();

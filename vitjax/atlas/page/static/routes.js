"use strict";
// Addresses: everything behind the # of the page's address, so that each view has one on any host and from disk.
(() => {
  const vitjax = window.vitjax;

  /** What an address can ask for: name -> (atlas, route) -> a promise of {title, node, keys, enter, leave}. */
  vitjax.views = {};

  // A colon and a slash mean nothing special within a hash's part; left as they are, links can be read.
  const part = (text) => encodeURIComponent(text).replace(/%3A/gi, ":");
  const decode = (text) => { try { return decodeURIComponent(text); } catch { return text; } };
  const query = (params) => {
    const text = String(params ?? "").replace(/%3A/gi, ":").replace(/%2C/gi, ",");
    return text && `?${text}`;
  };

  vitjax.routes = {
    /** {view, units, params} of an address such as #/compare/A/B?with=NAME. */
    read(hash) {
      const [path, ...rest] = hash.replace(/^#?\/?/, "").split("?");
      const [view, ...units] = path.split("/").filter(Boolean).map(decode);
      return { view: view ?? "overview", units, params: new URLSearchParams(rest.join("?")) };
    },
    overview: (params) => `#/${query(params)}`,
    unit: (name) => `#/unit/${part(name)}`,
    compare: (left, right, beside) =>
      `#/compare/${part(left)}/${part(right)}${query(beside && new URLSearchParams({ with: beside }))}`,
    about: () => "#/about",
    /** Goes to an address; as if by a link. */
    go(hash) { location.hash = hash; },
    /** The address of the view that is shown; another stands above the page while its view is on the way. */
    shown: null,
    /** Changes the address of the view that is shown, without a new entry in the history; not once the reader went on. */
    correct(hash) {
      if (location.hash !== this.shown || hash === location.hash || (hash === "#/" && !location.hash)) return;
      history.replaceState(history.state, "", hash);
      this.shown = hash;
    },
  };
})();

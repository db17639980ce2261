"use strict";
// The data files of an atlas: scripts that call vitjax.receive(NAME, VALUE), as a page opened from disk may not fetch.
(() => {
  const vitjax = window.vitjax;
  const received = new WeakMap(); // script element -> what it said

  /** Something that stands in the reader's way, in one sentence for the reader. */
  vitjax.Problem = class extends Error {};

  vitjax.receive = (name, value) => received.set(document.currentScript, { name, value });

  /** Loads ROOT/data/NAME.js; `check(value)` names what is wrong with it, if anything. */
  vitjax.loadData = (root, name, check) => new Promise((resolve, reject) => {
    const file = `${root}data/${name}.js`;
    const script = vitjax.element("script", { src: file });
    const done = (problem, value) => {
      script.remove();
      if (problem) reject(new vitjax.Problem(problem));
      else resolve(value);
    };
    script.onerror = () => done(`The file ${file} is missing or cannot be read.`);
    script.onload = () => {
      const said = received.get(script);
      if (said?.name !== name) return done(`The file ${file} is damaged: export the atlas again.`);
      let wrong;
      try {
        wrong = check(said.value);
      } catch {
        wrong = "it lacks what belongs there";
      }
      return done(wrong && `The file ${file} cannot be used: ${wrong}.`, said.value);
    };
    document.head.append(script);
  });
})();

"use strict";
// HTML and SVG elements from plain values. Text comes in as text nodes only: no name can become markup.
(() => {
  const vitjax = window.vitjax;

  const fill = (node, attributes, children) => {
    for (const [key, value] of Object.entries(attributes ?? {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
      // Through the object model, since the page's policy allows no style attributes.
      else if (key === "style") for (const [name, text] of Object.entries(value)) node.style.setProperty(name, text);
      else node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  };

  /** An HTML element: element("p", {class: "note", on: {click}}, "text", otherElement, null, …). */
  vitjax.element = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

  /** The same of SVG. */
  vitjax.drawing = (tag, attributes, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  /** The name of a unit, which breaks at its dots where it has to. */
  vitjax.nameText = (name) => name.split(/(?<=\.)|(?=:)/).flatMap((part, place) => (place ? [vitjax.element("wbr"), part] : [part]));

  /** Says something to screen readers, without moving the focus. */
  vitjax.say = (text) => { document.getElementById("said").textContent = text; };

  /** `run`, once, when nothing has called for `wait` milliseconds. */
  vitjax.settled = (wait, run) => {
    let timer = 0;
    return (...args) => {
      clearTimeout(timer);
      timer = setTimeout(run, wait, ...args);
    };
  };
})();

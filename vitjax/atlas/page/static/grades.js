"use strict";
// Grades of units: the verdict with its mark, and the report card as a table.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;

  const verdictColumn = (atlas) => [...atlas.columns.values()].find((column) => column.words);

  /** A unit's verdict, or "". */
  vitjax.verdict = (atlas, unit) => {
    const column = verdictColumn(atlas);
    return column ? atlas.value(unit, column.key) ?? "" : "";
  };

  /** A word with a dot in the verdict's colour. */
  vitjax.verdictMark = (word) => word && element("span", { class: "verdict", "data-verdict": word }, word);

  /** The share of units whose value is below `value`, from 0 to 1. */
  const below = (values, value) => {
    let [less, all] = [0, 0];
    for (const other of values) if (other !== null) { all++; less += Number(other < value); }
    return all > 1 ? less / (all - 1) : 0;
  };

  const shown = (column, value) =>
    (column.words ? vitjax.verdictMark(value) || "–" : vitjax.format(column, value));

  const standing = (atlas, column, value) => {
    if (column.words || typeof value !== "number") return "";
    const share = Math.round(below(atlas.units.columns[column.key], value) * 100);
    return element("span", { class: "standing", style: { "--share": `${share}%` } }, element("i"), `above ${share} %`);
  };

  const difference = (column, [left, right]) => {
    if (left === right) return "same";
    if (typeof left !== "number" || typeof right !== "number") return "differs";
    return `${right > left ? "+" : "−"}${vitjax.format(column, Math.abs(right - left))}`;
  };

  // What the last column of a table says.
  const LAST = {
    standing: { head: "among all units", cell: (column, [value], [{ atlas }]) => standing(atlas, column, value) },
    difference: { head: "difference", cell: difference },
  };

  /**
   * A table of grades: a row for each column of the atlas, a column for each of `sides` {head, grades, atlas}, and perhaps
   * a last one: the "standing" of the first side among all units, or the "difference" of the second from the first.
   */
  vitjax.gradeTable = (caption, sides, last) => {
    const columns = new Map(sides.flatMap((side) => [...side.atlas.columns]));
    const rows = [...columns.values()].map((column) => {
      const values = sides.map((side) => side.grades[column.key] ?? null);
      return element("tr", { class: last === "difference" && values[0] !== values[1] ? "differ" : null },
        element("th", { scope: "row" }, column.label, element("small", null, column.help)),
        values.map((value) => element("td", null, shown(column, value))),
        last && element("td", { class: last }, LAST[last].cell(column, values, sides)));
    });
    const head = (text) => element("th", { scope: "col" }, text);
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      element("table", { class: "grades" },
        element("thead", null, element("tr", null, head("grade"), sides.map((side) => head(side.head)), last && head(LAST[last].head))),
        element("tbody", null, rows)));
  };

  /** The values of a unit in the columns of its atlas, as a picture's grades are. */
  vitjax.gradesOf = (atlas, unit) =>
    Object.fromEntries([...atlas.columns.keys()].map((key) => [key, atlas.value(unit, key)]));
})();

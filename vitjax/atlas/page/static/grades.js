"use strict";
// Grades of units: the verdict with its mark, the few that matter, and the whole report card as a table.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const MAIN = 5; // grades that are shown; all others are folded

  /** The column of verdicts, or undefined. */
  vitjax.verdictColumn = (atlas) => [...atlas.columns.values()].find((column) => column.words);

  /** A unit's verdict, or "". */
  vitjax.verdict = (atlas, unit) => {
    const column = vitjax.verdictColumn(atlas);
    return column ? atlas.value(unit, column.key) ?? "" : "";
  };

  /** A word with a dot in the verdict's colour. */
  vitjax.verdictMark = (word) => word && element("span", { class: "verdict", "data-verdict": word }, word);

  /** The columns of the grades that matter, at most five; in atlases that do not say them, the first numbers. */
  vitjax.mainColumns = (atlas) => {
    const numbers = [...atlas.columns.values()].filter((column) => !column.words);
    const known = (column) => atlas.units.columns[column.key].some((value) => value !== null);
    const main = numbers.filter((column) => column.main && known(column)).sort((a, b) => a.main - b.main);
    return (main.length ? main : numbers.filter(known)).slice(0, MAIN);
  };

  /** Whether of a column low numbers are the good ones. */
  vitjax.lowIsGood = (column) => column.better === "low";

  /** A unit's value in a column, as a reader sees it: a rank with the number of those ranked. */
  vitjax.shownValue = (atlas, unit, column, value = atlas.value(unit, column.key)) => {
    const layer = column.of_layer && value !== null && atlas.about.taps[atlas.tapOf[unit]].layer_units;
    return layer ? `${vitjax.format(column, value)} of ${layer.toLocaleString("en")}` : vitjax.format(column, value);
  };

  /** Where `value` stands among all units but those that hardly respond: the shares of others that are worse, and better. */
  const place = (atlas, values, value, low) => {
    let [worse, better, all] = [0, 0, -1];
    for (let unit = 0; unit < values.length; unit++) {
      const other = values[unit];
      if (other === null || atlas.silent.has(unit)) continue;
      all++;
      if (low ? other > value : other < value) worse++;
      if (low ? other < value : other > value) better++;
    }
    return all > 0 ? { worse: worse / all, better: better / all } : null;
  };

  /** Whether a picture with these grades beats the unit's best photograph, in words; "" where nothing says it. */
  vitjax.againstPhotographs = (atlas, unit, { rise } = {}) => {
    if (typeof rise !== "number" || atlas.silent.has(unit)) return "";
    if (rise <= 0) return "Worse than the usual photograph";
    return `${rise > 1 ? "Better" : "Not better"} than its best photograph: ${vitjax.significant(rise)} times as far above the photographs’ mean`;
  };

  const percent = (share) => `${Math.round(share * 100)} %`;

  /** A bar of which the right end is good, with what it says in words; where neither end is, a mark on a line. */
  const standing = (atlas, unit, column, value) => {
    if (column.words || typeof value !== "number") return "";
    if (atlas.silent.has(unit)) return element("span", { class: "standing" }, "not compared");
    const found = place(atlas, atlas.units.columns[column.key], value, vitjax.lowIsGood(column));
    if (!found) return "";
    if (!column.better) {
      return element("span", { class: "standing neither", style: { "--share": `${found.worse * 100}%` } }, element("i"), `above ${percent(found.worse)}`);
    }
    const text = found.better ? `better than ${percent(found.worse)}` : `best${found.worse < 1 ? `, with ${percent(1 - found.worse)}` : ""}`;
    return element("span", { class: "standing", style: { "--share": `${found.better ? found.worse * 100 : 100}%` } }, element("i"), text);
  };

  /** The grades of a unit that matter: each with its value, what it means and where it stands among all units. */
  vitjax.mainGrades = (atlas, unit) => element("dl", { class: "main-grades" }, vitjax.mainColumns(atlas).map((column) => {
    const value = atlas.value(unit, column.key);
    return element("div", null, element("dt", null, column.label), element("dd", { class: "number" }, vitjax.shownValue(atlas, unit, column)),
      element("dd", null, standing(atlas, unit, column, value)), element("dd", { class: "meaning" }, column.help));
  }));

  const shown = (column, value, { atlas, unit }) => {
    if (column.words) return vitjax.verdictMark(value) || "–";
    return unit === undefined ? vitjax.format(column, value) : vitjax.shownValue(atlas, unit, column, value);
  };

  const difference = (column, [left, right]) => {
    if (left === right) return "same";
    if (typeof left !== "number" || typeof right !== "number") return "differs";
    return `${right > left ? "+" : "−"}${vitjax.format(column, Math.abs(right - left))}`;
  };

  // What the last column of a table says.
  const LAST = {
    standing: { head: "among all units, good is right", cell: (column, [value], [{ atlas, unit }]) => standing(atlas, unit, column, value) },
    difference: { head: "difference", cell: difference },
  };

  /**
   * A table of grades: a row for each column of the atlas, a column for each of `sides` {head, grades, atlas, unit}, and
   * perhaps a last one: the "standing" of the first side among all units, or the "difference" of the second from it.
   */
  vitjax.gradeTable = (caption, sides, last) => {
    const columns = new Map(sides.flatMap((side) => [...side.atlas.columns]));
    const rows = [...columns.values()].map((column) => {
      const values = sides.map((side) => side.grades[column.key] ?? null);
      return element("tr", { class: last === "difference" && values[0] !== values[1] ? "differ" : null },
        element("th", { scope: "row" }, column.label, element("small", null, column.help)),
        values.map((value, side) => element("td", null, shown(column, value, sides[side]))),
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

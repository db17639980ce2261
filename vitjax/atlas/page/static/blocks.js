"use strict";
// The blocks of the network: which taps are of one, and how many of its units' pictures are good, weak or have failed.
(() => {
  const vitjax = window.vitjax;
  const { element } = vitjax;
  const BLOCK = /^((?:stages\.\d+\.)?blocks\.\d+)\./;
  const GROUPS = ["good", "weak", "failed"];
  const SEVERAL = 3; // blocks that are named

  const called = (name) => name.replace("stages.", "stage ").replace(".blocks.", ", block ").replace(/^blocks\./, "block ");

  /** The taps of each block, in their order: [{label, taps}]; a tap that is of no block stands alone. */
  vitjax.blocksOf = (atlas) => {
    const found = new Map();
    for (const tap of atlas.about.taps) {
      const name = BLOCK.exec(tap.tap)?.[1] ?? tap.tap;
      if (!found.has(name)) found.set(name, { label: called(name), taps: [] });
      found.get(name).taps.push(tap);
    }
    return [...found.values()];
  };

  /** Which words of the verdict are of which group: the first is good, and what is neither good nor weak has failed. */
  const grouped = ({ words }) => ({ good: [words[0]], weak: words.slice(1).filter((word) => word === "weak"), failed: words.slice(1).filter((word) => word !== "weak") });

  /** Some verdicts in a few words: by the name of their group, if they are one. */
  vitjax.verdictsCalled = (column, some) => GROUPS.find((name) => grouped(column)[name].join() === some.join()) ?? some.join(", ");

  const kept = new WeakMap();

  /** How many pictures of each block are of which group: [{label, taps, good, weak, failed}]; null without verdicts. */
  const tallied = (atlas) => {
    const column = vitjax.verdictColumn(atlas);
    if (!column) return null;
    if (!kept.has(atlas)) {
      const groups = grouped(column);
      const group = column.words.map((word) => GROUPS.find((name) => groups[name].includes(word)));
      const values = atlas.units.columns[column.key];
      kept.set(atlas, vitjax.blocksOf(atlas).map((block) => {
        const counts = { good: 0, weak: 0, failed: 0 };
        for (const { first, count } of block.taps) {
          for (let unit = first; unit < first + count; unit++) if (values[unit] !== null) counts[group[values[unit]]]++;
        }
        return { ...block, ...counts };
      }));
    }
    return kept.get(atlas);
  };

  /** A number that leads to the units of a group, of a block or, without one, of all. */
  const link = (atlas, block, group, count, text, label = null) => {
    if (!count) return element("span", { class: "note" }, text);
    const column = vitjax.verdictColumn(atlas);
    const params = new URLSearchParams([...(block?.taps ?? []).map(({ tap }) => ["tap", tap]), ...grouped(column)[group].map((word) => [`is.${column.key}`, word])]);
    return element("a", { href: vitjax.routes.overview(params), "aria-label": label }, text);
  };

  /** The blocks with the most pictures that have failed; none where none has, or where more than three have as many. */
  const worst = (blocks) => {
    const most = Math.max(...blocks.map(({ failed }) => failed));
    const found = blocks.filter(({ failed }) => failed && failed === most);
    return found.length > SEVERAL ? [] : found;
  };

  const joined = (list) => list.map((one, place) => [place === 0 ? "" : place === list.length - 1 ? " and " : ", ", one]);
  const each = (blocks) => `${blocks[0].failed.toLocaleString("en")}${blocks.length > 1 ? " each" : ""}`;

  /** How many pictures are good, weak, failed, and in which block most have failed: what stands in a sentence. */
  vitjax.verdictsInAll = (atlas) => {
    const blocks = tallied(atlas);
    if (!blocks) return [];
    const counts = GROUPS.map((group) => [group, blocks.reduce((sum, one) => sum + one[group], 0)]);
    const most = blocks.length > 1 ? worst(blocks) : [];
    return [" ", counts.map(([group, count], place) => [place ? ", " : "", link(atlas, null, group, count, `${count.toLocaleString("en")} ${group}`)]),
      most.length > 0 && [": most in ", joined(most.map((block) => link(atlas, block, "failed", block.failed, block.label))), `, ${each(most)}`], "."];
  };

  const bar = (block) => element("i", { class: "tally", "aria-hidden": "true" }, GROUPS.map((group) =>
    block[group] > 0 && element("b", { class: group, style: { "flex-grow": String(block[group]) } })));

  /** A table of the blocks: how many pictures of each are good, weak and failed, each number a link to these units. */
  vitjax.verdictTable = (atlas) => {
    const blocks = tallied(atlas);
    const most = worst(blocks);
    const { words } = vitjax.verdictColumn(atlas);
    return [
      element("p", { class: "help" }, `Failed is what is neither good nor weak: ${words.filter((word, place) => place && word !== "weak").join(", ")}. `,
        most.length ? `Most pictures failed in ${joined(most.map(({ label }) => label)).flat().join("")}, ${each(most)}.` : ""),
      element("table", { class: "verdicts" },
        element("thead", null, element("tr", null, ["block", "", ...GROUPS].map((text) => (text ? element("th", { scope: "col" }, text) : element("td"))))),
        element("tbody", null, blocks.map((block) => element("tr", { class: most.includes(block) ? "most" : null },
          element("th", { scope: "row", title: block.taps.map(({ tap }) => tap).join(", ") }, block.label), element("td", null, bar(block)),
          GROUPS.map((group) => element("td", null, link(atlas, block, group, block[group], block[group].toLocaleString("en"), `${block[group]} ${group} in ${block.label}`))))))),
    ];
  };
})();

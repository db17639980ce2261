"use strict";
// What a reader may mean by what is typed: units by their name or a part of it.
(() => {
  const vitjax = window.vitjax;
  const folded = (text) => text.toLowerCase().normalize("NFKD");

  /** Whether the words of `asked` stand in `tap` in this order, e.g. 3.mlp in blocks.3.mlp.hidden, a number right after the word before it; the last may be begun. */
  const within = (tap, asked) => {
    const words = tap.split(".");
    let from = 0;
    return asked.every((word, place) => {
      const number = !Number.isNaN(Number(word));
      const begun = place === asked.length - 1 && !number;
      const there = (at) => (number && place ? at === from : at >= from);
      const found = words.findIndex((one, at) => there(at) && (begun ? one.startsWith(word) : one === word));
      from = found + 1;
      return found >= 0;
    });
  };

  /** A test of units by name: `3:19` is 19, 190, 191, … of any tap of block 3; null if `text` is no such name. */
  const byName = (atlas, text) => {
    const asked = folded(text).trim().replace(/\s+/g, ".");
    const colon = asked.includes(":");
    const [left, index] = colon ? vitjax.parts(asked) : [asked, ""];
    const words = left.split(".").filter(Boolean);
    const taps = atlas.about.taps.map((one) => within(folded(one.tap), words));
    const number = !colon && words.length === 1 && /^\d+$/.test(left) ? left : null;
    if (!taps.some(Boolean) && !number) return null;
    return (unit) => {
      const own = atlas.units.index[unit];
      return (taps[atlas.tapOf[unit]] && own.startsWith(index)) || (number !== null && own.startsWith(number));
    };
  };

  /** A test of units by name, or null if a text is no name of any. */
  vitjax.byName = byName;

  /** Units to suggest for `text`: exact ones first, `most` at most. */
  vitjax.suggestUnits = (atlas, text, most) => {
    const named = text.trim() && byName(atlas, text);
    if (!named) return [];
    const [, index] = vitjax.parts(text.trim());
    const [exact, others] = [[], []];
    for (let unit = 0; unit < atlas.count && exact.length < most; unit++) {
      if (!named(unit)) continue;
      if (atlas.units.index[unit] === (index || text.trim())) exact.push(unit);
      else if (others.length < most) others.push(unit);
    }
    return [...exact, ...others].slice(0, most);
  };
})();

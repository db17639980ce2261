"use strict";
// Which units respond to which classes, and to kinds of classes; loaded when a reader first asks for one.
(() => {
  const vitjax = window.vitjax;

  const folded = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
  const words = (text) => folded(text).split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const known = (text) => ({ text: folded(text), words: words(text) });
  /** Whether two words are the same, or one is the plural of the other. */
  const same = (one, other) => one === other || `${one}s` === other || one === `${other}s` || `${one}es` === other;

  // How well a name fits what was typed: its words are there, are begun, or stand somewhere in it.
  const FITS = [
    (name, asked) => asked.every((word) => name.words.some((own) => same(own, word))),
    (name, asked) => asked.every((word, place) => name.words.some((own) => (place === asked.length - 1 ? own.startsWith(word) : same(own, word)))),
    (name, asked, text) => name.text.includes(text),
  ];

  class Classes {
    constructor({ photographs, classes, units, kinds }) {
      this.units = units;
      this.names = classes;
      this.most = photographs; // of a unit
      this.byName = classes.map(known);
      this.kinds = kinds.map((kind) => ({ ...kind, names: [kind.name, ...kind.also].map(known) }));
    }

    /** How many photographs of which units are of some classes: unit -> number; `names` has the most frequent of them. */
    #counts(places) {
      const found = new Map();
      const most = new Map();
      const names = new Map();
      for (const place of places) {
        const list = this.units[place] ?? [];
        for (let at = 0; at < list.length; at += 2) {
          const [unit, count] = [list[at], list[at + 1]];
          found.set(unit, (found.get(unit) ?? 0) + count);
          if (count <= (most.get(unit) ?? 0)) continue;
          most.set(unit, count);
          names.set(unit, this.names[place]);
        }
      }
      return Object.assign(found, { names });
    }

    /** Of the class with exactly this name. */
    ofClass(name) { return this.#counts([this.names.indexOf(name)]); }

    /** Of all classes that are of a kind, by its name. */
    ofKind(name) { return this.#counts(new Set(this.kinds.filter((kind) => kind.name === name).flatMap((kind) => kind.of))); }

    /** Of the classes that a text names, as well as any does, and of those that are of the kinds that it names. */
    ofText(text) {
      const asked = words(text);
      const whole = folded(text).trim();
      if (!whole) return new Map();
      const kinds = this.kinds.filter((kind) => kind.names.some((name) => same(name.text, whole)));
      const fit = FITS.find((fits) => this.byName.some((name) => fits(name, asked, whole)));
      const places = fit ? this.byName.flatMap((name, place) => (fit(name, asked, whole) ? [place] : [])) : [];
      const some = kinds.length && fit !== FITS[0] ? [] : places; // "cat" is a kind: no caterpillar then
      return this.#counts(new Set([...some, ...kinds.flatMap((kind) => kind.of)]));
    }

    /** Kinds and classes to suggest for a text, the best fitting first: {name, kind, many}. */
    suggest(text, most) {
      const asked = words(text);
      const whole = folded(text).trim();
      if (!whole) return [];
      const fit = (names) => FITS.findIndex((fits) => names.some((name) => fits(name, asked, whole)));
      const found = [
        ...this.kinds.map((kind) => ({ name: kind.name, kind: true, many: kind.of.length, fit: fit(kind.names) - 0.5 * kind.names.some((name) => same(name.text, whole)) })),
        ...this.names.map((name, place) => ({ name, kind: false, fit: fit([this.byName[place]]) })),
      ].filter((one) => one.fit > -1);
      return found.sort((a, b) => a.fit - b.fit || Number(b.kind) - Number(a.kind) || a.name.length - b.name.length).slice(0, most);
    }
  }

  /** A test of units by the words that a CLIP names them by; null without such, or where none of them fits. */
  vitjax.wordMatcher = (atlas, text) => {
    const names = (atlas.units.words?.names ?? []).map(known);
    const [asked, whole] = [words(text), folded(text).trim()];
    const fits = whole && FITS.find((one) => names.some((name) => one(name, asked, whole)));
    return fits ? (unit) => { const of = atlas.units.words.of[unit]; return of !== null && fits(names[of], asked, whole); } : null;
  };

  /** Words of a CLIP to suggest for a text. */
  vitjax.suggestWords = (atlas, text, most) => {
    const [asked, whole] = [words(text), folded(text).trim()];
    if (!whole) return [];
    const found = (atlas.units.words?.names ?? []).map((name) => ({ name, fit: FITS.findIndex((one) => one(known(name), asked, whole)) }));
    return found.filter(({ fit }) => fit >= 0).sort((a, b) => a.fit - b.fit).slice(0, most).map(({ name }) => name);
  };

  /** What an export without the file says: the classes that each unit is known by. */
  const fromUnits = (atlas) => {
    const { about } = atlas;
    const lists = about.classes.map(() => []);
    for (let unit = 0; unit < atlas.count; unit++) for (const place of atlas.classPlaces(unit)) lists[place].push(unit, 1);
    return { photographs: 1, classes: about.classes, units: lists, kinds: [] };
  };

  const opened = new WeakMap();

  /** The classes of an atlas, as a promise. */
  vitjax.classesOf = (atlas) => {
    if (!opened.has(atlas)) {
      const wrong = ({ classes, units, kinds }) => !(Array.isArray(kinds) && units.length === classes.length) && "it lists no classes";
      const loading = atlas.about.schema < 2 ? Promise.resolve(fromUnits(atlas)) : vitjax.loadData(atlas.root, "classes", wrong);
      const made = loading.then((value) => new Classes(value));
      made.catch(() => opened.delete(atlas));
      opened.set(atlas, made);
    }
    return opened.get(atlas);
  };
})();

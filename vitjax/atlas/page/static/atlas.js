"use strict";
// An atlas as it was exported: its units by number and by name, their values, and what is loaded when it is asked for.
(() => {
  const vitjax = window.vitjax;
  const SCHEMAS = [1, 2]; // 1 scales each activation map by itself
  const DETAILS_KEPT = 24;
  const PICTURE = /^pictures(\/\w[\w.]*)+\.webp$/; // never elsewhere, whatever a data file says

  const checkAtlas = (about) => {
    if (!SCHEMAS.includes(about.schema)) return `it is of schema ${about.schema}, and this page reads schema ${SCHEMAS.at(-1)}`;
    const units = about.taps.reduce((sum, tap) => sum + tap.count, 0);
    return units !== about.count && `it speaks of ${about.count} units and lists ${units}`;
  };

  const checkUnits = (about, units) => {
    if (units.index.length !== about.count) return `it holds ${units.index.length} units instead of ${about.count}`;
    const short = about.columns.find((column) => units.columns[column.key].length !== about.count);
    return short && `its column ${short.key} is too short`;
  };

  /** Lists of numbers as one after another, {flat, ends}: many small arrays take several times the memory. */
  const packed = (lists) => {
    const ends = new Uint32Array(lists.length);
    const total = lists.reduce((end, list, place) => (ends[place] = end + list.length), 0);
    const flat = new Uint32Array(total);
    lists.forEach((list, place) => flat.set(list, ends[place] - list.length));
    return { flat, ends };
  };

  class Atlas {
    #layouts = new Map();
    #details = new Map();

    constructor(root, about, units) {
      const { classes, ...rest } = units;
      Object.assign(this, { root, about, units: rest, count: about.count, seen: packed(classes) });
      this.columns = new Map(about.columns.map((column) => [column.key, column]));
      this.tapOf = new Uint16Array(this.count);
      this.silent = new Set(units.silent); // units that hardly respond to any photograph
      about.taps.forEach((tap, place) => this.tapOf.fill(place, tap.first, tap.first + tap.count));
    }

    tap(unit) { return this.about.taps[this.tapOf[unit]].tap; }

    name(unit) { return `${this.tap(unit)}:${this.units.index[unit]}`; }

    /** The number of the unit called `name`, or -1. */
    number(name) {
      const [tap, index] = vitjax.parts(name);
      const where = this.about.taps.find((one) => one.tap === tap);
      if (!where) return -1;
      const found = this.units.index.indexOf(index, where.first);
      return found >= 0 && found < where.first + where.count ? found : -1;
    }

    /** A unit's value in a column: a number, a word, or null. */
    value(unit, key) {
      const value = this.units.columns[key][unit] ?? null;
      return value === null || !this.columns.get(key).words ? value : this.columns.get(key).words[value];
    }

    /** The places in the atlas's list of the classes that a unit responds to; none where it hardly responds. */
    classPlaces(unit) {
      const { flat, ends } = this.seen;
      return this.silent.has(unit) ? [] : [...flat.subarray(unit ? ends[unit - 1] : 0, ends[unit])];
    }

    classes(unit) { return this.classPlaces(unit).map((place) => this.about.classes[place]); }

    /** The word that a CLIP names a unit by, or null. */
    word(unit) { return this.units.words?.names[this.units.words.of[unit]] ?? null; }

    duplicate(unit) { return this.units.duplicate[unit] ?? null; }

    /** Where the picture lies that stands for a unit. */
    picture(unit) { return `${this.root}pictures/${this.tap(unit)}/${this.units.index[unit]}.webp`; }

    /** Where one of a unit's pictures lies, as its details tell. */
    pictureFile({ file }) { return `${this.root}${file}`; }

    photo(number) { return `${this.root}photos/${String(number).padStart(6, "0")}.webp`; }

    /** Loads a layout: {columns, rows, cells, bands}. */
    layout(key) {
      const check = ({ columns, rows, cells }) => {
        if (cells.length !== columns * rows) return `${cells.length} cells do not fill ${columns} × ${rows}`;
        return cells.some((unit) => !(unit < this.count)) && "it shows units that there are not";
      };
      return this.#kept(this.#layouts, `layout-${key}`, check, 8);
    }

    /** Loads all that the page of a unit shows. */
    async detail(unit) {
      const { tap, first } = this.about.taps[this.tapOf[unit]];
      const part = String(Math.floor((unit - first) / this.about.detail.per)).padStart(4, "0");
      const name = `detail/${tap}/${part}`;
      const found = (list) => list.find((entry) => entry.unit === this.name(unit));
      const check = (list) => {
        if (!found(list)?.pictures.length) return `it does not tell of ${this.name(unit)}`;
        return !found(list).pictures.every(({ file }) => PICTURE.test(file)) && "it names files that are no pictures";
      };
      return found(await this.#kept(this.#details, name, check, DETAILS_KEPT));
    }

    #kept(shelf, name, check, most) {
      const loading = shelf.get(name) ?? vitjax.loadData(this.root, name, check);
      shelf.delete(name);
      shelf.set(name, loading); // last used, last in the order
      loading.catch(() => shelf.delete(name));
      if (shelf.size > most) shelf.delete(shelf.keys().next().value);
      return loading;
    }
  }

  /** Opens the atlas in the folder `root`, "" for the page's own, else with a slash at its end. */
  vitjax.openAtlas = async (root) => {
    const [about, units] = await Promise.all([
      vitjax.loadData(root, "atlas", checkAtlas),
      vitjax.loadData(root, "units", (value) => !Array.isArray(value.index) && "it lists no units"),
    ]);
    const wrong = checkUnits(about, units);
    if (wrong) throw new vitjax.Problem(`The file ${root}data/units.js cannot be used: ${wrong}.`);
    return new Atlas(root, about, units);
  };

  /** TAP:INDEX in two. */
  vitjax.parts = (name) => {
    const colon = name.lastIndexOf(":");
    return colon < 0 ? [name, ""] : [name.slice(0, colon), name.slice(colon + 1)];
  };

  /** A value as a reader sees it; `column` says with how many digits. */
  vitjax.format = (column, value) => {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    if (value !== 0 && Math.abs(value) < 10 ** -column.digits / 2) return value.toExponential(1);
    return value.toFixed(column.digits);
  };

  /** A number with three significant digits. */
  vitjax.significant = (value) => {
    if (typeof value !== "number" || !Number.isFinite(value)) return "–";
    if (value === 0) return "0";
    const power = Math.floor(Math.log10(Math.abs(value)));
    return power < -3 ? value.toExponential(1) : value.toFixed(Math.max(0, 2 - power));
  };

  /** The units that a reader who wrote `name` may have meant. */
  vitjax.nearestUnits = (atlas, name, count = 5) => {
    const [tap, index] = vitjax.parts(name);
    const words = tap.split(".");
    const alike = (other) => other.split(".").reduce((sum, word, place) => {
      const off = Math.abs(word - words[place]); // of numbers: block 99 is nearer to the last block than to the first
      return sum + words.includes(word) + 10 * (words[place] === word) + (Number.isNaN(off) ? 0 : 1 / (1 + off));
    }, 0);
    const where = atlas.about.taps.reduce((best, one) => (alike(one.tap) > alike(best.tap) ? one : best));
    const distance = (unit) => {
      const off = atlas.units.index[unit].split(".").map((part, place) => Math.abs(part - (index.split(".")[place] ?? 0)));
      return off.reduce((sum, step) => sum * 10000 + (Number.isNaN(step) ? 0 : step), 0);
    };
    const units = Array.from({ length: where.count }, (_, place) => where.first + place);
    const far = new Map(units.map((unit) => [unit, distance(unit)]));
    return units.sort((a, b) => far.get(a) - far.get(b)).slice(0, count);
  };
})();

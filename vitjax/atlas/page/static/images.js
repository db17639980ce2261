"use strict";
// Decoded images by file, the last used ones kept up to a number of bytes; several may wait for one that is loading.
(() => {
  const vitjax = window.vitjax;
  const AT_ONCE = 8;

  vitjax.Images = class {
    #kept = new Map(); // file -> bitmap, the last used last
    #wanted = new Map(); // file -> who waits for it, in the order it was asked for
    #loading = 0;
    #bytes = 0;
    #failed;

    /** Keeps about `limit` bytes of decoded pixels; `failed(file)` is told of what could not be read. */
    constructor(limit, failed) {
      this.limit = limit;
      this.#failed = failed;
    }

    /** Calls use(image) at once or when it is there, with null if it cannot be read; returns a function that calls it off. */
    want(file, use) {
      const kept = this.#kept.get(file);
      if (kept) {
        this.#kept.delete(file);
        this.#kept.set(file, kept);
        use(kept);
        return () => {};
      }
      if (!this.#wanted.has(file)) this.#wanted.set(file, { users: new Set(), started: false });
      const { users } = this.#wanted.get(file);
      users.add(use);
      this.#next();
      return () => users.delete(use);
    }

    get bytes() { return this.#bytes; }

    #next() {
      for (const [file, entry] of this.#wanted) {
        if (this.#loading >= AT_ONCE) return;
        if (entry.started) continue;
        if (entry.users.size) this.#load(file, entry);
        else this.#wanted.delete(file);
      }
    }

    async #load(file, entry) {
      entry.started = true;
      this.#loading++;
      const image = new Image();
      image.src = file;
      let bitmap = null;
      try {
        await image.decode();
        bitmap = await createImageBitmap(image);
      } catch {
        this.#failed(file);
      }
      this.#loading--;
      this.#wanted.delete(file);
      if (bitmap) {
        this.#kept.set(file, bitmap);
        this.#bytes += bitmap.width * bitmap.height * 4;
      }
      for (const use of entry.users) use(bitmap);
      this.#trim();
      this.#next();
    }

    #trim() {
      for (const [file, bitmap] of this.#kept) {
        if (this.#bytes <= this.limit || this.#kept.size === 1) return;
        this.#kept.delete(file);
        this.#bytes -= bitmap.width * bitmap.height * 4;
        bitmap.close();
      }
    }
  };
})();

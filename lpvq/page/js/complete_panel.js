// The second panel: a part of a face is erased, and completed in each mood.

class CompletePanel {
  constructor(models) {
    this.models = models;
    const side = models.prior.width;
    this.canvas = addCanvas(find("erase-face"), side * models.patches.shape[1], "The face, with a part erased");
    this.cells = new Cells(find("erase-face"), side, "What to erase, 8 rows of 8; Space erases or brings back");
    this.erased = new Uint8Array(side * side);
    this.seed = 1;
    this.turn = 0;
    this.results = models.labels.map((label) => {
      const box = make("div", { className: "picture" });
      const canvas = addCanvas(box, this.canvas.width, `Completed as ${label}`);
      const caption = make("figcaption", { textContent: label });
      find("completions").append(make("figure", {}, box, caption));
      return { canvas, caption };
    });
    this.listen();
  }

  listen() {
    this.cells.on(["pointerdown"], (position, event) => this.begin(position, event));
    this.cells.box.addEventListener("pointermove", (event) => this.drag(event));
    for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, () => this.end());
    this.cells.box.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      const position = this.cells.buttons.indexOf(event.target);
      this.set(position, !this.erased[position]);
      this.complete();
    });
    for (const button of document.querySelectorAll("[data-erase]")) {
      button.addEventListener("click", () => this.erase(button.dataset.erase));
    }
    find("again").addEventListener("click", () => {
      this.seed += 1;
      this.complete();
    });
  }

  // Takes a face, and keeps what is erased.
  take(codes) {
    this.codes = codes.slice();
    this.pixels = this.models.vqvae.decode(this.codes);
    if (!this.erased.some(Boolean)) this.erase("mouth");
    else this.complete();
  }

  erase(what) {
    const { side } = this.cells;
    const rows = { mouth: [4, 7], half: [4, 8], nothing: [0, 0] }[what];
    const columns = what === "mouth" ? [2, 7] : [0, side];
    const inside = (x, [from, to]) => x >= from && x < to;
    this.erased = this.erased.map((_, i) => Number(inside(Math.floor(i / side), rows) && inside(i % side, columns)));
    this.complete();
  }

  begin(position, event) {
    if (position < 0) return;
    event.target.releasePointerCapture?.(event.pointerId);
    this.dragging = { to: !this.erased[position] };
    this.set(position, this.dragging.to);
  }

  drag(event) {
    if (!this.dragging) return;
    const position = this.cells.buttons.indexOf(document.elementFromPoint(event.clientX, event.clientY));
    if (position >= 0) this.set(position, this.dragging.to);
  }

  end() {
    if (!this.dragging) return;
    this.dragging = null;
    this.complete();
  }

  set(position, erased) {
    this.erased[position] = Number(erased);
    this.showErased();
  }

  showErased() {
    const { side } = this.cells;
    const patch = this.canvas.width / side;
    const cell = (i) => Math.floor(i / this.canvas.width / patch) * side + Math.floor((i % this.canvas.width) / patch);
    putPixels(this.canvas, this.pixels, (i) => (this.erased[cell(i)] ? 0 : 1));
    this.erased.forEach((erased, position) => {
      const place = `Row ${Math.floor(position / side) + 1}, column ${(position % side) + 1}`;
      this.cells.say(position, `${place}: ${erased ? "erased" : "kept"}`);
    });
  }

  // Draws the erased codes anew, once for each mood. A later call ends an earlier one.
  async complete() {
    this.showErased();
    const turn = ++this.turn;
    find("completions").ariaBusy = "true";
    const number = this.erased.reduce((sum, x) => sum + x, 0);
    const known = this.erased.map((x) => 1 - x);
    const { prior, vqvae, labels } = this.models;
    for (let label = 0; label < labels.length; label++) {
      const codes = this.codes.slice();
      const uniforms = randomNumbers(1000 * this.seed + label, codes.length);
      let since = performance.now();
      let bits = 0;
      for (const { position, logits } of drawGrid(prior, label, codes, known, { temperature: 1, topP: 1 }, uniforms)) {
        if (!known[position]) bits += bitsOf(prior, logits, codes[position]);
        if (performance.now() - since < 12) continue;
        await moment();
        if (turn !== this.turn) return;
        since = performance.now();
      }
      putPixels(this.results[label].canvas, vqvae.decode(codes));
      this.results[label].caption.textContent = `${labels[label]}, ${bits.toFixed(1)} bits`;
    }
    find("complete-status").textContent = number
      ? `${number} of ${this.codes.length} codes are drawn anew, each given those before it; those after it are not looked at. ` +
        "Bits say how free the choice was: with 0 there was no other."
      : "Nothing is erased.";
    find("completions").ariaBusy = "false";
  }
}

// The third panel: a face of one's own, its codes, and what they keep of it.

const BRUSHES = [
  ["fine", 1],
  ["medium", 3],
  ["wide", 6],
];

class PaintPanel {
  constructor(models) {
    this.models = models;
    const side = models.prior.width;
    this.size = side * models.patches.shape[1];
    this.box = find("paint-board");
    this.canvas = addCanvas(this.box, this.size);
    this.brush = make("div", { className: "brush" });
    this.box.append(this.brush);
    Object.assign(this.box, { tabIndex: 0 });
    this.box.setAttribute("role", "application");
    this.box.setAttribute("aria-label", "A board of 32 by 32 pixels: arrow keys move the brush, Space paints");
    this.pair = new Pair(models, find("paint-face"), find("paint-codes"), "The codes of your face, 8 rows of 8");
    this.pixels = new Float64Array(3 * this.size ** 2);
    this.at = [this.size / 2, this.size / 2]; // row and column of the brush
    this.colour = 0;
    this.diameter = BRUSHES[1][1];
    this.makeTools();
    this.listen();
  }

  makeTools() {
    const names = Object.keys(this.models.colours);
    choices(find("colours"), "colour", names, (colour) => (this.colour = colour));
    find("colours")
      .querySelectorAll("label")
      .forEach((label, number) => {
        const [red, green, blue] = this.models.colours[names[number]];
        label.title = names[number];
        const square = label.querySelector("span");
        square.style.background = `rgb(${red} ${green} ${blue})`;
        square.replaceChildren(make("span", { className: "spoken", textContent: names[number] }));
      });
    choices(
      find("brushes"),
      "brush",
      BRUSHES.map(([name]) => name),
      (number) => {
        this.diameter = BRUSHES[number][1];
        this.showBrush();
      },
    );
    find("brushes").querySelectorAll("input")[1].checked = true;
  }

  listen() {
    this.box.addEventListener("pointerdown", (event) => {
      this.box.setPointerCapture(event.pointerId);
      this.at = this.pixelAt(event);
      this.stroke(this.at, this.at);
    });
    this.box.addEventListener("pointermove", (event) => {
      if (!this.box.hasPointerCapture(event.pointerId)) return;
      const to = this.pixelAt(event);
      this.stroke(this.at, to);
      this.at = to;
    });
    this.box.addEventListener("keydown", (event) => this.press(event));
    find("clear").addEventListener("click", () => {
      this.pixels.forEach((_, i) => (this.pixels[i] = this.chosen()[i % 3]));
      this.changed();
    });
  }

  // Begins with a picture.
  take(pixels) {
    this.pixels = pixels.slice();
    this.changed();
  }

  press(event) {
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] || [0, 0];
    const paints = event.key === " " || event.key === "Enter" || event.shiftKey;
    if (!down && !right && event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    const to = [between(this.at[0] + down, 0, this.size - 1), between(this.at[1] + right, 0, this.size - 1)];
    if (paints) this.stroke(this.at, to);
    this.at = to;
    this.showBrush();
    if (!paints) find("paint-status").textContent = `Brush at row ${to[0] + 1}, column ${to[1] + 1}.`;
  }

  showBrush() {
    const percent = 100 / this.size;
    Object.assign(this.brush.style, {
      top: `${percent * (this.at[0] - (this.diameter - 1) / 2)}%`,
      left: `${percent * (this.at[1] - (this.diameter - 1) / 2)}%`,
      width: `${percent * this.diameter}%`,
      height: `${percent * this.diameter}%`,
    });
  }

  pixelAt(event) {
    const { left, top, width } = this.box.getBoundingClientRect();
    const pixel = (x) => between(Math.floor((x / width) * this.size), 0, this.size - 1);
    return [pixel(event.clientY - top), pixel(event.clientX - left)];
  }

  chosen() {
    return Object.values(this.models.colours)[this.colour].map((x) => x / 255);
  }

  // A line with a round brush from the middle of one pixel to that of another.
  stroke(from, to) {
    const [down, right] = [to[0] - from[0], to[1] - from[1]];
    const length = Math.max(down ** 2 + right ** 2, 1);
    for (let i = 0; i < this.size ** 2; i++) {
      const [y, x] = [Math.floor(i / this.size) - from[0], (i % this.size) - from[1]];
      const along = between((y * down + x * right) / length, 0, 1);
      if (Math.hypot(y - along * down, x - along * right) < (this.diameter + 0.4) / 2) this.pixels.set(this.chosen(), 3 * i);
    }
    this.changed();
  }

  // Shows the board at once, and its codes with the next picture on the screen.
  changed() {
    putPixels(this.canvas, this.pixels);
    if (this.due) return;
    this.due = requestAnimationFrame(() => {
      this.due = null;
      this.codes = this.models.vqvae.encode(this.pixels, this.size);
      this.pair.show(this.codes);
      this.codes.forEach((code, position) => {
        const place = `Row ${Math.floor(position / this.pair.cells.side) + 1}, column ${(position % this.pair.cells.side) + 1}`;
        this.pair.cells.say(position, `${place}: code ${code}`);
      });
      const off = this.pixels.reduce((sum, x, i) => sum + Math.abs(x - this.pair.pixels[i]), 0) / this.pixels.length;
      find("paint-status").textContent =
        `${this.codes.length} codes, ${new Set(this.codes).size} different ones. ` +
        `What comes back is off by ${Math.round(255 * off)} of 255 on average.`;
    });
  }
}

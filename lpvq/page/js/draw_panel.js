// The first panel: a face is drawn, and the visitor interferes.

const CANDIDATES = 6;
const SECONDS = { first: 0.6, new: 1.6, after: 1.2, play: 5 }; // how long a whole face takes to appear

class DrawPanel {
  constructor(models, onFinished) {
    this.models = models;
    this.onFinished = onFinished;
    this.drawing = new Drawing(models.prior);
    this.count = this.drawing.codes.length;
    this.shown = 0;
    this.pair = new Pair(models, find("draw-face"), find("draw-codes"), "The codes of the face, 8 rows of 8");
    this.status = find("draw-status");
    this.makeCandidates();
    this.listen();
  }

  listen() {
    find("new").addEventListener("click", () => this.startFace(this.drawing.seed + 1));
    find("play").addEventListener("click", () => (this.playing ? this.stop() : this.play(SECONDS.play, this.shown % this.count)));
    find("step").addEventListener("input", (event) => this.goTo(Number(event.target.value)));
    choices(find("labels"), "label", this.models.labels, (label) => this.change({ label }));
    slider("temperature", (temperature) => this.change({ temperature }));
    slider("top-p", (topP) => this.change({ topP }));
    for (const cells of [this.pair.cells, this.pair.overFace]) {
      cells.on(["click"], (position) => position >= 0 && this.goTo(Math.min(position, this.drawing.done - 1)));
    }
    this.pair.cells.on(["focusin"], (position) => this.describe(position));
    find("draw").addEventListener("keydown", (event) => {
      const number = Number(event.key) - 1;
      if (!event.ctrlKey && !event.metaKey && !event.altKey && this.buttons[number]) this.take(number);
    });
  }

  makeCandidates() {
    this.buttons = Array.from({ length: CANDIDATES }, (_, number) => {
      const button = make("button", { type: "button", className: "candidate" });
      button.append(make("span"), make("div", { className: "bar" }, make("i")));
      addCanvas(button, this.models.patches.shape[1]).setAttribute("aria-hidden", "true");
      button.addEventListener("click", () => this.take(number));
      return button;
    });
    find("candidates").append(...this.buttons);
  }

  // Another face, drawn from the beginning.
  async startFace(seed, seconds = SECONDS.new) {
    this.drawing.seed = seed;
    this.drawing.own.clear();
    await this.draw(0, seconds);
  }

  // Draws what follows the first codes, and shows it as it comes.
  async draw(kept, seconds) {
    this.stop();
    find("draw-codes").ariaBusy = "true";
    const atOnce = !seconds || matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!atOnce) this.play(seconds, kept);
    if (!(await this.drawing.drawAfter(kept))) return; // something else is being drawn by now
    if (atOnce) this.goTo(this.count);
    find("draw-codes").ariaBusy = "false";
  }

  // Other settings: the same random numbers draw another face, which is shown as soon as it is there.
  change(settings) {
    Object.assign(this.drawing, settings);
    this.drawing.own.clear();
    this.draw(0, 0);
  }

  // Shows one code after another, at a pace at which all of them take so many seconds.
  play(seconds, from) {
    this.stop();
    const start = performance.now() - (1000 * seconds * from) / this.count;
    const step = () => {
      const due = Math.floor(((performance.now() - start) / 1000 / seconds) * this.count);
      const shown = Math.min(due, this.drawing.done);
      if (shown > this.shown || shown === from) this.show(shown);
      if (shown === this.count) this.stop();
      else this.playing = requestAnimationFrame(step);
    };
    this.shown = Math.min(from, this.drawing.done);
    this.playing = requestAnimationFrame(step);
    find("play").textContent = "Pause";
  }

  stop() {
    if (!this.playing) return;
    cancelAnimationFrame(this.playing);
    this.playing = null;
    find("play").textContent = "Play";
    this.show(this.shown);
  }

  goTo(shown) {
    this.stop();
    this.show(Math.min(shown, this.drawing.done));
  }

  // Shows the grid after so many codes, and what could come next.
  show(shown) {
    const { drawing, pair } = this;
    this.shown = shown;
    const next = Math.min(shown, this.count - 1);
    pair.show(drawing.codes, shown);
    pair.cells.mark("next", (position) => position === shown);
    pair.overFace.mark("next", (position) => position === shown);
    pair.cells.mark("own", (position) => position < shown && drawing.own.has(position));
    find("step").value = shown;
    find("step-said").textContent = `${shown} of ${this.count}`;
    find("candidates-title").textContent = shown < this.count ? `Code ${shown + 1} could be` : "The last code could have been";
    if (drawing.logits[next]) this.showCandidates(next);
    if (this.playing && shown < this.count) return; // nobody wants to hear each of them
    for (let position = 0; position < this.count; position++) pair.cells.say(position, this.told(position));
    this.status.textContent = this.summary();
    if (shown === this.count) this.onFinished(drawing);
  }

  showCandidates(position) {
    this.candidates = this.drawing.candidates(position, CANDIDATES);
    this.candidates.forEach(({ code, expected, drawn, there }, number) => {
      const button = this.buttons[number];
      putPatch(button.querySelector("canvas"), code, this.models.patches);
      button.querySelector("span").textContent = percent(drawn);
      button.querySelector("i").style.width = `${100 * drawn}%`;
      button.classList.toggle("out", drawn === 0);
      button.setAttribute("aria-pressed", there);
      const before = Math.abs(expected - drawn) > 0.0005 ? `, before temperature and top-p ${percent(expected)}` : "";
      button.setAttribute("aria-label", `Candidate ${number + 1}: code ${code}, ${percent(drawn)}${before}`);
      button.title = `Code ${code}: ${percent(drawn)}${before}`;
    });
  }

  // Takes a candidate, and draws what follows anew.
  take(number) {
    const position = Math.min(this.shown, this.count - 1);
    if (position >= this.drawing.done) return;
    this.drawing.write(position, this.candidates[number].code);
    this.draw(position + 1, SECONDS.after);
  }

  told(position) {
    const place = `Row ${Math.floor(position / this.pair.cells.side) + 1}, column ${(position % this.pair.cells.side) + 1}`;
    if (position >= this.shown) return `${place}: not drawn yet`;
    const own = this.drawing.own.has(position) ? ", your choice" : "";
    return `${place}: code ${this.drawing.codes[position]}${own}`;
  }

  describe(position) {
    if (position < 0 || position >= this.shown || this.playing) return;
    const { prior, logits, codes } = this.drawing;
    const share = frequencies(prior, logits[position], 1)[codes[position]] / prior.total;
    const pixels = this.pair.point(position);
    this.status.textContent = `${this.told(position)}. The model expected it with ${percent(share)}. It decides ${pixels} pixels.`;
  }

  summary() {
    const { drawing, shown, count } = this;
    const mood = this.models.labels[drawing.label];
    const own = drawing.own.size ? ` Chosen by you: ${drawing.own.size}.` : "";
    if (shown < count) return `A ${mood} face, ${shown} of ${count} codes.${own}`;
    const { prior, logits, codes } = drawing;
    const bits = codes.reduce((sum, code, position) => sum + bitsOf(prior, logits[position], code), 0);
    return `A ${mood} face. Its ${count} codes cost ${Math.round(bits)} bits in all: the less expected, the more.${own}`;
  }
}

function putPatch(canvas, code, patches) {
  const length = canvas.width ** 2 * 3;
  putPixels(canvas, Float64Array.from(patches.subarray(code * length, (code + 1) * length), (x) => x / 255));
}

// Radio buttons with these names; the first is chosen.
function choices(fieldset, name, texts, onChange) {
  texts.forEach((text, value) => {
    const input = make("input", { type: "radio", name, value, checked: value === 0 });
    input.addEventListener("change", () => onChange(value));
    fieldset.append(make("label", {}, input, make("span", { textContent: text })));
  });
}

function slider(id, onChange) {
  find(id).addEventListener("input", (event) => {
    find(`${id}-said`).textContent = event.target.value;
    onChange(Number(event.target.value));
  });
}

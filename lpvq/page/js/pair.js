// A face beside its codes. A code that is pointed at shows which pixels it decides: all others fade.

class Pair {
  constructor(models, faceBox, codesBox, title) {
    this.models = models;
    const side = models.prior.width;
    this.faceBox = faceBox;
    this.face = addCanvas(faceBox, side * models.patches.shape[1], "A face");
    this.mosaic = addCanvas(codesBox, this.face.width);
    this.mosaic.setAttribute("aria-hidden", "true");
    this.cells = new Cells(codesBox, side, title);
    this.overFace = new Cells(faceBox, side, null);
    this.codes = null;
    this.shown = 0;
    for (const cells of [this.cells, this.overFace]) cells.onPoint((position) => this.point(position));
  }

  // Shows the first `shown` codes of a grid, and the face that they make.
  show(codes, shown = codes.length) {
    this.codes = codes;
    this.shown = shown;
    // Where nothing is drawn yet, the first code goes on: it is a background.
    this.soFar = codes.map((code, position) => (position < shown ? code : codes[0]));
    this.pixels = this.models.vqvae.decode(this.soFar);
    this.putFace(() => 1);
    putCodes(this.mosaic, codes, this.models.patches, (position) => position < shown);
  }

  putFace(opacity) {
    const side = this.cells.side;
    const patch = this.face.width / side;
    const cell = (i) => Math.floor(i / this.face.width / patch) * side + Math.floor((i % this.face.width) / patch);
    putPixels(this.face, this.pixels, (i) => (cell(i) < this.shown ? opacity(i) : 0));
  }

  // Shows what a code decides: how the face changes if it said nothing. Returns how many pixels change; −1 shows all.
  point(position) {
    if (!this.codes) return 0;
    const decides = position >= 0 && position < this.shown;
    for (const cells of [this.cells, this.overFace]) cells.mark("pointed", (at) => decides && at === position);
    this.faceBox.classList.toggle("pointing", decides);
    if (!decides) {
      this.putFace(() => 1);
      return 0;
    }
    const without = this.soFar.slice();
    without[position] = -1;
    const changed = changes(this.pixels, this.models.vqvae.decode(without));
    this.putFace((i) => 0.12 + 0.88 * changed[i]);
    return changed.filter((change) => change > 0.5).length;
  }
}

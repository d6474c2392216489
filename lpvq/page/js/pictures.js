// Pixels on a canvas. Pixels are numbers in [0, 1], row by row, three for each; a canvas has as many pixels as a picture.

function addCanvas(box, size, text) {
  const canvas = make("canvas", { width: size, height: size });
  if (text) {
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", text);
  }
  box.prepend(canvas);
  return canvas;
}

// `opacity` gives each pixel's, from 0 to 1; all are opaque where it is left out.
function putPixels(canvas, pixels, opacity = () => 1) {
  const size = canvas.width;
  const data = new ImageData(size, size);
  for (let i = 0; i < size * size; i++) {
    for (let channel = 0; channel < 3; channel++) data.data[4 * i + channel] = 255 * pixels[3 * i + channel] + 0.5;
    data.data[4 * i + 3] = 255 * opacity(i);
  }
  canvas.getContext("2d").putImageData(data, 0, 0);
}

// The patches that codes stand for, side by side; nothing where `shown` is false.
function putCodes(canvas, codes, patches, shown = () => true) {
  const [, patch] = patches.shape;
  const side = canvas.width / patch;
  const pixels = new Float64Array(3 * canvas.width ** 2);
  const at = (i) => Math.floor(i / canvas.width / patch) * side + Math.floor((i % canvas.width) / patch);
  for (let i = 0; i < canvas.width ** 2; i++) {
    const inPatch = (Math.floor(i / canvas.width) % patch) * patch + ((i % canvas.width) % patch);
    for (let channel = 0; channel < 3; channel++) {
      pixels[3 * i + channel] = patches[(codes[at(i)] * patch * patch + inPatch) * 3 + channel] / 255;
    }
  }
  putPixels(canvas, pixels, (i) => (shown(at(i)) ? 1 : 0));
}

// How much each pixel changes between two pictures: 0 where not at all, 1 where clearly.
function changes(before, after) {
  return Float64Array.from({ length: before.length / 3 }, (_, i) => {
    const most = Math.max(...[0, 1, 2].map((channel) => Math.abs(before[3 * i + channel] - after[3 * i + channel])));
    return Math.min(1, 8 * most);
  });
}

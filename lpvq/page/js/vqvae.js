// The VQ-VAE in floating-point numbers: from pixels to codes, and from codes to pixels.
//
// A picture, or features, is one array: row by row, column by column, channels last. Its border is continued outwards.

class Vqvae {
  constructor(facts, arrays) {
    const read = (list, name) =>
      list.map((layer, number) => {
        const path = `${name}.${number}`;
        const layers = layer.layers && read(layer.layers, `${path}.layers`);
        return { ...layer, layers, weight: scaledRows(arrays, path), bias: arrays[`${path}.bias`] };
      });
    this.encoder = read(facts.encoder, "encoder");
    this.decoder = read(facts.decoder, "decoder");
    this.codebook = Float64Array.from(arrays.codebook, (x) => x * arrays.codebook_step[0]);
    this.rates = arrays.rates; // what the name of each code costs, in squared distances
    this.dimension = arrays.codebook.shape[1];
    // What stands for a code that is not there: the mean of all.
    this.mean = new Float64Array(this.dimension);
    this.codebook.forEach((x, i) => (this.mean[i % this.dimension] += x / this.rates.length));
  }

  // Pixels in [0, 1], (size · size · 3), to codes.
  encode(pixels, size) {
    const z = run(this.encoder, { data: pixels, size, channels: 3 });
    return Int32Array.from({ length: z.size * z.size }, (_, position) => this.nearest(z.data, position * z.channels));
  }

  nearest(z, at) {
    const { codebook, rates, dimension } = this;
    let best = 0;
    let least = Infinity;
    for (let code = 0; code < rates.length; code++) {
      let cost = rates[code];
      for (let i = 0; i < dimension; i++) cost += (z[at + i] - codebook[code * dimension + i]) ** 2;
      if (cost < least) [best, least] = [code, cost];
    }
    return best;
  }

  // Codes to pixels in [0, 1]. A code of −1 says nothing.
  decode(codes) {
    const { codebook, dimension, mean } = this;
    const vectors = new Float64Array(codes.length * dimension);
    codes.forEach((code, position) => {
      const vector = code < 0 ? mean : codebook.subarray(code * dimension, (code + 1) * dimension);
      vectors.set(vector, position * dimension);
    });
    const picture = run(this.decoder, { data: vectors, size: Math.sqrt(codes.length), channels: dimension });
    return picture.data.map((x) => Math.max(0, Math.min(1, x)));
  }
}

// Weights as they were before they were packed: whole numbers times a step for each row.
function scaledRows(arrays, path) {
  const whole = arrays[`${path}.weight`];
  if (!whole) return null;
  const steps = arrays[`${path}.step`];
  const inputs = whole.length / steps.length;
  return Float64Array.from(whole, (x, i) => x * steps[Math.floor(i / inputs)]);
}

function run(layers, features) {
  return layers.reduce((x, layer) => LAYERS[layer.kind](x, layer), features);
}

const LAYERS = {
  relu: (x) => ({ ...x, data: x.data.map((value) => Math.max(value, 0)) }),
  residual: (x, { layers }) => {
    const change = run(layers, x).data;
    return { ...x, data: x.data.map((value, i) => value + change[i]) };
  },
  convolution: (x, { weight, bias, kernel, stride, padding }) => {
    const size = (x.size + 2 * padding - kernel) / stride + 1;
    const out = { data: new Float64Array(size * size * bias.length), size, channels: bias.length };
    const from = continued(x, padding);
    eachPosition(size, (row, column, at) =>
      convolveAt(from, row * stride, column * stride, kernel, weight, 0, bias, out.data, at * bias.length),
    );
    return out;
  },
  // A transposed convolution to twice the size: of each two rows and columns, one of four convolutions with a kernel of 2.
  upsampling: (x, { weight, bias }) => {
    const size = 2 * x.size;
    const out = { data: new Float64Array(size * size * bias.length), size, channels: bias.length };
    const from = continued(x, 1);
    const part = weight.length / 4;
    eachPosition(size, (row, column, at) => {
      const number = 2 * (row % 2) + (column % 2);
      const [top, left] = [(row + 1) >> 1, (column + 1) >> 1];
      convolveAt(from, top, left, 2, weight, number * part, bias, out.data, at * bias.length);
    });
    return out;
  },
};

function eachPosition(size, visit) {
  for (let row = 0; row < size; row++) for (let column = 0; column < size; column++) visit(row, column, row * size + column);
}

// One position: out = bias + weight · what the kernel sees, each of its rows one run of numbers.
function convolveAt(from, top, left, kernel, weight, first, bias, out, to) {
  const run = kernel * from.channels;
  for (let channel = 0, w = first; channel < bias.length; channel++) {
    let sum = bias[channel];
    for (let row = 0; row < kernel; row++) {
      let at = ((top + row) * from.size + left) * from.channels;
      for (const end = at + run; at < end; at++, w++) sum += weight[w] * from.data[at];
    }
    out[to + channel] = sum;
  }
}

// The same features with `padding` more on each side, copies of the border.
function continued({ data, size, channels }, padding) {
  if (!padding) return { data, size, channels };
  const wide = size + 2 * padding;
  const out = new Float64Array(wide * wide * channels);
  const inside = (i) => Math.max(0, Math.min(size - 1, i - padding));
  eachPosition(wide, (row, column, at) => {
    const from = (inside(row) * size + inside(column)) * channels;
    out.set(data.subarray(from, from + channels), at * channels);
  });
  return { data: out, size: wide, channels };
}

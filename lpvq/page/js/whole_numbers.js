// Arithmetic in which nothing is rounded by the machine; see lpvq/models/whole_number.py.
//
// A matrix holds small whole numbers and a power of two for each row. Products are added up as 32-bit whole
// numbers; what is added to that are multiples of small powers of two, which a double holds exactly.

class Matrix {
  constructor(arrays, name) {
    this.weight = arrays[`${name}.weight`];
    [this.outputs, this.inputs] = this.weight.shape;
    this.scale = Float64Array.from(arrays[`${name}.exponent`], (exponent) => 2 ** exponent);
    // A bias is so many of the smallest steps that its row can have: half of a unit at most.
    const bias = arrays[`${name}.bias`];
    this.bias = bias && Float64Array.from(bias, (x, row) => x * Math.min(0.5, this.scale[row]));
  }

  // Adds to `out` the products with `count` numbers of x from `at` on, which meet the columns from `first` on.
  // Four rows at a time: each number of x is read once for all of them.
  add(x, at, count, first, out) {
    const { weight, inputs, outputs, scale } = this;
    for (let row = 0; row < outputs; row += 4) {
      let a = row * inputs + first;
      let b = a + inputs;
      let c = b + inputs;
      let d = c + inputs;
      let [sumA, sumB, sumC, sumD] = [0, 0, 0, 0];
      for (let i = at, end = at + count; i < end; i++) {
        const factor = x[i];
        sumA = (sumA + Math.imul(weight[a++], factor)) | 0;
        sumB = (sumB + Math.imul(weight[b++], factor)) | 0;
        sumC = (sumC + Math.imul(weight[c++], factor)) | 0;
        sumD = (sumD + Math.imul(weight[d++], factor)) | 0;
      }
      out[row] += scale[row] * sumA;
      out[row + 1] += scale[row + 1] * sumB;
      out[row + 2] += scale[row + 2] * sumC;
      out[row + 3] += scale[row + 3] * sumD;
    }
  }
}

// Rounds down to whole numbers, cut off at ± largest.
function whole(x, largest, out) {
  for (let i = 0; i < out.length; i++) out[i] = Math.max(-largest, Math.min(largest, Math.floor(x[i])));
  return out;
}

// tanh(a) · σ(b), looked up: x holds 2a, then b; table the function τ(x) = tanh(x / 2) in the middle of its entries.
function gate(x, at, channels, table, out, to = 0) {
  const half = table.length / 2;
  const tau = (value) => table[Math.floor(Math.max(-half, Math.min(half - 1, value))) + half];
  for (let i = 0; i < channels; i++) {
    const a = tau(x[at + i]) / 8;
    const b = tau(x[at + channels + i]) / 8;
    out[to + i] = Math.floor(a + (a * b) / 256 + 0.5);
  }
}

// exp(−x) as the table has it.
function falling(below, table) {
  return table[Math.min(below, table.length - 1)];
}

// a / b, rounded to a whole number.
function roundedQuotient(a, b) {
  return Math.floor((2 * a + b) / (2 * b));
}

// A table that goes on as its first two entries do, but for what is kept of how far it is off.
function seriesOf(arrays, name) {
  const [first, second] = arrays[`${name}.first`];
  const off = arrays[`${name}.off`];
  const table = new Float64Array(2 + off.length);
  table.set([first, second]);
  for (let i = 2; i < table.length; i++) table[i] = Math.floor((table[i - 1] * second) / first + 0.5) + off[i - 2];
  return table;
}

// The largest whole number whose square is at most this.
function wholeRoot(square) {
  let root = Math.floor(Math.sqrt(square));
  if (root * root > square) root -= 1;
  if ((root + 1) * (root + 1) <= square) root += 1;
  return root;
}

// The prior, one code at a time, each feature computed once; see lpvq/models/whole_number_sampler.py.
//
// Vertical stack, links, keys and values are computed row by row, the horizontal stack code by code. All that is fed to
// a matrix is a whole number; positions lie one after another, channels last, so what a kernel sees of a row is one run
// of numbers.

class Prior {
  constructor(facts, arrays) {
    Object.assign(this, facts); // sizes, and the largest numbers that each kind of feature may be
    const matrix = (name) => new Matrix(arrays, name);
    this.vectors = arrays.vectors;
    this.verticalInput = matrix("vertical_input");
    this.horizontalInput = matrix("horizontal_input");
    this.inner = matrix("inner");
    this.outer = matrix("outer");
    this.gateTable = arrays.gate_table;
    this.weightTable = seriesOf(arrays, "weight_table");
    this.frequencyTable = seriesOf(arrays, "frequency_table");
    this.layers = Array.from({ length: facts.blocks }, (_, number) => {
      const name = `layers.${number}`;
      return {
        vertical: matrix(`${name}.vertical`),
        link: matrix(`${name}.link`),
        horizontal: matrix(`${name}.horizontal`),
        output: matrix(`${name}.output`),
        linkScale: 2 ** arrays[`${name}.link_shift`][0],
        shifts: ["label", "row", "column"].map((what) => arrays[`${name}.${what}_shifts`]),
        attention: facts.attentions.includes(number) ? this.readAttention(arrays, `${name}.attention`) : null,
      };
    });
  }

  readAttention(arrays, name) {
    const places = (what) => ["rows", "columns"].map((axis) => arrays[`${name}.${what}_${axis}`]);
    return {
      query: new Matrix(arrays, `${name}.query`),
      keyValue: new Matrix(arrays, `${name}.key_value`),
      output: new Matrix(arrays, `${name}.output`),
      queryPlaces: places("query"),
      keyValuePlaces: places("key_value"),
      nothing: arrays[`${name}.nothing`],
      alike: Float64Array.from(arrays[`${name}.alike`], (exponent) => 2 ** exponent),
      epsilon: arrays[`${name}.epsilon`][0],
      scoreScale: 2 ** arrays[`${name}.score_shift`][0],
    };
  }
}

// Gives the logits of one position after another of a grid with this label.
class Sampler {
  constructor(prior, label) {
    this.prior = prior;
    this.label = label;
    const { channels, reach, width, height } = prior;
    this.rowLength = (width + 2 * reach) * channels;
    this.embedded = new Int32Array(reach * this.rowLength); // the codes' vectors in the rows above
    this.layers = prior.layers.map((layer) => ({
      ...layer,
      seen: new Int32Array((reach + 1) * this.rowLength), // vertical features of these rows
      links: new Float64Array(width * 2 * channels), // what they give to the horizontal stack
      left: new Int32Array((reach + width) * channels), // horizontal features of this row
      attention: layer.attention && new CachedAttention(prior, layer.attention, height, width),
    }));
    this.doneRows = this.doneColumns = 0;
  }

  // Returns logits in 1/256 nats for a position, of which all codes before it are final. Positions come in rising order.
  logitsAt(codes, row, column) {
    const { prior } = this;
    for (; this.doneRows <= row; this.doneRows++) {
      this.runVerticalStack(codes, this.doneRows);
      this.doneColumns = 0;
    }
    let h;
    for (; this.doneColumns <= column; this.doneColumns++) h = this.runHorizontalStack(codes, row, this.doneColumns);
    const features = whole(h, prior.largest.features, new Int32Array(h.length)).map((x) => Math.max(x, 0));
    const hidden = prior.inner.bias.slice();
    prior.inner.add(features, 0, features.length, 0, hidden);
    const cut = whole(hidden, prior.largest.hidden, new Int32Array(hidden.length)).map((x) => Math.max(x, 0));
    const logits = prior.outer.bias.slice();
    prior.outer.add(cut, 0, cut.length, 0, logits);
    return logits.map(Math.floor);
  }

  runVerticalStack(codes, row) {
    const { channels, reach, width, largest, verticalInput, gateTable } = this.prior;
    let above = null;
    if (row > 0) {
      above = new Int32Array(width * channels);
      for (let column = 0; column < width; column++) this.copyVector(codes[(row - 1) * width + column], above, column);
      this.push(this.embedded, above);
    }
    let v = new Int32Array(width * channels);
    for (let column = 0; column < width; column++) {
      const sum = verticalInput.bias.slice();
      this.addWindow(verticalInput, this.embedded, reach, column, sum);
      whole(sum, largest.gated, v.subarray(column * channels, (column + 1) * channels));
    }
    for (const layer of this.layers) {
      this.push(layer.seen, v);
      v = new Int32Array(width * channels);
      for (let column = 0; column < width; column++) {
        const features = layer.vertical.bias.slice();
        this.addWindow(layer.vertical, layer.seen, reach + 1, column, features);
        const scaled = features.map((x) => x * layer.linkScale);
        const cut = whole(scaled, largest.features, new Int32Array(2 * channels));
        const links = layer.links.subarray(column * 2 * channels, (column + 1) * 2 * channels);
        links.set(layer.link.bias);
        layer.link.add(cut, 0, cut.length, 0, links);
        this.addShifts(layer, row, column, features, links);
        gate(features, 0, channels, gateTable, v, column * channels);
      }
      if (layer.attention) layer.attention.beginRow(v, above);
    }
  }

  runHorizontalStack(codes, row, column) {
    const { channels, reach, width, largest, horizontalInput, gateTable } = this.prior;
    const h = horizontalInput.bias.slice();
    const vector = new Int32Array(channels);
    for (let tap = 0; tap < reach; tap++) {
      const neighbour = column - reach + tap;
      if (neighbour < 0) continue;
      this.copyVector(codes[row * width + neighbour], vector, 0);
      horizontalInput.add(vector, 0, channels, tap * channels, h);
    }
    const gated = new Int32Array(channels);
    for (const layer of this.layers) {
      whole(h, largest.features, layer.left.subarray((reach + column) * channels, (reach + column + 1) * channels));
      const mixed = layer.links.slice(column * 2 * channels, (column + 1) * 2 * channels);
      layer.horizontal.add(layer.left, column * channels, (reach + 1) * channels, 0, mixed);
      gate(mixed, 0, channels, gateTable, gated);
      layer.output.add(gated, 0, channels, 0, h);
      if (layer.attention) layer.attention.addFound(whole(h, largest.features, new Int32Array(channels)), column, h);
    }
    return h;
  }

  copyVector(code, to, column) {
    const { channels, vectors } = this.prior;
    to.set(vectors.subarray(code * channels, (code + 1) * channels), column * channels);
  }

  // All rows of what a kernel sees move up by one, and the new one comes in below.
  push(seen, row) {
    seen.copyWithin(0, this.rowLength);
    seen.set(row, seen.length - this.rowLength + this.prior.reach * this.prior.channels);
  }

  // What a kernel as wide as the reach makes of `rows` rows around a column.
  addWindow(matrix, seen, rows, column, out) {
    const { channels, reach } = this.prior;
    const count = (2 * reach + 1) * channels;
    for (let row = 0; row < rows; row++) {
      matrix.add(seen, row * this.rowLength + column * channels, count, row * count, out);
    }
  }

  // What label, row and column add before the vertical and the horizontal gate.
  addShifts({ shifts }, row, column, vertical, horizontal) {
    const half = vertical.length;
    [this.label, row, column].forEach((index, number) => {
      const table = shifts[number];
      if (!table) return;
      const at = index * 2 * half;
      for (let i = 0; i < half; i++) {
        vertical[i] += table[at + i] / 2;
        horizontal[i] += table[at + half + i] / 2;
      }
    });
  }
}

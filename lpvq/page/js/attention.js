// Attention to the rows above, which is given row after row and asks for one position of the newest row at a time.

class CachedAttention {
  constructor(prior, layer, height, width) {
    Object.assign(this, layer);
    const { channels, heads, largest, weightTable } = prior;
    Object.assign(this, { channels, heads, largest, weightTable, width, row: -1, v: null });
    this.keys = new Int32Array((1 + height * width) * channels); // first those of nothing, then position by position
    this.values = new Int32Array(this.keys.length);
    this.keys.set(this.nothing.subarray(0, channels));
    this.values.set(this.nothing.subarray(channels));
  }

  // Takes in the next row's vertical features, and the vectors of the codes above it.
  beginRow(v, above) {
    const { channels, width } = this;
    for (let column = 0; above && column < width; column++) {
      const both = this.keyValue.bias.slice();
      this.keyValue.add(this.v, column * channels, channels, 0, both);
      this.keyValue.add(above, column * channels, channels, channels, both);
      this.addPlace(this.keyValuePlaces, this.row, column, both);
      const cut = whole(both, this.largest.asked, new Int32Array(2 * channels));
      const at = (1 + this.row * width + column) * channels;
      this.keys.set(cut.subarray(0, channels), at);
      this.values.set(cut.subarray(channels), at);
    }
    this.row += 1;
    this.v = v;
  }

  // Adds to out what is found in the rows above for one position, whose horizontal features are given.
  addFound(h, column, out) {
    const queries = this.query.bias.slice();
    this.query.add(this.normalised(h), 0, this.channels, 0, queries);
    this.addPlace(this.queryPlaces, this.row, column, queries);
    const asked = whole(queries, this.largest.asked, new Int32Array(this.channels));
    const found = new Int32Array(this.channels);
    const size = this.channels / this.heads;
    for (let first = 0; first < this.channels; first += size) this.ask(asked, first, size, found);
    this.output.add(found, 0, this.channels, 0, out);
  }

  normalised(h) {
    const { channels } = this;
    const alike = Float64Array.from(h, (x, i) => x * this.alike[i]);
    const sum = alike.reduce((total, x) => total + x, 0);
    const different = alike.map((x) => channels * x - sum); // as many times the difference from their mean
    const root = wholeRoot(different.reduce((total, x) => total + x * x, 0) + this.epsilon);
    return Int32Array.from(different, (x) => roundedQuotient(this.largest.normalised * x, root));
  }

  // The mean of the values of one head, weighed by how well the keys answer.
  ask(queries, first, size, found) {
    const { channels, keys, values } = this;
    const positions = 1 + this.row * this.width;
    const scores = new Float64Array(positions);
    for (let position = 0; position < positions; position++) {
      for (let i = first; i < first + size; i++) scores[position] += queries[i] * keys[position * channels + i];
    }
    const best = scores.reduce((most, score) => Math.max(most, score));
    const weights = scores.map((score) => falling(Math.floor((best - score) * this.scoreScale), this.weightTable));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let i = first; i < first + size; i++) {
      let sum = 0;
      for (let position = 0; position < positions; position++) sum += weights[position] * values[position * channels + i];
      found[i] = roundedQuotient(sum, total);
    }
  }

  addPlace([rows, columns], row, column, out) {
    const length = out.length;
    for (let i = 0; i < length; i++) out[i] += (rows[row * length + i] + columns[column * length + i]) / 2;
  }
}

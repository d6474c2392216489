// A grid that is drawn: the codes, what the prior said of each, and drawing anew from any of them.

class Drawing {
  constructor(prior) {
    this.prior = prior;
    const count = prior.width * prior.height;
    this.codes = new Int32Array(count);
    this.logits = new Array(count);
    this.own = new Set(); // positions that the visitor chose
    this.done = 0; // how many codes are final
    Object.assign(this, { label: 0, seed: 1, temperature: 1, topP: 1, turn: 0 });
  }

  // Draws all codes after the first `kept` ones, a few at a time; calls back between. A later call ends an earlier one.
  async drawAfter(kept, progress = () => {}) {
    const turn = ++this.turn;
    this.own = new Set([...this.own].filter((position) => position < kept));
    this.done = Math.min(this.done, kept);
    const known = this.codes.map((_, position) => (position < kept ? 1 : 0));
    const uniforms = randomNumbers(this.seed, this.codes.length);
    let since = performance.now();
    for (const { position, logits } of drawGrid(this.prior, this.label, this.codes, known, this, uniforms)) {
      this.logits[position] = logits;
      this.done = Math.max(this.done, position + 1);
      if (performance.now() - since < 12) continue;
      progress();
      await moment();
      if (turn !== this.turn) return false;
      since = performance.now();
    }
    progress();
    return true;
  }

  // Writes another code at a position.
  write(position, code) {
    this.codes[position] = code;
    this.own.add(position);
  }

  // The most probable codes of a position, with the one that is there among them: what the prior gives each, and what
  // it is drawn with after temperature and top-p. Most probable first.
  candidates(position, count) {
    const logits = this.logits[position];
    const share = (shares) => {
      const all = shares.reduce((sum, x) => sum + x, 0);
      return shares.map((x) => x / all);
    };
    const expected = share(frequencies(this.prior, logits, 1));
    const drawn = this.temperature === 0 ? null : share(restricted(frequencies(this.prior, logits, this.temperature), this.topP));
    const order = Array.from(expected.keys()).sort((a, b) => expected[b] - expected[a]);
    const listed = order.slice(0, count);
    const there = this.codes[position];
    if (!listed.includes(there)) listed[count - 1] = there;
    return listed.map((code) => ({
      code,
      expected: expected[code],
      drawn: drawn ? drawn[code] : Number(code === order[0]),
      there: code === there,
    }));
  }
}

// Lets the browser show what has changed and hear what was pressed.
function moment() {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(null);
  });
}

// What a code costs at a place with these logits, in bits: the less it was expected, the more.
function bitsOf(prior, logits, code) {
  return -Math.log2(frequencies(prior, logits, 1)[code] / prior.total);
}

function percent(x) {
  if (x >= 0.0995) return `${Math.round(100 * x)} %`;
  return x >= 0.0005 || x === 0 ? `${(100 * x).toFixed(1)} %` : "<0.1 %";
}

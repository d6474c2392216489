// From logits to a code, and from code to code; see WholeNumberPixelCNN.draw and lpvq/models/sampling.py.

// How often each code occurs in prior.total cases, at least once each, before top-p.
function frequencies(prior, logits, temperature) {
  const { total, frequencyTable } = prior;
  const highest = logits.reduce((most, logit) => Math.max(most, logit));
  const factor = Math.min(roundedToEven(2 ** 16 / Math.max(temperature, 1e-9)), 2 ** 28);
  const weights = logits.map((logit) => {
    const below = highest - logit;
    return falling(temperature === 1 ? below : Math.floor((below * factor) / 2 ** 16), frequencyTable);
  });
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const shares = weights.map((weight) => Math.floor((weight * (total - weights.length)) / sum) + 1);
  // What rounding down has left over goes to the most probable code, the first of several.
  shares[weights.indexOf(weights.reduce((most, weight) => Math.max(most, weight)))] +=
    total - shares.reduce((all, share) => all + share, 0);
  return shares;
}

// Frequencies of the codes that top-p leaves, 0 for the others: the most probable ones that together reach it.
function restricted(shares, topP) {
  if (topP >= 1) return shares;
  const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a]); // of equals, the first stays first
  const reached = shares.reduce((all, share) => all + share, 0) * topP;
  const kept = new Float64Array(shares.length);
  let before = 0;
  for (const code of order) {
    if (before > 0 && before >= reached) break;
    kept[code] = shares[code];
    before += shares[code];
  }
  return kept;
}

// The code that a random number in [0, 1) falls on, on a line on which each has the length of its frequency.
function drawCode(prior, logits, { temperature, topP }, uniform) {
  if (temperature === 0) return logits.indexOf(logits.reduce((most, logit) => Math.max(most, logit)));
  const shares = restricted(frequencies(prior, logits, temperature), topP);
  const fallenOn = Math.floor(uniform * shares.reduce((all, share) => all + share, 0));
  let end = 0;
  return shares.findIndex((share) => (end += share) > fallenOn);
}

// Draws the codes of a grid that are not known, in place, and yields each position with its logits.
function* drawGrid(prior, label, codes, known, options, uniforms) {
  const sampler = new Sampler(prior, label);
  for (let position = 0; position < codes.length; position++) {
    const logits = sampler.logitsAt(codes, Math.floor(position / prior.width), position % prior.width);
    if (!known[position]) codes[position] = drawCode(prior, logits, options, uniforms[position]);
    yield { position, logits };
  }
}

// Python rounds halves so.
function roundedToEven(x) {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

// Random numbers of 24 bits in [0, 1), as many as a grid has positions: the same for the same seed (mulberry32).
function randomNumbers(seed, count) {
  let state = seed;
  return Float64Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 8) / 2 ** 24;
  });
}

// From the text that holds the models to arrays of numbers.
//
// The text is base 85: five characters for four bytes, most significant first. The bytes are gzip; in them, the length of
// a header, the header as JSON, and the numbers of one array after another. An array is cut in two where that packs better:
// `low` bits of each number, packed eight to a byte, and above them what is left, as signed bytes; and factors of two that
// all of its numbers have are left out.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

function bytesOf(text) {
  const digits = new Uint8Array(128);
  [...DIGITS].forEach((digit, value) => (digits[digit.charCodeAt(0)] = value));
  const bytes = new Uint8Array((text.length / 5) * 4);
  for (let from = 0, to = 0; from < text.length; from += 5, to += 4) {
    let word = 0;
    for (let i = 0; i < 5; i++) word = word * 85 + digits[text.charCodeAt(from + i)];
    bytes[to] = word >>> 24;
    bytes[to + 1] = word >>> 16;
    bytes[to + 2] = word >>> 8;
    bytes[to + 3] = word;
  }
  return bytes;
}

async function unzipped(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Returns the header; its `arrays` are the numbers by name, each with its `shape`.
async function unpack(text) {
  const packed = bytesOf(text);
  const size = new DataView(packed.buffer).getUint32(0, true);
  const bytes = await unzipped(packed.subarray(4, 4 + size));
  const view = new DataView(bytes.buffer);
  const start = 4 + view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
  const arrays = {};
  let at = start;
  for (const { name, shape, type, low, twos } of header.arrays) {
    const count = shape.reduce((product, length) => product * length, 1);
    const lowBytes = Math.ceil((count * low) / 8);
    const { numbers, bytesRead } = READERS[type](bytes, at + lowBytes, count);
    if (low || twos) joinLowBits(numbers, bytes, at, low, 2 ** twos);
    arrays[name] = numbers;
    numbers.shape = shape;
    at += lowBytes + bytesRead;
  }
  return { ...header, arrays };
}

function joinLowBits(numbers, bytes, at, low, factor) {
  for (let index = 0, bit = 0; index < numbers.length; index++) {
    let value = 0;
    for (let i = 0; i < low; i++, bit++) value = 2 * value + ((bytes[at + (bit >> 3)] >> (7 - (bit & 7))) & 1);
    numbers[index] = (numbers[index] * 2 ** low + value) * factor;
  }
}

const READERS = {
  int8: (bytes, at, count) => ({ numbers: new Int8Array(bytes.buffer.slice(at, at + count)), bytesRead: count }),
  uint8: (bytes, at, count) => ({ numbers: bytes.slice(at, at + count), bytesRead: count }),
  // Larger whole numbers: what is read here stands above their low bits.
  int16: (bytes, at, count) => ({ numbers: Int16Array.from(new Int8Array(bytes.buffer, at, count)), bytesRead: count }),
  int32: (bytes, at, count) => ({ numbers: Int32Array.from(new Int8Array(bytes.buffer, at, count)), bytesRead: count }),
  float64: (bytes, at, count) => ({
    numbers: Float64Array.from(new Float32Array(bytes.buffer.slice(at, at + 4 * count))),
    bytesRead: 4 * count,
  }),
};

/**
 * A blocked bloom filter over the keys of a section: about 10 bits a key, six probes, all of them
 * in the one 64-byte line that the hash picks. One key in about a hundred that is absent passes.
 *
 * On disk: the words, little-endian; their number follows from the length and is a multiple of 16.
 */
const LINE_WORDS = 16;
const LINE_BITS = 512;
const BITS_PER_KEY = 10;
const PROBES = 6;

/** The words of a filter for these hashes. */
export function buildFilter(hashes: Uint32Array, count: number): Int32Array {
  const lineCount = Math.max(1, Math.ceil((count * BITS_PER_KEY) / LINE_BITS));
  const words = new Int32Array(lineCount * LINE_WORDS);
  for (let i = 0; i < count; i++) {
    const hash = hashes[i]!;
    const line = lineOf(hash, lineCount) * LINE_WORDS;
    let probe = Math.imul(hash, 0x9e37_79b1);
    for (let j = 0; j < PROBES; j++) {
      const bit = probe >>> 23;
      words[line + (bit >>> 5)]! |= 1 << (bit & 31);
      probe = Math.imul(probe, 0x85eb_ca6b) + 0x6a09_e667;
    }
  }
  return words;
}

/** False where no key of this hash was added. */
export function mayContain(words: Int32Array, hash: number): boolean {
  const line = lineOf(hash, words.length / LINE_WORDS) * LINE_WORDS;
  let probe = Math.imul(hash, 0x9e37_79b1);
  for (let j = 0; j < PROBES; j++) {
    const bit = probe >>> 23;
    if ((words[line + (bit >>> 5)]! & (1 << (bit & 31))) === 0) return false;
    probe = Math.imul(probe, 0x85eb_ca6b) + 0x6a09_e667;
  }
  return true;
}

/** Whether words of this length can be a filter at all. */
export function isFilterLength(wordCount: number): boolean {
  return wordCount > 0 && wordCount % LINE_WORDS === 0;
}

function lineOf(hash: number, lineCount: number): number {
  return Math.floor((hash / 0x1_0000_0000) * lineCount);
}

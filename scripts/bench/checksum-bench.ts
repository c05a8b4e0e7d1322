/**
 * What the two checksums of a batch's payload cost, by size, and what it costs to find a flipped
 * bit. Each is told as the fastest of several rounds: the others were disturbed.
 */
import { performance } from "node:perf_hooks";
import { crc32 } from "../../src/base/checksum.js";
import {
  checkPayload,
  flipBit,
  mixedChecksum,
  writePayloadSums,
} from "../../src/log/payload-check.js";

const SIZES_BYTES = [128, 1024, 16 * 1024, 256 * 1024] as const;
const BYTES_A_ROUND = 1024 * 1024;
const ROUNDS = 200;

/** Measures; there is nothing to set. Returns the exit code. */
export function checksumBench(args: readonly string[]): Promise<number> {
  if (args.length > 0) {
    console.log("Usage: npm run -s bench -- checksum");
    return Promise.resolve(args[0] === "--help" ? 0 : 2);
  }
  const buffer = Uint8Array.from({ length: SIZES_BYTES.at(-1)! }, (_, i) => Math.imul(i, i) >> 3);
  console.log("checksum       bytes   ns a call   ns a byte");
  for (const size of SIZES_BYTES) {
    const payload = buffer.subarray(0, size);
    const calls = Math.ceil(BYTES_A_ROUND / size);
    print(
      "CRC-32",
      size,
      fastestNs(calls, () => crc32(payload)),
    );
    print(
      "second",
      size,
      fastestNs(calls, () => mixedChecksum(payload)),
    );
  }
  const ns = fastestNs(1, findFlipped(buffer));
  print("flipped bit", buffer.length, ns);
  return Promise.resolve(0);
}

/** The bit that is found last: the walk begins at the end. */
function findFlipped(buffer: Uint8Array): () => unknown {
  const sums = new Uint8Array(8);
  writePayloadSums(sums, 0, buffer, 1, 4096);
  flipBit(buffer, 0);
  return () => checkPayload(buffer, 1, 4096, sums, 0);
}

function fastestNs(calls: number, call: () => unknown): number {
  let fastest = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    for (let i = 0; i < calls; i++) call();
    fastest = Math.min(fastest, ((performance.now() - startMs) * 1e6) / calls);
  }
  return fastest;
}

function print(name: string, bytes: number, ns: number): void {
  const cells = [String(bytes).padStart(8), ns.toFixed(0).padStart(12), (ns / bytes).toFixed(2)];
  console.log(`${name.padEnd(12)}${cells[0]}${cells[1]}${cells[2]!.padStart(12)}`);
}

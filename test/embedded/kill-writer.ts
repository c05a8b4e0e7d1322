/**
 * Writes batches to the store in the directory it is given until it is killed, and says which are
 * durable: the program behind kill.test.ts. Batch n sets "count" and a key of its own, and takes
 * the key of batch n - 100 away, so that a prefix of the batches can be told from anything else.
 */
import { openStore } from "../../src/embedded/index.js";

const [directory = ""] = process.argv.slice(2);
const store = await openStore(directory, { memtableBytesMax: 256 * 1024 });
const counted = store.get("count");
let n = counted === undefined ? 0 : Number(new TextDecoder().decode(counted));
/** Nobody wants it to outlive its test. */
setTimeout(() => process.exit(3), 20_000);
for (;;) {
  n++;
  const batch = store.batch().put("count", String(n)).put(`key${n}`, `${n}`.padEnd(200, "."));
  if (n > 100) batch.delete(`key${n - 100}`);
  await store.write(batch, { sync: n % 5 === 0 });
  if (n % 5 === 0) process.stdout.write(`${n}\n`);
}

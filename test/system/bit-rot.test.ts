/**
 * One flipped bit in one node's files, again and again: acknowledged writes are neither lost nor
 * falsified, the cluster goes on, and the node is whole again without anybody's help.
 *
 * A round: write, stop a node, flip a bit of one of its files, write on, start the node. What it
 * then answers is right or a refusal; in the end it is healthy and has everything.
 *
 * BIT_ROT_ROUNDS and BIT_ROT_SEED in the environment make it longer, or another run.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import type { ByteReader } from "../../src/base/coding.js";
import { Prng } from "../../src/base/prng.js";
import { KvError, connect } from "../../src/client/index.js";
import type { Client } from "../../src/client/index.js";
import { decodeAnswerHeader } from "../../src/protocol/answer-header.js";
import { encodeGet } from "../../src/protocol/get-codec.js";
import { READ_LEVELS } from "../../src/protocol/key-value.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { decodeOptionalKeyValue } from "../../src/protocol/result-codec.js";
import { storedKey } from "../../src/route/stored-key.js";
import { eventually } from "../support/eventually.js";
import { RawClient } from "../support/raw-client.js";
import { TestCluster } from "../support/test-cluster.js";
import { uncaughtErrors } from "../support/uncaught-errors.js";

const ROUNDS = Number(process.env["BIT_ROT_ROUNDS"] ?? 12);
const SEED = Number(process.env["BIT_ROT_SEED"] ?? 1);
const KEYS = 120;
const WRITES_A_ROUND = 24;
const FILLER = "x".repeat(4000);

const errors = uncaughtErrors();
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups.length = 0;
});

const KINDS = {
  table: /\/tables\//,
  log: /\/log\//,
  manifest: /\/(manifest|identity)/,
  small: /\/(node|cluster-map)\.json/,
};

/** Tables and the log are what rots most: they are the most. */
const ORDER: readonly (keyof typeof KINDS)[] = [
  "log",
  "table",
  "log",
  "manifest",
  "table",
  "log",
  "small",
];

interface Flipped {
  readonly path: string;
  readonly where: string;
}

function filesOf(directory: string, kind: keyof typeof KINDS): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => KINDS[kind].test(path) && statSync(path).isFile() && statSync(path).size > 0);
}

/** Flips one bit of one file of a kind. */
function flipBit(directory: string, kind: keyof typeof KINDS, prng: Prng): Flipped {
  const files = filesOf(directory, kind);
  const path = must(files[prng.between(0, files.length - 1)], `a file of the ${kind}`);
  const bytes = readFileSync(path);
  // Files of the log and the manifest end in zeros that nobody has written to yet.
  const used = bytes.findLastIndex((byte) => byte !== 0);
  const at = prng.between(0, Math.max(0, used));
  bytes[at]! ^= 1 << prng.between(0, 7);
  writeFileSync(path, bytes);
  return { path, where: `${path} at ${at}` };
}

/** Every value that each key was ever given, the newest last, all of them acknowledged. */
class Written {
  readonly values: Map<string, string[]> = new Map();
  readonly #client: Client;
  #count = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  async write(count: number): Promise<void> {
    const puts = Array.from({ length: count }, async () => {
      const number = this.#count++;
      const key = `k${number % KEYS}`;
      const value = `${number}:${FILLER}`;
      const values = this.values.get(key) ?? [];
      this.values.set(key, values);
      values.push(value);
      await eventually(() => this.#client.put(key, value));
    });
    await Promise.all(puts);
  }
}

/** Reads every key at one node; returns how many were refused. Throws at a wrong answer. */
async function readAll(
  client: Client,
  endpoint: string,
  level: "follower" | "stale",
  written: Written,
): Promise<number> {
  const keyspace = (await client.admin.keyspaces()).find((each) => each.name === "default")!;
  const shard = await client.admin.locate("k0");
  const raw = await RawClient.dial(endpoint);
  const options = {
    level: READ_LEVELS[level],
    flags: 0,
    revision: 0,
    maxStalenessMs: 0,
    minRevision: 0,
  };
  let refused = 0;
  const reads = [...written.values].map(async ([key, values]) => {
    let found: string | undefined;
    const decode = (reader: ByteReader): void => {
      decodeAnswerHeader(reader);
      const kv = decodeOptionalKeyValue(reader);
      found = kv === undefined ? undefined : utf8Text(kv.value);
    };
    const stored = storedKey(keyspace, utf8(key));
    try {
      await raw.request(MESSAGE_TYPES.get, (out) => encodeGet(out, shard, options, stored), decode);
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      refused++;
      return;
    }
    if (level === "follower" ? found === values.at(-1) : found === undefined) return;
    if (level === "stale" && values.includes(found!)) return;
    wrong.push(`${key} at ${level}: ${found?.slice(0, 8)} for ${values.at(-1)!.slice(0, 8)}`);
  });
  await Promise.all(reads);
  raw.close();
  return refused;
}

const wrong: string[] = [];

test(
  `one flipped bit after the other, ${ROUNDS} times`,
  async () => {
    const cluster = await TestCluster.start({
      config: { memtablesBytesMax: 512 * 1024, scrubBytesPerSecond: 1024 ** 3 },
    });
    cleanups.push(() => cluster.close());
    const client = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 8000 });
    cleanups.push(() => client.close());
    await eventually(() => client.put("ready", "yes"));
    const written = new Written(client);
    await written.write(KEYS);
    const prng = new Prng(SEED);
    for (let round = 0; round < ROUNDS; round++) {
      const name = cluster.names[round % cluster.names.length]!;
      const kind = ORDER[round % ORDER.length]!;
      await written.write(WRITES_A_ROUND);
      const directory = join(cluster.directory, name);
      // On a busy machine the first flush may still be on its way.
      await eventually(() => filesOf(directory, kind).length > 0);
      await (prng.chance(0.5) ? cluster.crashNode(name) : cluster.stopNode(name));
      const { path, where } = flipBit(directory, kind, prng);
      await written.write(WRITES_A_ROUND);
      await eventually(() => cluster.startNode(name));
      const endpoint = cluster.endpoint(name);
      await readAll(client, endpoint, "stale", written).catch(() => undefined);
      await eventually(async () => {
        const refused = await readAll(client, endpoint, "follower", written);
        expect([where, wrong]).toEqual([where, []]);
        expect([where, refused]).toEqual([where, 0]);
        const { healthy, reasons } = await client.admin.health(endpoint);
        expect([where, reasons]).toEqual([where, []]);
        // Nobody need have read a rotten table for it to be found and replaced.
        return healthy && !(kind === "table" && existsSync(path));
      });
      expect([where, errors]).toEqual([where, []]);
    }
  },
  30_000 + ROUNDS * 4000,
);

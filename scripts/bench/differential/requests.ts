/**
 * Random requests of etcd's KV service as fast-check makes and shrinks them: valid ones above all,
 * and what no good client would send. Revisions are mostly told from where a run began, for a
 * server remembers more than one run; `bound` makes real ones of them.
 */
import fc from "fast-check";
import type { Message, Value } from "../../../src/gateway/message-codec.js";

/** So many revisions after the one at which the run began. */
export interface Relative {
  readonly after: number;
}

/** A message whose revisions may still be relative. */
export interface Draft {
  readonly [field: string]: Value | Relative | Draft | readonly Draft[] | undefined;
}

/** What is done to the bytes of a message before they are sent. */
export type Damage =
  | { readonly kind: "truncate"; readonly bytes: number }
  | { readonly kind: "append"; readonly bytes: Uint8Array }
  | { readonly kind: "flip"; readonly at: number; readonly bit: number };

export type MethodName =
  | "Range"
  | "Put"
  | "DeleteRange"
  | "Txn"
  | "Compaction"
  | "LeaseGrant"
  | "LeaseRevoke"
  | "LeaseTimeToLive"
  | "LeaseLeases";

export interface Request {
  readonly method: MethodName;
  readonly draft: Draft;
  readonly by: "grpc" | "json";
  /** Only by gRPC. */
  readonly damage?: Damage;
  /** Only by JSON: names in camel case, numbers as numbers. */
  readonly style?: "plain" | "loose";
  /** Only by JSON: sent instead of the draft. */
  readonly text?: string;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Few keys, so that requests meet. */
const KEYS: readonly Uint8Array[] = ["a", "aa", "ab", "b", "c"].map(text);
const ODD_KEYS: readonly Uint8Array[] = [
  ...["", "\0", "a\0", "d"].map(text),
  Uint8Array.of(0xff),
  Uint8Array.of(0xff, 0xff),
];
const INT64S: readonly bigint[] = [
  -1n,
  1n,
  2n ** 31n,
  2n ** 32n + 1n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  -(2n ** 31n),
];

export const key: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...KEYS) },
  { weight: 2, arbitrary: fc.constantFrom(...ODD_KEYS) },
);
export const end: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 5, arbitrary: fc.constant(text("")) },
  { weight: 5, arbitrary: fc.constantFrom(...KEYS, ...ODD_KEYS) },
  { weight: 2, arbitrary: fc.constant(text("\0")) },
);
const value = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom(...["", "1", "2", "10"].map(text)) },
  { weight: 1, arbitrary: fc.constant(new Uint8Array(1000).fill(0x78)) },
);
/** Numbers of leases, which clients may choose. */
export const LEASES: readonly bigint[] = [1n, 2n, 2n ** 53n + 1n, 2n ** 62n, -3n];
const flag = fc.boolean();
const rarely = fc.oneof(
  { weight: 6, arbitrary: fc.constant(false) },
  { weight: 1, arbitrary: fc.constant(true) },
);

function number(max: number): fc.Arbitrary<bigint> {
  return fc.oneof(
    { weight: 12, arbitrary: fc.integer({ min: 0, max }).map(BigInt) },
    { weight: 1, arbitrary: fc.constantFrom(...INT64S) },
  );
}

function choice(count: number): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.integer({ min: 0, max: count - 1 }) },
    { weight: 1, arbitrary: fc.constantFrom(count, -1, 2_147_483_647) },
  );
}

export const revision: fc.Arbitrary<bigint | Relative> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0n) },
  { weight: 8, arbitrary: fc.integer({ min: -2, max: 14 }).map((after) => ({ after })) },
  { weight: 1, arbitrary: fc.constantFrom(...INT64S) },
);

const range: fc.Arbitrary<Draft> = fc.record(
  {
    key,
    range_end: end,
    limit: number(4),
    revision,
    sort_order: choice(3),
    sort_target: choice(5),
    serializable: rarely,
    keys_only: rarely,
    count_only: rarely,
    min_mod_revision: revision,
    max_mod_revision: revision,
    min_create_revision: revision,
    max_create_revision: revision,
  },
  { requiredKeys: ["key"] },
);

export const put: fc.Arbitrary<Draft> = fc.record(
  {
    key,
    value,
    lease: fc.oneof(
      { weight: 15, arbitrary: fc.constant(0n) },
      { weight: 3, arbitrary: fc.constantFrom(...LEASES) },
      { weight: 1, arbitrary: fc.constantFrom(77n, ...INT64S) },
    ),
    prev_kv: flag,
    ignore_value: rarely,
    ignore_lease: rarely,
  },
  { requiredKeys: ["key"] },
);

export const deletion: fc.Arbitrary<Draft> = fc.record(
  { key, range_end: end, prev_kv: flag },
  { requiredKeys: ["key"] },
);

/** The number of another target than the one compared may be given, or none at all. */
const compare: fc.Arbitrary<Draft> = fc
  .record({
    base: fc.record(
      { result: choice(4), target: choice(5), key, range_end: end },
      { requiredKeys: ["key"] },
    ),
    union: fc.oneof(
      fc.constant({}),
      fc.record({ version: number(3) }),
      fc.record({ create_revision: revision }),
      fc.record({ mod_revision: revision }),
      fc.record({ value }),
      fc.record({ lease: fc.oneof(number(1), fc.constantFrom(...LEASES)) }),
    ),
    isMatching: fc.boolean(),
  })
  .map(({ base, union, isMatching }) => {
    const [name = ""] = Object.keys(union);
    const target = ["version", "create_revision", "mod_revision", "value", "lease"].indexOf(name);
    return { ...base, ...union, ...(isMatching && target >= 0 ? { target } : {}) };
  });

const { txn } = fc.letrec<{ operation: Draft; txn: Draft }>((tie) => ({
  operation: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    { weight: 6, arbitrary: range.map((one): Draft => ({ request_range: one })) },
    { weight: 8, arbitrary: put.map((one): Draft => ({ request_put: one })) },
    { weight: 4, arbitrary: deletion.map((one): Draft => ({ request_delete_range: one })) },
    { weight: 3, arbitrary: tie("txn").map((one): Draft => ({ request_txn: one })) },
  ),
  txn: fc.record(
    {
      compare: fc.array(compare, { maxLength: 2 }),
      success: branchOf(tie("operation")),
      failure: branchOf(tie("operation")),
    },
    { requiredKeys: [] },
  ),
}));

/** Now and then an operation of no kind. */
function branchOf(operation: fc.Arbitrary<Draft>): fc.Arbitrary<readonly Draft[]> {
  return fc.array(
    fc.oneof({ weight: 40, arbitrary: operation }, { weight: 1, arbitrary: fc.constant({}) }),
    { maxLength: 3 },
  );
}

/** More operations than there may be, or just as many. */
const longTxn: fc.Arbitrary<Draft> = fc
  .record({ count: fc.constantFrom(127, 128, 129), branch: fc.constantFrom("success", "failure") })
  .map(({ count, branch }) => ({
    [branch]: Array.from({ length: count }, () => ({ request_range: { key: text("a") } })),
  }));

/** Up to what a server takes, and beyond. */
const largePut: fc.Arbitrary<Draft> = fc
  .constantFrom(60_000, 1_500_000, 1_600_000, 2_000_000, 2_200_000)
  .map((bytes) => ({ key: text("b"), value: new Uint8Array(bytes) }));

export const compaction: fc.Arbitrary<Draft> = fc.record(
  { revision, physical: flag },
  { requiredKeys: ["revision"] },
);

/** That a server chooses the number cannot be compared. */
const leaseId = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...LEASES) },
  { weight: 1, arbitrary: fc.constantFrom(77n, 0n) },
);

/** So long that none runs out, so short that it is raised, or too long. */
const grant: fc.Arbitrary<Draft> = fc.record({
  ID: fc.constantFrom(...LEASES),
  TTL: fc.constantFrom(3600n, 100_000n, 9_000_000_000n, 9_000_000_001n, 2n ** 63n - 1n),
});

const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.integer({ min: 1, max: 8 }).map((bytes) => ({ kind: "truncate" as const, bytes })),
  fc.constantFrom(...suffixes()).map((bytes) => ({ kind: "append" as const, bytes })),
  fc
    .record({ at: fc.nat(60), bit: fc.nat(7) })
    .map(({ at, bit }) => ({ kind: "flip" as const, at, bit })),
);

function many(count: number, byte: number): readonly number[] {
  return Array.from({ length: count }, () => byte);
}

/** Unknown fields, known ones of another type, groups, lengths beyond the end, endless numbers. */
function suffixes(): readonly Uint8Array[] {
  const unknown = [
    [0xa0, 0x06, 0x05],
    [0xa2, 0x06, 0x02, 0x61, 0x62],
    [0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],
    [0xa5, 0x06, 1, 2, 3, 4],
    [0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06],
  ];
  const wrong = [
    [0x08, 0x01],
    [0x0d, 1, 2, 3, 4],
    [0x12, 0x01, 0x61],
    [0x1a, 0x00],
    [0x20, 0x01],
    [0x22, 0x01, 0x61],
    [0x00],
    [0x07],
    [0x04],
    [0xa3, 0x06],
    [0xa2, 0x06, 0x05, 0x61],
    [0x18, ...many(11, 0x80), 1],
    [0x18, ...many(9, 0xff), 1],
    [0x20, ...many(9, 0xff), 0x7f],
  ];
  return [...unknown, ...wrong].map((bytes) => Uint8Array.from(bytes));
}

/** By JSON: what is no such message, and what one would hardly write so. */
const ODD_TEXTS: readonly string[] = [
  "",
  " ",
  "null",
  "[]",
  "{",
  "1",
  '"a"',
  "{}{}",
  '{"key":"YQ=="} x',
  '{"key":"YQ=="}{',
  '{"key":1}',
  '{"key":"*"}',
  '{"key":"YQ"}',
  '{"key":"_w=="}',
  '{"key":null}',
  '{"key":"Y Q=="}',
  '{"key":"YQ==","limit":1.5}',
  '{"key":"YQ==","limit":"1.0"}',
  '{"key":"YQ==","limit":1e2}',
  '{"key":"YQ==","limit":" 1"}',
  '{"key":"YQ==","limit":""}',
  '{"key":"YQ==","limit":null}',
  '{"key":"YQ==","limit":true}',
  '{"key":"YQ==","limit":9223372036854775808}',
  '{"key":"YQ==","limit":"-9223372036854775809"}',
  '{"key":"YQ==","limit":"+1"}',
  '{"key":"YQ==","limit":"01"}',
  '{"key":"YQ==","limit":-0}',
  '{"key":"YQ==","limit":1.0}',
  '{"key":"YQ==","sort_order":"UP"}',
  '{"key":"YQ==","sort_order":"1"}',
  '{"key":"YQ==","sort_order":1.5}',
  '{"key":"YQ==","sort_order":null}',
  '{"key":"YQ==","sort_order":4294967297}',
  '{"key":"YQ==","serializable":1}',
  '{"key":"YQ==","serializable":"true"}',
  '{"key":"YQ==","serializable":null}',
  '{"key":"YQ==","key":"Yg=="}',
  '{"key":"YQ==","nobody":{"knows":[1,2,"3"]}}',
  '{"key":"YQ==","range_end":"Yg==","rangeEnd":"Yw=="}',
  '{"KEY":"YQ=="}',
];
const ODD_TXNS: readonly string[] = [
  '{"compare":{}}',
  '{"compare":null}',
  '{"success":[{}]}',
  '{"success":[{"requestPut":null}]}',
  '{"success":[1]}',
  '{"success":"a"}',
  '{"success":[{"requestRange":{"key":"YQ=="},"requestPut":{"key":"YQ=="}}]}',
  '{"compare":[{"key":"YQ==","version":"1","value":"YQ=="}]}',
  '{"compare":[{"key":"YQ==","target":"LEASE","lease":9007199254740993,"result":"LESS"}]}',
];

const oddText: fc.Arbitrary<Request> = fc.oneof(
  fc
    .constantFrom(...ODD_TEXTS)
    .map((odd) => ({ method: "Range" as const, draft: {}, by: "json" as const, text: odd })),
  fc
    .constantFrom(...ODD_TXNS)
    .map((odd) => ({ method: "Txn" as const, draft: {}, by: "json" as const, text: odd })),
);

function requestOf(method: MethodName, drafts: fc.Arbitrary<Draft>): fc.Arbitrary<Request> {
  return fc
    .record({
      draft: drafts,
      by: fc.oneof(
        { weight: 3, arbitrary: fc.constant("grpc" as const) },
        { weight: 1, arbitrary: fc.constant("json" as const) },
      ),
      style: fc.constantFrom("plain" as const, "loose" as const),
      damage: fc.oneof(
        { weight: 12, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: damage },
      ),
    })
    .map(({ by, style, damage: done, ...one }): Request => {
      if (by === "json") return { method, ...one, by, style };
      return { method, ...one, by, ...(done === undefined ? {} : { damage: done }) };
    });
}

export const request: fc.Arbitrary<Request> = fc.oneof(
  { weight: 200, arbitrary: requestOf("Put", put) },
  { weight: 300, arbitrary: requestOf("Range", range) },
  { weight: 60, arbitrary: requestOf("DeleteRange", deletion) },
  { weight: 200, arbitrary: requestOf("Txn", txn) },
  { weight: 15, arbitrary: requestOf("Compaction", compaction) },
  // Undamaged: a number that a server chose, or a short time, would make all that follows differ.
  {
    weight: 25,
    arbitrary: requestOf("LeaseGrant", grant).filter(({ damage: done }) => done === undefined),
  },
  { weight: 12, arbitrary: requestOf("LeaseRevoke", fc.record({ ID: leaseId })) },
  {
    weight: 10,
    arbitrary: requestOf("LeaseTimeToLive", fc.record({ ID: leaseId, keys: flag })),
  },
  { weight: 4, arbitrary: requestOf("LeaseLeases", fc.constant({})) },
  { weight: 2, arbitrary: requestOf("Txn", longTxn) },
  { weight: 1, arbitrary: requestOf("Put", largePut) },
  { weight: 15, arbitrary: oddText },
);

/** The message with its real revisions. */
export function bound(draft: Draft, base: bigint): Message {
  const message: Record<string, Value> = {};
  for (const [name, given] of Object.entries(draft)) {
    if (given !== undefined) message[name] = boundValue(given, base);
  }
  return message;
}

function boundValue(given: NonNullable<Draft[string]>, base: bigint): Value {
  if (typeof given !== "object" || given instanceof Uint8Array) return given as Value;
  if (Array.isArray(given)) return given.map((one: Draft | number) => boundValue(one, base));
  if (isRelative(given)) return base + BigInt(given.after);
  return bound(given as Draft, base);
}

function isRelative(given: object): given is Relative {
  return typeof (given as Partial<Relative>).after === "number";
}

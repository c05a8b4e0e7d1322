/** Leases in the state machine: directed cases, and random ones against a map of maps. */
import { fc, test as check } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { ByteReader } from "../../src/base/coding.js";
import {
  LEASE_EFFECTS_BYTES_MAX,
  LEASE_TTL_SECONDS_MAX,
  LEASE_TTL_SECONDS_MIN,
} from "../../src/base/limits.js";
import type { KeyValue } from "../../src/protocol/key-value.js";
import type { Operation, PutOperation } from "../../src/protocol/operations.js";
import { compare, put, remove, txn } from "../support/operations.js";
import { Replica } from "./replica.js";

const ID = 0x1234_5678_9abcn;
const OTHER = 0x8000_0000_0000_0001n;

function leased(key: string, lease: bigint): PutOperation {
  return { ...(put(key) as PutOperation), lease };
}

function write(replica: Replica, ...operations: Operation[]): string | undefined {
  return replica.transaction(txn([], operations)).error?.code;
}

function leaseOf(replica: Replica, key: string): bigint | undefined {
  return (replica.get(utf8(key)) as KeyValue | undefined)?.lease;
}

function keysOf(replica: Replica, id: bigint): string[] {
  return replica.machine.leaseKeys(id).map(utf8Text);
}

function secondsIn(response: Uint8Array | undefined): number {
  return new ByteReader(response ?? new Uint8Array(0)).u53();
}

describe("a lease", () => {
  test("is compared as a number with a sign, as etcd's clients send it", () => {
    const replica = new Replica();
    replica.grant(OTHER, 10);
    write(replica, leased("x", OTHER));
    const isBelow = (key: string, value: bigint): boolean => {
      const before = replica.transaction(txn([], [])).revision;
      const below = compare(key, { kind: "lease", value }, "less");
      return replica.transaction(txn([below], [put("y")])).revision > before;
    };
    expect(isBelow("x", 0n)).toBe(true);
    expect(isBelow("x", ID)).toBe(true);
    expect(isBelow("none", OTHER)).toBe(false);
    expect(isBelow("none", ID)).toBe(true);
  });

  test("is granted at least the least, takes no revision, and is there once", () => {
    const replica = new Replica();
    const granted = replica.grant(ID, 0);
    expect(secondsIn(granted.response)).toBe(LEASE_TTL_SECONDS_MIN);
    expect(granted.revision).toBe(1);
    expect(replica.grant(ID, 60).error?.code).toBe("leaseExists");
    replica.applyPending();
    expect(replica.machine.revision).toBe(1);
    expect(replica.grant(ID, 60).error?.code).toBe("leaseExists");
    expect(replica.grant(OTHER, LEASE_TTL_SECONDS_MAX + 1).error?.code).toBe("leaseTtlTooLarge");
    expect(replica.grant(OTHER, LEASE_TTL_SECONDS_MAX).error).toBe(undefined);
  });

  test("is renewed by the clock of the log; one that is not there has no time", () => {
    const replica = new Replica();
    replica.grant(ID, 10);
    replica.clockMs = 4000;
    expect(secondsIn(replica.renew(ID).response)).toBe(10);
    expect(secondsIn(replica.renew(OTHER).response)).toBe(0);
    replica.applyPending();
    expect(replica.machine.leases.get(ID)?.deadlineMs).toBe(14_000);
    expect(replica.machine.leases.takeExpired(13_999)).toBe(undefined);
    expect(replica.machine.leases.takeExpired(14_000)).toBe(ID);
    expect(replica.machine.leases.takeExpired(14_000)).toBe(undefined);
    replica.machine.leases.putBack(ID);
    expect(replica.machine.leases.takeExpired(14_000)).toBe(ID);
  });

  test("that is over ends only if no renewal was decided before", () => {
    const replica = new Replica();
    replica.grant(ID, 10);
    write(replica, leased("a", ID));
    replica.applyPending();
    replica.clockMs = 10_000;
    replica.renew(ID);
    expect(replica.endLease(ID, true).outcome).toBe("refused");
    replica.applyPending();
    replica.clockMs = 20_000;
    expect(replica.endLease(ID, true).outcome).toBe("effects");
    expect(replica.endLease(ID, true).error?.code).toBe("leaseNotFound");
    replica.applyPending();
    expect(leaseOf(replica, "a")).toBe(undefined);
  });

  test("ends with its keys in one revision, what is not applied yet among them", () => {
    const replica = new Replica();
    replica.grant(ID, 10);
    replica.grant(OTHER, 10);
    write(replica, leased("c", ID), leased("a", ID), leased("x", OTHER));
    replica.applyPending();
    write(replica, leased("b", ID), put("a"));
    write(replica, leased("x", ID));
    write(replica, leased("x", OTHER));
    const ended = replica.endLease(ID);
    expect(ended.revision).toBe(6);
    expect(write(replica, leased("d", ID))).toBe("leaseNotFound");
    replica.applyPending();
    expect(replica.machine.revision).toBe(6);
    const left = ["a", "b", "c", "x"].map((key) => leaseOf(replica, key));
    expect(left).toEqual([0n, undefined, undefined, OTHER]);
    expect(keysOf(replica, OTHER)).toEqual(["x"]);
    expect(keysOf(replica, ID)).toEqual([]);
    expect(replica.machine.leases.list().map((one) => one.id)).toEqual([OTHER]);
  });

  test("without keys ends without a revision", () => {
    const replica = new Replica();
    replica.grant(ID, 10);
    write(replica, leased("a", ID));
    write(replica, remove("a"));
    const before = replica.machine.lastEvaluatedRevision;
    expect(replica.endLease(ID).outcome).toBe("effects");
    replica.applyPending();
    expect(replica.machine.revision).toBe(before);
    expect(replica.machine.leases.size).toBe(0);
    expect(write(replica, put("next"))).toBe(undefined);
  });

  test("takes no more keys than one entry can delete", () => {
    const replica = new Replica();
    replica.grant(ID, 10);
    const key = (n: number): string => `${n}/${"k".repeat(60_000)}`;
    let count = 0;
    while (write(replica, leased(key(count), ID)) === undefined) {
      if (++count % 8 === 0) replica.applyPending();
    }
    expect(count).toBe(Math.floor(LEASE_EFFECTS_BYTES_MAX / (60_000 + 18 + 4 + 2.8)));
    replica.applyPending();
    expect(write(replica, leased(key(count), ID))).toBe("leaseFull");
    expect(write(replica, leased(key(count - 1), ID))).toBe(undefined);
    replica.applyPending();
    expect(replica.endLease(ID).outcome).toBe("effects");
    replica.applyPending();
    expect(replica.machine.leases.size).toBe(0);
  });

  test("that one transaction would fill says so; what others put may have to wait", () => {
    const replica = new Replica();
    replica.grant(ID, 10);
    replica.grant(OTHER, 10);
    const key = (n: number): string => `${n}/${"k".repeat(60_000)}`;
    for (let n = 0; n < 48; n++) write(replica, leased(key(n), ID));
    replica.applyPending();
    const some = (...keys: number[]): Operation[] => keys.map((n) => leased(key(n), ID));
    expect(write(replica, ...some(70, 71, 72, 73, 74))).toBe("leaseFull");
    write(replica, ...[60, 61, 62].map((n) => leased(key(n), OTHER)));
    expect(write(replica, ...some(50, 51, 52))).toBe(undefined);
    // Of what is on its way three may be dropped, and then there is room.
    expect(write(replica, ...some(52, 53, 54))).toBe("overloaded");
    expect(write(replica, ...some(52, 53))).toBe(undefined);
    replica.applyPending();
    expect(keysOf(replica, ID)).toHaveLength(52);
  });

  test("comes back as it was when an evaluation is taken back", () => {
    const replica = new Replica();
    replica.grant(ID, 10);
    const mark = replica.machine.mark();
    replica.endLease(ID);
    replica.grant(OTHER, 10);
    replica.pending.length = 1;
    replica.machine.rollback(mark);
    expect(write(replica, leased("a", ID))).toBe(undefined);
    expect(write(replica, leased("a", OTHER))).toBe("leaseNotFound");
    replica.applyPending();
    expect(keysOf(replica, ID)).toEqual(["a"]);
  });
});

type Step =
  | { readonly kind: "grant" | "renew" | "end"; readonly lease: number }
  | { readonly kind: "put"; readonly key: number; readonly lease: number }
  | { readonly kind: "delete"; readonly key: number }
  | { readonly kind: "apply" | "drop" | "reopen" | "flush" | "compact" };

const lease = fc.integer({ min: 1, max: 3 });
const key = fc.integer({ min: 0, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom("grant" as const, "renew", "end"), lease }),
  fc.record({ kind: fc.constant("put" as const), key, lease: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ kind: fc.constant("delete" as const), key }),
  fc.record({ kind: fc.constantFrom("apply" as const, "drop", "reopen", "flush", "compact") }),
);

/** Which lease each key has; a lease is there if it has an entry. */
interface Model {
  readonly deadlines: ReadonlyMap<bigint, number>;
  readonly keys: ReadonlyMap<string, bigint>;
}

function next({ deadlines, keys }: Model, one: Step, clockMs: number): Model {
  const id = BigInt("lease" in one ? one.lease : 0);
  const isLive = deadlines.has(id);
  switch (one.kind) {
    case "grant":
      if (isLive) return { deadlines, keys };
      return { deadlines: new Map([...deadlines, [id, clockMs + 10_000]]), keys };
    case "renew":
      if (!isLive) return { deadlines, keys };
      return { deadlines: new Map([...deadlines, [id, clockMs + 10_000]]), keys };
    case "end":
      return {
        deadlines: new Map([...deadlines].filter(([each]) => each !== id)),
        keys: new Map([...keys].filter(([, held]) => held !== id || !isLive)),
      };
    case "put":
      if (id !== 0n && !isLive) return { deadlines, keys };
      return { deadlines, keys: new Map([...keys, [`k${one.key}`, id]]) };
    case "delete":
      return { deadlines, keys: new Map([...keys].filter(([each]) => each !== `k${one.key}`)) };
    default:
      return { deadlines, keys };
  }
}

function run(replica: Replica, one: Step): void {
  switch (one.kind) {
    case "grant":
      replica.grant(BigInt(one.lease), 10);
      return;
    case "renew":
      replica.renew(BigInt(one.lease));
      return;
    case "end":
      replica.endLease(BigInt(one.lease));
      return;
    case "put":
      write(replica, leased(`k${one.key}`, BigInt(one.lease)));
      return;
    case "delete":
      write(replica, remove(`k${one.key}`));
      return;
    case "apply":
      replica.applyPending();
      return;
    case "drop":
      replica.drop();
      return;
    case "reopen":
      replica.reopen();
      return;
    case "flush":
      replica.flush();
      return;
    case "compact":
      replica.files.compact();
  }
}

function shown(replica: Replica): Model {
  const keys = new Map<string, bigint>();
  for (let n = 0; n <= 4; n++) {
    const held = leaseOf(replica, `k${n}`);
    if (held !== undefined) keys.set(`k${n}`, held);
  }
  const leases = replica.machine.leases.list();
  return { deadlines: new Map(leases.map((one) => [one.id, one.deadlineMs])), keys };
}

/** As text, in an order of its own. */
function sorted({ deadlines, keys }: Model): readonly (readonly string[])[] {
  return [[...deadlines].map(String).toSorted(), [...keys].map(String).toSorted()];
}

check.prop([fc.array(step, { maxLength: 60 })], { numRuns: 300 })(
  "leases are what a map of them would be, whatever is applied, dropped, flushed and opened again",
  (steps) => {
    const replica = new Replica();
    const start: Model = { deadlines: new Map(), keys: new Map() };
    let applied = start;
    let evaluated = start;
    for (const one of steps) {
      replica.clockMs += 1000;
      evaluated = next(evaluated, one, replica.clockMs);
      run(replica, one);
      if (one.kind === "apply") applied = evaluated;
      if (one.kind === "drop" || one.kind === "reopen") evaluated = applied;
      expect(sorted(shown(replica))).toEqual(sorted(applied));
      for (let id = 1n; id <= 3n; id++) {
        const held = [...applied.keys].filter(([, each]) => each === id).map(([each]) => each);
        expect(keysOf(replica, id)).toEqual(held.sort());
        const counted = replica.machine.leases.get(id)?.keyCount ?? 0;
        expect(counted).toBe(held.length);
      }
    }
  },
);

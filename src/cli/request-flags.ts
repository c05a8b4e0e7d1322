/**
 * The flags of get, put and del, and the requests they make: the same on a command line and as an
 * operation of a transaction.
 */
import type { Options } from "yargs";
import { utf8 } from "../base/bytes.js";
import type {
  DeleteOperation,
  PutOperation,
  RangeOperation,
  SortOrder,
  SortTarget,
} from "../protocol/operations.js";
import {
  type Arguments,
  choiceOf,
  countOf,
  leaseOf,
  requiredOf,
  switchOf,
  textOf,
} from "./arguments.js";
import { badArguments } from "./failure.js";
import { type KeySelection, rangeEndOf, selectKeys } from "./selection.js";

type Flags = Readonly<Record<string, Options>>;

function onOff(describe: string): Options {
  return { type: "boolean", describe };
}

function value(describe: string): Options {
  return { type: "string", describe };
}

export const PUT_FLAGS: Flags = {
  lease: value("the lease to attach the key to, in hexadecimal"),
  "prev-kv": onOff("return the key-value before this put"),
  "ignore-value": onOff("keep the key's value"),
  "ignore-lease": onOff("keep the key's lease"),
};

export const DELETE_FLAGS: Flags = {
  prefix: onOff("delete keys with this prefix"),
  "from-key": onOff("delete all keys at or after this key"),
  range: onOff("the range end was meant: delete [key, range-end)"),
  "prev-kv": onOff("return the deleted key-values"),
};

export const GET_FLAGS: Flags = {
  prefix: onOff("keys with this prefix"),
  "from-key": onOff("all keys at or after this key"),
  limit: value("at most so many keys; 0 for all"),
  rev: value("as of this revision; 0 for the newest"),
  order: value("of the results: ascend or descend"),
  "sort-by": value("key, version, create, modify or value"),
  "keys-only": onOff("keys without values"),
  "count-only": onOff("only the count"),
  "print-value-only": onOff("values without keys (simple output)"),
  "min-mod-rev": value("least revision of the last write"),
  "max-mod-rev": value("greatest revision of the last write"),
  "min-create-rev": value("least revision of the creation"),
  "max-create-rev": value("greatest revision of the creation"),
};

const ORDERS: Readonly<Record<string, SortOrder>> = { ascend: "ascend", descend: "descend" };
const TARGETS: Readonly<Record<string, SortTarget>> = {
  key: "key",
  version: "version",
  create: "create",
  modify: "mod",
  mod: "mod",
  value: "value",
};

export function selectionOf(argv: Arguments): KeySelection {
  return selectKeys(requiredOf(argv, "key"), textOf(argv, "range-end"), {
    prefix: switchOf(argv, "prefix"),
    fromKey: switchOf(argv, "from-key"),
  });
}

/** A sort target without an order sorts upwards, as in etcd. */
export function rangeOperation(argv: Arguments): RangeOperation {
  const span = selectionOf(argv);
  const keysOnly = switchOf(argv, "keys-only");
  const countOnly = switchOf(argv, "count-only");
  if (keysOnly && switchOf(argv, "print-value-only")) {
    throw badArguments("--keys-only and --print-value-only exclude each other");
  }
  if (keysOnly && countOnly) throw badArguments("--keys-only and --count-only exclude each other");
  return {
    kind: "range",
    key: span.key,
    rangeEnd: rangeEndOf(span),
    limit: countOf(argv, "limit"),
    revision: countOf(argv, "rev"),
    sortOrder: choiceOf(argv, "order", ORDERS) ?? "none",
    sortTarget: choiceOf(argv, "sort-by", TARGETS) ?? "key",
    keysOnly,
    countOnly,
    minModRevision: countOf(argv, "min-mod-rev"),
    maxModRevision: countOf(argv, "max-mod-rev"),
    minCreateRevision: countOf(argv, "min-create-rev"),
    maxCreateRevision: countOf(argv, "max-create-rev"),
  };
}

/** `content` stands in for a value argument that is absent. */
export function putOperation(argv: Arguments, content: Uint8Array | undefined): PutOperation {
  const ignoreValue = switchOf(argv, "ignore-value");
  const text = textOf(argv, "value");
  if (ignoreValue && text !== undefined) {
    throw badArguments("--ignore-value keeps the key's value: give none");
  }
  const ignoreLease = switchOf(argv, "ignore-lease");
  const lease = leaseOf(argv, "lease", "--lease") ?? 0n;
  if (ignoreLease && lease !== 0n) {
    throw badArguments("--ignore-lease keeps the key's lease: give none");
  }
  const bytes = text === undefined ? content : utf8(text);
  if (bytes === undefined && !ignoreValue) throw badArguments("put needs a key and a value");
  return {
    kind: "put",
    key: utf8(requiredOf(argv, "key")),
    value: bytes ?? new Uint8Array(0),
    lease,
    prevKv: switchOf(argv, "prev-kv"),
    ignoreValue,
    ignoreLease,
  };
}

export function deleteOperation(argv: Arguments): DeleteOperation {
  const span = selectionOf(argv);
  if (switchOf(argv, "range") && textOf(argv, "range-end") === undefined) {
    throw badArguments("--range needs a range end");
  }
  return {
    kind: "delete",
    key: span.key,
    rangeEnd: rangeEndOf(span),
    prevKv: switchOf(argv, "prev-kv"),
  };
}

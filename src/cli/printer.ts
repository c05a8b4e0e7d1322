/**
 * How answers become text. There is one printer a format; the simple one prints what etcdctl prints
 * where a command exists there. A printer only writes data.
 */
import type {
  DeleteResponse,
  Headed,
  PutResponse,
  RangeResponse,
  TransactionResponse,
  WatchItem,
} from "../client/client-types.js";
import type { ResponseHeader } from "../protocol/key-value.js";
import { EXIT } from "./exit-codes.js";
import { CliError } from "./failure.js";
import type { Format } from "./global-options.js";
import type { LeaseReport } from "./lease-reports.js";

export interface PrintSettings {
  readonly hex: boolean;
  readonly valueOnly: boolean;
  readonly countOnly: boolean;
  /** As etcd shows it, a number; asked for only where the format shows it. */
  readonly clusterId: bigint;
}

export type Cell = string | number | boolean;

/** Rows of like things: one line each, whatever the format. */
export interface Sheet {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** The rows of the simple format where etcdctl's has other columns. */
  readonly simpleRows?: readonly (readonly Cell[])[] | undefined;
  /** The same for programs. */
  readonly json: unknown;
}

export interface Printer {
  put(response: PutResponse): void;
  range(response: RangeResponse): void;
  delete(response: DeleteResponse): void;
  txn(response: TransactionResponse): void;
  watch(part: WatchItem): void;
  compacted(revision: number, response: Headed): void;
  lease(report: LeaseReport): void;
  sheet(sheet: Sheet): void;
  /** One sentence about what was done, with the same as properties. */
  done(sentence: string, properties: Readonly<Record<string, Cell>>): void;
}

/** For what a format cannot show. */
export function unsupported(what: string, format: Format): CliError {
  return new CliError(EXIT.unsupportedFormat, `${what} has no ${format} output`, {
    next: "use -w simple, fields or json",
  });
}

/** What a replica that does not know the age of its state says. */
const AGE_UNKNOWN_MS = 0xffff_ffff;

/** How old a stale answer is at most; undefined for other levels and where nobody knows. */
export function ageOf(header: ResponseHeader): number | undefined {
  const known = header.level === "stale" && header.ageMs !== AGE_UNKNOWN_MS;
  return known ? header.ageMs : undefined;
}

/** The cluster's id as the number that etcd's clients expect: its last 64 bits. */
export function clusterNumber(clusterId: string): bigint {
  const digits = clusterId.slice(-16);
  return /^[0-9a-f]+$/i.test(digits) ? BigInt(`0x${digits}`) : 0n;
}

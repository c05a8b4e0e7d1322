/**
 * Tables for people. Values that are not printable are escaped and long ones cut, so that a table
 * is never a faithful copy: the other formats are. The table library is loaded with this file only.
 */
import Table from "cli-table3";
import type {
  DeleteResponse,
  Headed,
  PutResponse,
  RangeResponse,
  TransactionResponse,
  WatchItem,
} from "../client/client-types.js";
import type { KeyValue } from "../protocol/key-value.js";
import { leaseTable, type LeaseReport } from "./lease-reports.js";
import { type Cell, type PrintSettings, type Printer, type Sheet, unsupported } from "./printer.js";
import { hexEscapes, quote } from "./quoting.js";
import type { Output } from "./terminal.js";

const CELL_CHARACTERS_MAX = 60;
const KEY_VALUE_COLUMNS = ["key", "value", "create rev", "mod rev", "version", "lease"];

export class TablePrinter implements Printer {
  readonly #output: Output;
  readonly #settings: PrintSettings;

  constructor(output: Output, settings: PrintSettings) {
    this.#output = output;
    this.#settings = settings;
  }

  put({ prevKv }: PutResponse): void {
    this.#table(["result"], [["OK"]]);
    if (prevKv !== undefined) this.#keyValues([prevKv]);
  }

  range(response: RangeResponse): void {
    if (this.#settings.countOnly) return this.#table(["count"], [[response.count]]);
    this.#keyValues(response.kvs);
  }

  delete(response: DeleteResponse): void {
    this.#table(["deleted"], [[response.deleted]]);
    if (response.prevKvs.length > 0) this.#keyValues(response.prevKvs);
  }

  txn(_response: TransactionResponse): void {
    throw unsupported("txn", "table");
  }

  watch(_part: WatchItem): void {
    throw unsupported("watch", "table");
  }

  compacted(revision: number, { header }: Headed): void {
    this.#table(["compacted revision", "revision"], [[revision, header.revision]]);
  }

  lease(report: LeaseReport): void {
    const { columns, rows } = leaseTable(report);
    this.#table(columns, rows);
  }

  sheet(sheet: Sheet): void {
    this.#table(sheet.columns, sheet.rows);
  }

  done(sentence: string): void {
    this.#output.write(`${sentence}\n`);
  }

  #keyValues(kvs: readonly KeyValue[]): void {
    const rows = kvs.map((kv) => [
      this.#text(kv.key),
      this.#text(kv.value),
      kv.createRevision,
      kv.modRevision,
      kv.version,
      kv.lease.toString(16),
    ]);
    this.#table(KEY_VALUE_COLUMNS, rows);
  }

  #text(bytes: Uint8Array): string {
    const text = this.#settings.hex ? hexEscapes(bytes) : quote(bytes).slice(1, -1);
    return text.length > CELL_CHARACTERS_MAX ? `${text.slice(0, CELL_CHARACTERS_MAX - 1)}…` : text;
  }

  #table(columns: readonly string[], rows: readonly (readonly Cell[])[]): void {
    const head = columns.map((column) => column.toUpperCase());
    const table = new Table({ head, style: { head: [], border: [], compact: true } });
    for (const row of rows) table.push([...row]);
    this.#output.write(`${table.toString()}\n`);
  }
}

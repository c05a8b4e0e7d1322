/** One `"Name" : value` a line, texts quoted as Go does it: for scripts without a JSON parser. */
import { utf8 } from "../base/bytes.js";
import type {
  DeleteResponse,
  Headed,
  PutResponse,
  RangeResponse,
  TransactionResponse,
  WatchItem,
} from "../client/client-types.js";
import type { KeyValue, ResponseHeader } from "../protocol/key-value.js";
import type { OperationResult } from "../protocol/operations.js";
import { leaseFields, type LeaseReport } from "./lease-reports.js";
import { ageOf, type Cell, type Printer, type PrintSettings, type Sheet } from "./printer.js";
import { hexEscapes, quote } from "./quoting.js";
import type { Output } from "./terminal.js";

export class FieldsPrinter implements Printer {
  readonly #output: Output;
  readonly #settings: PrintSettings;

  constructor(output: Output, settings: PrintSettings) {
    this.#output = output;
    this.#settings = settings;
  }

  put({ header, prevKv }: PutResponse): void {
    this.#header(header);
    if (prevKv !== undefined) this.#keyValue("Prev", prevKv);
  }

  range(response: RangeResponse): void {
    this.#header(response.header);
    this.#range(response);
  }

  delete(response: DeleteResponse): void {
    this.#header(response.header);
    this.#delete(response);
  }

  txn(response: TransactionResponse): void {
    this.#header(response.header);
    this.#txn(response);
  }

  watch(part: WatchItem): void {
    if (!("events" in part)) return this.#field("ProgressNotify", part.progress);
    this.#field("Revision", part.revision);
    for (const { type, kv, prevKv } of part.events) {
      this.#field("Type", type.toUpperCase());
      if (prevKv !== undefined) this.#keyValue("Prev", prevKv);
      this.#keyValue("", kv);
    }
  }

  compacted(revision: number, { header }: Headed): void {
    this.#header(header);
    this.#field("CompactRevision", revision);
  }

  lease(report: LeaseReport): void {
    this.#header(report.response.header);
    for (const [name, value] of leaseFields(report)) {
      if (value instanceof Uint8Array) this.#bytes(name, value);
      else this.#field(name, value);
    }
  }

  sheet(sheet: Sheet): void {
    for (const row of sheet.rows) {
      for (const [at, column] of sheet.columns.entries()) this.#field(column, row[at] ?? "");
      this.#output.write("\n");
    }
  }

  done(_sentence: string, properties: Readonly<Record<string, Cell>>): void {
    for (const [name, value] of Object.entries(properties)) this.#field(name, value);
  }

  #header(header: ResponseHeader): void {
    this.#field("ClusterID", this.#settings.clusterId);
    this.#field("MemberID", header.nodeId);
    this.#field("Revision", header.revision);
    this.#field("RaftTerm", header.raftTerm);
    this.#field("Level", header.level);
    const ageMs = ageOf(header);
    if (ageMs !== undefined) this.#field("AgeMs", ageMs);
  }

  #range(range: Pick<RangeResponse, "kvs" | "more" | "count">): void {
    for (const kv of range.kvs) this.#keyValue("", kv);
    this.#field("More", range.more);
    this.#field("Count", range.count);
  }

  #delete(response: Pick<DeleteResponse, "deleted" | "prevKvs">): void {
    this.#field("Deleted", response.deleted);
    for (const kv of response.prevKvs) this.#keyValue("Prev", kv);
  }

  #txn(txn: Pick<TransactionResponse, "succeeded" | "results">): void {
    this.#field("Succeeded", txn.succeeded);
    for (const result of txn.results) this.#result(result);
  }

  #result(result: OperationResult): void {
    switch (result.kind) {
      case "put":
        if (result.prevKv !== undefined) this.#keyValue("Prev", result.prevKv);
        return;
      case "range":
        return this.#range(result);
      case "delete":
        return this.#delete(result);
      case "txn":
        return this.#txn(result.result);
    }
  }

  #keyValue(prefix: string, kv: KeyValue): void {
    this.#bytes(`${prefix}Key`, kv.key);
    this.#field(`${prefix}CreateRevision`, kv.createRevision);
    this.#field(`${prefix}ModRevision`, kv.modRevision);
    this.#field(`${prefix}Version`, kv.version);
    this.#bytes(`${prefix}Value`, kv.value);
    this.#field(`${prefix}Lease`, kv.lease);
  }

  #bytes(name: string, bytes: Uint8Array): void {
    const text = this.#settings.hex ? `"${hexEscapes(bytes)}"` : quote(bytes);
    this.#output.write(`"${name}" : ${text}\n`);
  }

  #field(name: string, value: Cell | bigint): void {
    const text = typeof value === "string" ? quote(utf8(value)) : String(value);
    this.#output.write(`"${name}" : ${text}\n`);
  }
}

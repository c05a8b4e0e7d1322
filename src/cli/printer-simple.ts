/** Plain lines, byte for byte what is stored: key, value, key, value. */
import type {
  DeleteResponse,
  Headed,
  PutResponse,
  RangeResponse,
  TransactionResponse,
  WatchItem,
} from "../client/client-types.js";
import type { KeyValue } from "../protocol/key-value.js";
import type { OperationResult } from "../protocol/operations.js";
import { leaseLines, type LeaseReport } from "./lease-reports.js";
import type { PrintSettings, Printer, Sheet } from "./printer.js";
import { hexEscapes } from "./quoting.js";
import type { Output } from "./terminal.js";

export class SimplePrinter implements Printer {
  readonly #output: Output;
  readonly #settings: PrintSettings;

  constructor(output: Output, settings: PrintSettings) {
    this.#output = output;
    this.#settings = settings;
  }

  put(response: PutResponse): void {
    this.#line("OK");
    if (response.prevKv !== undefined) this.#keyValue(response.prevKv);
  }

  range(response: RangeResponse): void {
    if (this.#settings.countOnly) this.#line(String(response.count));
    for (const kv of response.kvs) this.#keyValue(kv);
  }

  delete(response: DeleteResponse): void {
    this.#line(String(response.deleted));
    for (const kv of response.prevKvs) this.#keyValue(kv);
  }

  txn(response: TransactionResponse): void {
    this.#line(response.succeeded ? "SUCCESS" : "FAILURE");
    for (const result of response.results) {
      this.#line("");
      this.#result(response.header, result);
    }
  }

  #result(header: Headed["header"], result: OperationResult): void {
    switch (result.kind) {
      case "put":
        return this.put({ header, prevKv: result.prevKv });
      case "range":
        return this.range({ header, ...result });
      case "delete":
        return this.delete({ header, ...result });
      case "txn":
        return this.txn({ header, ...result.result });
    }
  }

  watch(part: WatchItem): void {
    if (!("events" in part)) return this.#line(`progress notify: ${part.progress}`);
    for (const { type, kv, prevKv } of part.events) {
      this.#line(type.toUpperCase());
      if (prevKv !== undefined) this.#keyValue(prevKv);
      this.#keyValue(kv);
    }
  }

  compacted(revision: number): void {
    this.#line(`compacted revision ${revision}`);
  }

  lease(report: LeaseReport): void {
    for (const line of leaseLines(report)) this.#line(line);
  }

  sheet(sheet: Sheet): void {
    for (const row of sheet.simpleRows ?? sheet.rows) this.#line(row.join(", "));
  }

  done(sentence: string): void {
    this.#line(sentence);
  }

  #keyValue(kv: KeyValue): void {
    if (!this.#settings.valueOnly) this.#bytes(kv.key);
    this.#bytes(kv.value);
  }

  #bytes(bytes: Uint8Array): void {
    if (this.#settings.hex) return this.#line(hexEscapes(bytes));
    this.#output.write(bytes);
    this.#output.write("\n");
  }

  #line(text: string): void {
    this.#output.write(`${text}\n`);
  }
}

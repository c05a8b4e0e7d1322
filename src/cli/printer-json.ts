/**
 * The JSON of etcdctl: names and nesting of etcd's messages, zeros left out. The header says in
 * addition by which level the answer was read, and for a stale one how old it may be.
 */
import type {
  DeleteResponse,
  Headed,
  PutResponse,
  RangeResponse,
  TransactionResponse,
  WatchItem,
} from "../client/client-types.js";
import type { KeyValue, ResponseHeader, WatchEvent } from "../protocol/key-value.js";
import type { OperationResult } from "../protocol/operations.js";
import { jsonText } from "./json-text.js";
import { leaseJson, type LeaseReport } from "./lease-reports.js";
import { ageOf, type Cell, type Printer, type PrintSettings, type Sheet } from "./printer.js";
import type { Output } from "./terminal.js";

type Json = Readonly<Record<string, unknown>>;

export class JsonPrinter implements Printer {
  readonly #output: Output;
  readonly #settings: PrintSettings;

  constructor(output: Output, settings: PrintSettings) {
    this.#output = output;
    this.#settings = settings;
  }

  put({ header, prevKv }: PutResponse): void {
    this.#write({ header: this.#header(header), prev_kv: keyValueJson(prevKv) });
  }

  range(response: RangeResponse): void {
    this.#write({ header: this.#header(response.header), ...rangeJson(response) });
  }

  delete(response: DeleteResponse): void {
    this.#write({ header: this.#header(response.header), ...deleteJson(response) });
  }

  txn(response: TransactionResponse): void {
    this.#write({
      header: this.#header(response.header),
      ...txnJson(response, response.header.revision),
    });
  }

  watch(part: WatchItem): void {
    const events = "events" in part ? part.events.map(eventJson) : [];
    this.#write({
      Header: {
        cluster_id: this.#settings.clusterId,
        revision: "events" in part ? part.revision : part.progress,
      },
      Events: events,
      CompactRevision: 0,
      Canceled: false,
      Created: false,
    });
  }

  compacted(_revision: number, { header }: Headed): void {
    this.#write({ header: this.#header(header) });
  }

  lease(report: LeaseReport): void {
    const header = this.#header(report.response.header);
    this.#write(report.kind === "revoked" ? { header } : { ...header, ...leaseJson(report) });
  }

  sheet(sheet: Sheet): void {
    this.#write(sheet.json);
  }

  done(_sentence: string, properties: Readonly<Record<string, Cell>>): void {
    this.#write(properties);
  }

  #header(header: ResponseHeader): Json {
    return {
      cluster_id: this.#settings.clusterId,
      member_id: header.nodeId,
      revision: header.revision,
      raft_term: header.raftTerm,
      level: header.level,
      age_ms: ageOf(header),
    };
  }

  #write(value: unknown): void {
    this.#output.write(`${jsonText(value)}\n`);
  }
}

function orAbsent<T>(value: T, absent: T): T | undefined {
  return value === absent ? undefined : value;
}

function keyValueJson(kv: KeyValue | undefined): Json | undefined {
  if (kv === undefined) return undefined;
  return {
    key: kv.key,
    create_revision: orAbsent(kv.createRevision, 0),
    mod_revision: orAbsent(kv.modRevision, 0),
    version: orAbsent(kv.version, 0),
    value: kv.value.length === 0 ? undefined : kv.value,
    lease: orAbsent(kv.lease, 0n),
  };
}

function keyValuesJson(kvs: readonly KeyValue[]): readonly unknown[] | undefined {
  return kvs.length === 0 ? undefined : kvs.map(keyValueJson);
}

function rangeJson(range: Pick<RangeResponse, "kvs" | "more" | "count">): Json {
  return {
    kvs: keyValuesJson(range.kvs),
    more: orAbsent(range.more, false),
    count: orAbsent(range.count, 0),
  };
}

function deleteJson(response: Pick<DeleteResponse, "deleted" | "prevKvs">): Json {
  return { deleted: orAbsent(response.deleted, 0), prev_kvs: keyValuesJson(response.prevKvs) };
}

function txnJson(txn: Pick<TransactionResponse, "succeeded" | "results">, revision: number): Json {
  const responses = txn.results.map((result) => ({ Response: resultJson(result, revision) }));
  return {
    succeeded: orAbsent(txn.succeeded, false),
    responses: responses.length === 0 ? undefined : responses,
  };
}

function resultJson(result: OperationResult, revision: number): Json {
  const header = { revision };
  switch (result.kind) {
    case "put":
      return { response_put: { header, prev_kv: keyValueJson(result.prevKv) } };
    case "range":
      return { response_range: { header, ...rangeJson(result) } };
    case "delete":
      return { response_delete_range: { header, ...deleteJson(result) } };
    case "txn":
      return { response_txn: { header, ...txnJson(result.result, revision) } };
  }
}

/** As etcd's enumeration has it, a put is 0 and so left out. */
function eventJson(event: WatchEvent): Json {
  return {
    type: event.type === "delete" ? 1 : undefined,
    kv: keyValueJson(event.kv),
    prev_kv: keyValueJson(event.prevKv),
  };
}

/**
 * What a command of flotctl is given: the terminal, the global flags, one client that is connected
 * when it is first asked for, and a printer for the format that was asked for.
 */
import type { ReadLevel, ResponseHeader } from "../protocol/key-value.js";
import type { ClientPort } from "./client-port.js";
import { badConnection } from "./failure.js";
import type { GlobalOptions } from "./global-options.js";
import { printerFor } from "./printer-loader.js";
import { ageOf, clusterNumber, type PrintSettings, type Printer } from "./printer.js";
import { formatDuration } from "./quantities.js";
import { note, type Terminal } from "./terminal.js";

export interface ConnectOptions {
  readonly endpoints: readonly string[];
  readonly keyspace: string | undefined;
  readonly level: ReadLevel;
  readonly requestTimeoutMs: number;
  readonly dialTimeoutMs: number;
}

export type Connect = (options: ConnectOptions) => Promise<ClientPort>;

export interface ContextParts {
  readonly terminal: Terminal;
  readonly options: GlobalOptions;
  /** What stood behind `--`. */
  readonly rest: readonly string[];
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly connect: Connect;
}

export class Context {
  readonly terminal: Terminal;
  readonly options: GlobalOptions;
  readonly rest: readonly string[];
  readonly signal: AbortSignal;
  readonly #connect: Connect;
  #client: Promise<ClientPort> | undefined;
  readonly #others: ClientPort[] = [];

  constructor(parts: ContextParts) {
    this.terminal = parts.terminal;
    this.options = parts.options;
    this.rest = parts.rest;
    this.signal = parts.signal;
    this.#connect = parts.connect;
  }

  client(): Promise<ClientPort> {
    const { endpoints, keyspace } = this.options;
    this.#client ??= this.#connected(endpoints, keyspace);
    return this.#client;
  }

  /** Of another cluster than that of --endpoints; closed with this context. */
  async clientOf(endpoints: readonly string[], keyspace?: string): Promise<ClientPort> {
    const client = await this.#connected(endpoints, keyspace);
    this.#others.push(client);
    return client;
  }

  async #connected(
    endpoints: readonly string[],
    keyspace: string | undefined,
  ): Promise<ClientPort> {
    const { level, commandTimeoutMs, dialTimeoutMs } = this.options;
    const requestTimeoutMs = commandTimeoutMs;
    try {
      const connect = this.#connect;
      return await connect({ endpoints, keyspace, level, requestTimeoutMs, dialTimeoutMs });
    } catch (error) {
      throw badConnection(endpoints, error);
    }
  }

  async printer(wanted: Partial<PrintSettings> = {}): Promise<Printer> {
    const { format, hex } = this.options;
    const showsCluster = format === "json" || format === "fields";
    return printerFor(format, this.terminal.out, {
      hex,
      valueOnly: wanted.valueOnly ?? false,
      countOnly: wanted.countOnly ?? false,
      clusterId: showsCluster && this.#client !== undefined ? await this.#clusterId() : 0n,
    });
  }

  async #clusterId(): Promise<bigint> {
    const client = await this.client();
    return clusterNumber((await client.admin.map()).clusterMap.clusterId);
  }

  /** Reads by another level than the default tell people what they show. */
  remarkLevel(header: ResponseHeader): void {
    if (this.options.level === "linearizable" || !this.terminal.err.isTTY) return;
    const ageMs = ageOf(header);
    const known =
      ageMs === undefined ? ", of unknown age" : `, at most ${formatDuration(ageMs)} old`;
    const age = header.level === "stale" ? known : "";
    note(this.terminal, `${header.level} read at revision ${header.revision}${age}`);
  }

  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    await client?.close();
    for (const other of this.#others) await other.close();
  }
}

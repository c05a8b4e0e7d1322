/**
 * The way to one other node: three connections that this node dials, for control messages, for
 * appends and for bulk data, so that no heartbeat waits behind a snapshot. A broken connection is
 * dialled again, with growing pauses; what is sent meanwhile is dropped, for Raft repeats itself.
 *
 * A host that vanished, or a partition, closes nothing: so each connection carries a ping now and
 * then, and one that stays without an answer is broken off. Time is counted in the rounds of one
 * timer, so that a stall of this node is not taken for the silence of another. While a backlog
 * drains the other side lives, and the ping only waits behind it.
 */
import type { ByteWriter, ByteReader } from "../base/coding.js";
import type { Env } from "../env/env.js";
import type { Timer } from "../env/timers.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { Hello } from "../protocol/hello-codec.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { encodeMessage } from "../raft/message-codec.js";
import type { Message } from "../raft/message.js";
import type { DeadlineWheel } from "../rpc/deadline-wheel.js";
import { dialFrames } from "../rpc/handshake.js";
import { RequestClient } from "../rpc/request-client.js";
import type { ResponseSink } from "../rpc/request-client.js";

export const CHANNELS = ["control", "data", "bulk"] as const;
export type Channel = (typeof CHANNELS)[number];

/** More than this waiting for one node means that it does not keep up: messages are dropped. */
const BUFFERED_BYTES_MAX: number = 64 * 1024 * 1024;
/** A ping at most this often, and this many rounds within the time of silence that is borne. */
const PING_MS_MAX = 500;
const PING_ROUNDS = 3;
/** In the second round a ping has waited for at least one. */
const SILENT_ROUNDS = 2;
const DIAL_TIMEOUT_MS = 1000;
const REDIAL_MS_MIN = 20;
const REDIAL_MS_MAX = 1000;

export interface PeerLinkOwner {
  readonly wheel: DeadlineWheel;
  /** A connection that answers nothing for this long is broken off. */
  readonly silentMs: number;
  hello(channel: Channel): Hello;
  /** The control connection broke. */
  linkLost(nodeId: number): void;
  /** A ping on the control connection had no answer for a whole round. */
  linkSilent(nodeId: number): void;
  linkUp(nodeId: number): void;
  /** Whether who answers at a node's address is not that node. */
  refuses(nodeId: number, peer: Hello): boolean;
  /** The node does not let this one in. */
  refusedBy(nodeId: number, error: KvError): void;
  /** The node said of itself that it is in this run. */
  runSeen(nodeId: number, run: number): void;
}

interface Line {
  client: RequestClient | undefined;
  /** Whom the client is connected to. */
  peer: Hello | undefined;
  /** Rounds for which a ping has waited; 0: none is under way. */
  pingRounds: number;
  /** What the system had taken of the output at the last round. */
  takenBytes: number;
  timer: Timer | undefined;
  pauseMs: number;
  dialling: boolean;
}

export class PeerLink {
  readonly nodeId: number;
  readonly #env: Env;
  readonly #owner: PeerLinkOwner;
  readonly #lines: Record<Channel, Line>;
  readonly #pingMs: number;
  #pingTimer: Timer | undefined;
  #address: string;
  #closed = false;

  constructor(env: Env, owner: PeerLinkOwner, nodeId: number, address: string) {
    this.#env = env;
    this.#owner = owner;
    this.nodeId = nodeId;
    this.#address = address;
    this.#lines = { control: newLine(), data: newLine(), bulk: newLine() };
    this.#pingMs = Math.min(PING_MS_MAX, Math.ceil(owner.silentMs / PING_ROUNDS));
    for (const channel of CHANNELS) this.#dial(channel);
    this.#schedulePings();
  }

  /** Whether control messages get through, as far as is known. */
  get connected(): boolean {
    return this.#lines.control.client?.open === true;
  }

  set address(address: string) {
    this.#address = address;
  }

  /** Sends a Raft message; false where it was dropped. */
  send(shardId: number, message: Message): boolean {
    const client = this.#lines[message.kind === "append" ? "data" : "control"].client;
    if (client === undefined || !client.open) return false;
    const { connection } = client;
    if (!connection.writable && connection.bufferedBytes > BUFFERED_BYTES_MAX) return false;
    const out = connection.begin(MESSAGE_TYPES.raft, 0, 0);
    out.u32(shardId);
    encodeMessage(message, out);
    connection.end();
    return true;
  }

  /** A request whose answer goes to `sink`; for what happens every turn. */
  request(
    type: number,
    encode: (out: ByteWriter) => void,
    sink: ResponseSink,
    timeoutMs: number,
  ): void {
    const client = this.#lines.control.client;
    if (client === undefined || !client.open) return sink.failed(this.#unreachable());
    encode(client.begin(type));
    client.send(sink, timeoutMs);
  }

  /** A request and its answer as a promise; for what is rare. */
  async ask<T>(
    channel: Channel,
    type: number,
    body: {
      readonly encode: (out: ByteWriter) => void;
      readonly decode: (reader: ByteReader) => T;
    },
    timeoutMs: number,
  ): Promise<T> {
    const client = this.#lines[channel].client;
    if (client === undefined || !client.open) throw this.#unreachable();
    return client.request(type, body.encode, body.decode, timeoutMs);
  }

  flush(): void {
    const { control, data } = this.#lines;
    if (control.client !== undefined) control.client.connection.flush();
    if (data.client !== undefined) data.client.connection.flush();
  }

  /** The node was heard of: whatever waits to be dialled again is dialled now. */
  wake(): void {
    for (const channel of CHANNELS) {
      const line = this.#lines[channel];
      line.pauseMs = REDIAL_MS_MIN;
      if (line.client !== undefined || line.dialling) continue;
      line.timer?.cancel();
      this.#dial(channel);
    }
  }

  /** The node has started again: what is connected to its older run leads nowhere. */
  dropOlder(run: number): void {
    for (const channel of CHANNELS) {
      const line = this.#lines[channel];
      if ((line.peer?.run ?? 0) < run) line.client?.connection.destroy();
    }
  }

  /** Who is connected may have turned out not to be that node. */
  dropRefused(): void {
    for (const channel of CHANNELS) {
      const { client, peer } = this.#lines[channel];
      if (client === undefined || peer === undefined) continue;
      if (this.#owner.refuses(this.nodeId, peer)) client.connection.destroy();
    }
  }

  close(): void {
    this.#closed = true;
    this.#pingTimer?.cancel();
    for (const channel of CHANNELS) {
      const line = this.#lines[channel];
      line.timer?.cancel();
      line.client?.connection.close();
    }
  }

  #dial(channel: Channel): void {
    const line = this.#lines[channel];
    if (this.#closed || line.dialling) return;
    line.dialling = true;
    dialFrames(this.#env, this.#address, {
      hello: this.#owner.hello(channel),
      timeoutMs: DIAL_TIMEOUT_MS,
      established: (connection, peer) => {
        const client = new RequestClient(connection, this.#owner.wheel, () => this.#lost(channel));
        line.client = client;
        line.peer = peer;
        line.pingRounds = 0;
        if (this.#owner.refuses(this.nodeId, peer)) connection.destroy();
        else this.#owner.runSeen(this.nodeId, peer.run);
        return client;
      },
    }).then(
      () => this.#dialled(channel),
      (error: unknown) => this.#notDialled(channel, error),
    );
  }

  #dialled(channel: Channel): void {
    const line = this.#lines[channel];
    line.dialling = false;
    if (this.#closed) {
      line.client?.connection.close();
      return;
    }
    if (line.client?.open !== true) return this.#redial(channel);
    line.pauseMs = REDIAL_MS_MIN;
    if (channel === "control") this.#owner.linkUp(this.nodeId);
  }

  #notDialled(channel: Channel, error: unknown): void {
    const line = this.#lines[channel];
    line.dialling = false;
    if (error instanceof KvError && error.code === "nodeRefused") {
      this.#owner.refusedBy(this.nodeId, error);
    }
    if (channel === "control" && line.pauseMs >= REDIAL_MS_MAX) {
      this.#env.tracer.trace("debug", "peer not reached", {
        nodeId: this.nodeId,
        address: this.#address,
        reason: error instanceof Error ? error.message : String(error),
      });
    }
    this.#redial(channel);
  }

  #lost(channel: Channel): void {
    const line = this.#lines[channel];
    line.client = undefined;
    if (this.#closed) return;
    if (channel === "control") this.#owner.linkLost(this.nodeId);
    if (!line.dialling) this.#redial(channel);
  }

  #redial(channel: Channel): void {
    const line = this.#lines[channel];
    if (this.#closed) return;
    line.timer?.cancel();
    line.timer = this.#env.timers.after(line.pauseMs, () => this.#dial(channel));
    line.pauseMs = Math.min(line.pauseMs * 2, REDIAL_MS_MAX);
  }

  /** A round begins after a poll of the network, so that answers that are here are seen first. */
  #schedulePings(): void {
    this.#pingTimer = this.#env.timers.after(this.#pingMs, () => {
      this.#env.timers.endOfTurn(() => {
        if (this.#closed) return;
        for (const channel of CHANNELS) this.#pingRound(channel);
        this.#schedulePings();
      });
    });
  }

  #pingRound(channel: Channel): void {
    const line = this.#lines[channel];
    const { client } = line;
    if (client === undefined || !client.open) return;
    const { connection } = client;
    if (line.pingRounds === 0) {
      client.begin(MESSAGE_TYPES.ping);
      const heard = (): void => {
        if (line.client === client) line.pingRounds = 0;
      };
      client.send({ answered: heard, failed: heard }, 0);
    }
    const takenBytes = connection.queuedBytes - connection.bufferedBytes;
    const drains = !connection.writable && takenBytes > line.takenBytes;
    line.takenBytes = takenBytes;
    line.pingRounds = drains ? 1 : line.pingRounds + 1;
    const { nodeId } = this;
    if (line.pingRounds === SILENT_ROUNDS && channel === "control") this.#owner.linkSilent(nodeId);
    if (line.pingRounds * this.#pingMs <= this.#owner.silentMs) return;
    this.#env.tracer.trace("warn", "a connection is silent and broken off", { nodeId, channel });
    connection.destroy();
  }

  #unreachable(): KvError {
    return notApplied("unavailable", `no connection to node ${this.nodeId} at ${this.#address}`);
  }
}

function newLine(): Line {
  return {
    client: undefined,
    peer: undefined,
    pingRounds: 0,
    takenBytes: 0,
    timer: undefined,
    pauseMs: REDIAL_MS_MIN,
    dialling: false,
  };
}

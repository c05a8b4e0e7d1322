/**
 * Many leases by etcd's API: all are granted by the leader, then kept alive at a steady rate over
 * streams to all nodes, and at the end counted. Both clusters are loaded in turns.
 *
 * A keep-alive goes out at its time whatever became of those before it; a stream answers in the
 * order of what was sent.
 */
import { parseArgs } from "node:util";
import { FrameReader } from "../../src/gateway/grpc-frames.js";
import { WireReader } from "../../src/gateway/wire.js";
import {
  GRANT_PATH,
  KEEP_ALIVE_PATH,
  grantMessage,
  keepAliveMessage,
  openLink,
} from "./etcd-load.js";
import type { Link } from "./etcd-load.js";
import { busiestDuring, leaderOf, line, onSides, text } from "./etcd-sides.js";
import type { Side } from "./etcd-sides.js";
import { GrpcClient } from "./grpc-client.js";
import { Histogram } from "./histogram.js";

const HELP = `Usage: npm run -s bench -- leases [options]

  --leases 100000     how many
  --ttl 600           seconds that each lives without a keep-alive
  --rate 10000        keep-alives a second
  --streams 12        over so many streams, each of its own connection
  --seconds 10        how long they are sent
  --rounds 2
  --compare etcd      beside three etcd servers
  --data dist/bench-data
`;

interface Plan {
  readonly leases: number;
  readonly ttlSeconds: number;
  readonly rate: number;
  readonly streams: number;
  readonly seconds: number;
  readonly rounds: number;
}

const GRANT_LINKS = 10;
const GRANTS_IN_FLIGHT = 256;
const MESSAGE_BYTES_MAX: number = 1024 * 1024;
const TICK_MS = 2;
const DRAIN_MS = 5000;

export async function leaseBench(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      leases: text("100000"),
      ttl: text("600"),
      rate: text("10000"),
      streams: text("12"),
      seconds: text("10"),
      rounds: text("2"),
      compare: text(""),
      data: text("dist/bench-data"),
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const plan: Plan = {
    leases: Number(values.leases),
    ttlSeconds: Number(values.ttl),
    rate: Number(values.rate),
    streams: Number(values.streams),
    seconds: Number(values.seconds),
    rounds: Number(values.rounds),
  };
  return onSides(values, (sides) => measureAll(sides, plan));
}

async function measureAll(sides: readonly Side[], plan: Plan): Promise<void> {
  console.log(line(["work", "", "done", "failed", "a second", "p50 ms", "p99", "busiest %"]));
  for (const side of sides) console.log(await measureGrants(side, plan));
  const rounds = Array.from({ length: plan.rounds }, () => sides).flat();
  for (const side of rounds) console.log(await measureKeepAlives(side, plan));
  for (const side of sides) {
    const count = await countLeases(await leaderOf(side));
    console.log(line(["held", side.name, String(count)]));
  }
}

async function measureGrants(side: Side, plan: Plan): Promise<string> {
  const address = await leaderOf(side);
  const links = await Promise.all(Array.from({ length: GRANT_LINKS }, () => openLink(address)));
  const figures = new Figures();
  const busiest = await busiestDuring(side, () => grantAll(links, plan, figures));
  for (const { socket } of links) socket.destroy();
  return line(["grant", side.name, ...figures.cells(), busiest.toFixed(1)]);
}

/** A closed loop: each answer sends the next grant. */
function grantAll(links: readonly Link[], plan: Plan, figures: Figures): Promise<void> {
  return new Promise((done) => {
    let sent = 0;
    const next = (link: Link): void => {
      if (sent === plan.leases) return;
      const body = grantMessage(++sent, plan.ttlSeconds);
      const sentMs = performance.now();
      const answered = (error: string | undefined): void => {
        figures.answered(sentMs, error);
        if (figures.count === plan.leases) done();
        else next(link);
      };
      link.http2.call({ path: GRANT_PATH, body, done: answered });
    };
    for (let i = 0; i < GRANTS_IN_FLIGHT; i++) next(links[i % links.length]!);
  });
}

async function measureKeepAlives(side: Side, plan: Plan): Promise<string> {
  const { addresses } = side;
  const places = Array.from({ length: plan.streams }, (_, i) => addresses[i % addresses.length]!);
  const links = await Promise.all(places.map(openLink));
  const figures = new Figures();
  const streams = links.map((link) => new KeepAliveStream(link, figures));
  const busiest = await busiestDuring(side, () => keepAlive(streams, plan));
  await drained(figures, plan.rate * plan.seconds);
  for (const { socket } of links) socket.destroy();
  return line(["keep-alive", side.name, ...figures.cells(), busiest.toFixed(1)]);
}

function keepAlive(streams: readonly KeepAliveStream[], plan: Plan): Promise<void> {
  const count = plan.rate * plan.seconds;
  const startMs = performance.now();
  let sent = 0;
  return new Promise((done) => {
    const timer = setInterval(() => {
      const due = Math.min(count, ((performance.now() - startMs) / 1000) * plan.rate);
      for (; sent < due; sent++) streams[sent % streams.length]!.send((sent % plan.leases) + 1);
      if (sent < count) return;
      clearInterval(timer);
      done();
    }, TICK_MS);
  });
}

async function drained(figures: Figures, count: number): Promise<void> {
  const endMs = performance.now() + DRAIN_MS;
  while (figures.count < count && performance.now() < endMs) {
    await new Promise((later) => setTimeout(later, 10));
  }
}

/** Answers of one kind: how many, how fast, and how many were no good. */
class Figures {
  readonly #latencies = new Histogram();
  readonly #startedMs = performance.now();
  #lastMs = 0;
  #failed = 0;

  get count(): number {
    return this.#latencies.total + this.#failed;
  }

  answered(sentMs: number, error: string | undefined): void {
    this.#lastMs = performance.now();
    if (error === undefined) this.#latencies.record(this.#lastMs - sentMs);
    else if (this.#failed++ === 0) console.error(error);
  }

  /** Those without an answer are not among them. */
  cells(): string[] {
    const { total } = this.#latencies;
    const rate = (1000 * total) / (this.#lastMs - this.#startedMs);
    const ms = (fraction: number): string => this.#latencies.percentileMs(fraction).toFixed(2);
    return [String(total), String(this.#failed), rate.toFixed(0), ms(0.5), ms(0.99)];
  }
}

class KeepAliveStream {
  readonly #link: Link;
  readonly #figures: Figures;
  readonly #frames = new FrameReader(MESSAGE_BYTES_MAX);
  /** When what has no answer yet was sent, from #answered on. */
  readonly #sentMs: number[] = [];
  #answered = 0;
  #send: ((body: Uint8Array) => void) | undefined;

  constructor(link: Link, figures: Figures) {
    this.#link = link;
    this.#figures = figures;
  }

  send(id: number): void {
    this.#sentMs.push(performance.now());
    const body = keepAliveMessage(id);
    if (this.#send !== undefined) return this.#send(body);
    const data = (bytes: Uint8Array): void => this.#take(bytes);
    const done = (error: string | undefined): void => {
      if (error !== "the connection was closed") console.error(`a stream ended: ${error}`);
    };
    this.#send = this.#link.http2.stream({ path: KEEP_ALIVE_PATH, body, data, done });
  }

  #take(bytes: Uint8Array): void {
    this.#frames.push(bytes);
    for (let next = this.#frames.next(); next !== undefined; next = this.#frames.next()) {
      const isAlive = secondsLeft(next) > 0;
      const sentMs = this.#sentMs[this.#answered++]!;
      this.#figures.answered(sentMs, isAlive ? undefined : "a lease was gone");
    }
  }
}

/** LeaseKeepAliveResponse: 3 TTL. */
function secondsLeft(message: Uint8Array): number {
  const reader = new WireReader(message);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x18) return reader.int64();
    reader.skip(tag);
  }
  return 0;
}

async function countLeases(address: string): Promise<number> {
  const client = new GrpcClient(address);
  const path = "/etcdserverpb.Lease/LeaseLeases";
  const { message, response } = await client.call(path, "LeaseLeases", {});
  client.close();
  if (response === undefined) throw new Error(`the leases were not listed: ${message}`);
  return (response["leases"] as readonly unknown[]).length;
}

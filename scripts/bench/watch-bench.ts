/**
 * How long events take: watchers by etcd's API at one node of a cluster, and puts that say when
 * they were sent. Two works: `spread`, many keys with one watcher each, and `shared`, one key that
 * all watch. Both clusters run all the time and are loaded in turns.
 *
 * The put goes out at its time whatever became of those before it. Latency is from there to the
 * event, and from the put's answer to the event.
 */
import { parseArgs } from "node:util";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { FrameReader } from "../../src/gateway/grpc-frames.js";
import { WireReader } from "../../src/gateway/wire.js";
import { PUT_PATH, WATCH_PATH, openLink, putMessage, watchMessage } from "./etcd-load.js";
import type { Link } from "./etcd-load.js";
import { busiestDuring, leaderOf, line, onSides, text } from "./etcd-sides.js";
import type { Side } from "./etcd-sides.js";
import { Histogram } from "./histogram.js";
import { StandstillObserver, stoodStill } from "./standstill.js";
import type { Standstill } from "./standstill.js";

const HELP = `Usage: npm run -s bench -- watch [options]

  --watchers 1000     how many watches
  --connections 10    over how many connections; each has one stream for its watches
  --rate 1000         puts a second of the work "spread"; the work "shared" has --shared-rate
  --shared-rate 20
  --seconds 5         how long a round takes
  --rounds 2
  --compare etcd      beside three etcd servers
  --data dist/bench-data
`;

interface Plan {
  readonly watchers: number;
  readonly connections: number;
  readonly seconds: number;
}

interface Work {
  readonly name: string;
  readonly keys: readonly Uint8Array[];
  readonly rate: number;
  /** Of each put. */
  readonly eventsPerPut: number;
}

const DRAIN_MS = 2000;
const MESSAGE_BYTES_MAX: number = 64 * 1024 * 1024;
const TICK_MS = 2;
/** After a standstill. */
const AFTERMATH_MS = 20;

export async function watchBench(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      watchers: text("1000"),
      connections: text("10"),
      rate: text("1000"),
      "shared-rate": text("20"),
      seconds: text("5"),
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
  const plan = {
    watchers: Number(values.watchers),
    connections: Number(values.connections),
    seconds: Number(values.seconds),
  };
  const works = worksOf(plan.watchers, Number(values.rate), Number(values["shared-rate"]));
  return onSides(values, async (sides) => {
    console.log(line(["work", "", "puts", "events", "missing", ...HEADS]));
    console.log(
      `* of what was under way only while the machine did not stand still (standstill.ts)`,
    );
    const rounds = Array.from({ length: Number(values.rounds) }, () => sides).flat();
    for (const work of works) {
      for (const side of rounds) console.log(await measure(side, plan, work));
    }
  });
}

const HEADS = ["put p50", "p99", "ack p50", "p99", "max ms", "p99 *", "still %", "busiest %"];

function worksOf(watchers: number, rate: number, sharedRate: number): readonly Work[] {
  const keys = Array.from({ length: watchers }, (_, i) => utf8(`watched-${i}`));
  return [
    { name: "spread", keys, rate, eventsPerPut: 1 },
    { name: "shared", keys: [utf8("shared")], rate: sharedRate, eventsPerPut: watchers },
  ];
}

async function measure(side: Side, plan: Plan, work: Work): Promise<string> {
  const address = await leaderOf(side);
  const links = await Promise.all(
    Array.from({ length: plan.connections }, () => openLink(address)),
  );
  const writer = await openLink(address);
  const round = new WatchRound(work);
  await round.watchAll(links, plan.watchers);
  const observer = new StandstillObserver();
  const startedMs = performance.now();
  const busiest = await busiestDuring(side, () => round.putAll(writer, plan.seconds));
  const tookMs = performance.now() - startedMs;
  const standstills = await observer.end();
  for (const { socket } of [...links, writer]) socket.destroy();
  const still = standstills.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0) / tookMs;
  const machine = [round.undisturbedMs(standstills), (100 * still).toFixed(1)];
  return line([work.name, side.name, ...round.figures(), ...machine, busiest.toFixed(1)]);
}

class WatchRound {
  readonly #work: Work;
  readonly #fromPut = new Histogram();
  readonly #fromAck = new Histogram();
  /** When the put was answered, by its number. */
  readonly #ackedMs: (number | undefined)[] = [];
  /** Events that came before the answer to their put. */
  readonly #early: Map<number, number[]> = new Map();
  #sent = 0;
  #created = 0;
  #events = 0;
  #worstMs = 0;
  #sentMs: number[] = [];
  /** Of each event: the number of its put, and when it came. */
  readonly #seenAt: [put: number, ms: number][] = [];
  #allCreated: () => void = () => undefined;

  constructor(work: Work) {
    this.#work = work;
  }

  watchAll(links: readonly Link[], watchers: number): Promise<void> {
    const { keys } = this.#work;
    const created = new Promise<void>((done) => {
      this.#allCreated = () => {
        if (++this.#created === watchers) done();
      };
    });
    const senders = links.map(({ http2 }) => {
      let send: ((body: Uint8Array) => void) | undefined;
      const frames = new FrameReader(MESSAGE_BYTES_MAX);
      const data = (bytes: Uint8Array): void => {
        frames.push(bytes);
        for (let next = frames.next(); next !== undefined; next = frames.next()) this.#take(next);
      };
      const done = (error: string | undefined): void => {
        if (error !== "the connection was closed") console.error(`a watch stream ended: ${error}`);
      };
      return (body: Uint8Array): void => {
        if (send === undefined) send = http2.stream({ path: WATCH_PATH, body, data, done });
        else send(body);
      };
    });
    for (let i = 0; i < watchers; i++) {
      senders[i % senders.length]!(watchMessage(keys[i % keys.length]!));
    }
    return created;
  }

  async putAll({ http2 }: Link, seconds: number): Promise<void> {
    const { keys, rate } = this.#work;
    const count = rate * seconds;
    const startMs = performance.now();
    await new Promise<void>((done) => {
      const timer = setInterval(() => {
        const due = Math.min(count, ((performance.now() - startMs) / 1000) * rate);
        while (this.#sent < due) this.#put(http2, keys[this.#sent % keys.length]!);
        if (this.#sent < count) return;
        clearInterval(timer);
        done();
      }, TICK_MS);
    });
    const endMs = performance.now() + DRAIN_MS;
    while (this.#events < this.#wanted && performance.now() < endMs) {
      await new Promise((later) => setTimeout(later, 10));
    }
  }

  figures(): string[] {
    const ms = (histogram: Histogram, fraction: number): string =>
      histogram.percentileMs(fraction).toFixed(2);
    return [
      String(this.#sent),
      String(this.#events),
      String(this.#wanted - this.#events),
      ms(this.#fromPut, 0.5),
      ms(this.#fromPut, 0.99),
      ms(this.#fromAck, 0.5),
      ms(this.#fromAck, 0.99),
      this.#worstMs.toFixed(1),
    ];
  }

  /** How long 99 % took at most of those that no standstill of the machine met. */
  undisturbedMs(standstills: readonly Standstill[]): string {
    const undisturbed = new Histogram();
    const { timeOrigin } = performance;
    for (const [put, ms] of this.#seenAt) {
      const sentMs = this.#sentMs[put]!;
      // What had piled up meanwhile is still behind for a moment.
      const fromMs = timeOrigin + sentMs - AFTERMATH_MS;
      if (!stoodStill(standstills, fromMs, timeOrigin + ms)) undisturbed.record(ms - sentMs);
    }
    return undisturbed.percentileMs(0.99).toFixed(2);
  }

  get #wanted(): number {
    return this.#sent * this.#work.eventsPerPut;
  }

  #put(http2: Link["http2"], key: Uint8Array): void {
    const number = this.#sent++;
    this.#sentMs[number] = performance.now();
    const body = putMessage(key, utf8(String(number)));
    http2.call({ path: PUT_PATH, body, done: (error) => this.#acked(number, error) });
  }

  #acked(number: number, error: string | undefined): void {
    if (error !== undefined) console.error(`a put failed: ${error}`);
    const nowMs = performance.now();
    this.#ackedMs[number] = nowMs;
    for (const _ of this.#early.get(number) ?? []) this.#fromAck.record(0);
    this.#early.delete(number);
  }

  /** WatchResponse: 3 created, 11 events: 2 kv: 5 value. */
  #take(message: Uint8Array): void {
    const reader = new WireReader(message);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 0x18 && reader.bool()) this.#allCreated();
      else if (tag === 0x5a) this.#takeEvent(reader);
      else if (tag !== 0x18) reader.skip(tag);
    }
  }

  #takeEvent(reader: WireReader): void {
    const outer = reader.enter();
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag !== 0x12) {
        reader.skip(tag);
        continue;
      }
      const event = reader.enter();
      for (let field = reader.tag(); field !== 0; field = reader.tag()) {
        if (field === 0x2a) this.#seen(Number(utf8Text(reader.blob())));
        else reader.skip(field);
      }
      reader.leave(event);
    }
    reader.leave(outer);
  }

  #seen(number: number): void {
    const nowMs = performance.now();
    this.#events++;
    const tookMs = nowMs - this.#sentMs[number]!;
    this.#seenAt.push([number, nowMs]);
    this.#worstMs = Math.max(this.#worstMs, tookMs);
    this.#fromPut.record(tookMs);
    const ackedMs = this.#ackedMs[number];
    if (ackedMs !== undefined) return this.#fromAck.record(nowMs - ackedMs);
    const early = this.#early.get(number);
    if (early === undefined) this.#early.set(number, [nowMs]);
    else early.push(nowMs);
  }
}

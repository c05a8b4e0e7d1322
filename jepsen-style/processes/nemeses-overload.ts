/**
 * More than a node should have to bear: connections that come and go, clients that ask and do not
 * listen, bursts of writes, an event loop that stands still again and again. The workloads go on as
 * well as they can.
 */
import net from "node:net";
import { connect } from "../../src/client/index.js";
import type { Prng } from "../../src/base/prng.js";
import { KvError } from "../../src/protocol/errors.js";
import type { Cluster } from "./cluster.js";
import type { Fault, Nemesis, Scene } from "./nemesis.js";
import { shuffled, targets } from "./nemesis.js";

const CHURN_MS = [2, 20] as const;
const CHURN_LIFE_MS = 300;
const SLOW_CLIENTS = 12;
/** Of each slow client, one behind the other: of what bursts left, more than sockets hold. */
const RANGES_A_CLIENT = 20;
const BURST_WRITES = 4000;
const BURST_KEYS = 64;
const BURST_VALUE = "v".repeat(8 * 1024);
const BURST_TIMEOUT_MS = 10_000;
const STUTTER_MS = [50, 300] as const;
const STUTTER_GAP_MS = [20, 400] as const;
/** What a stranger may say first: nothing, words of no protocol, half a preface, half a request. */
const OPENINGS: readonly string[] = ["", "\0\x01\x02nonsense", "PRI * HTTP/2.0\r\n", "POST /v3/kv"];
/** Of all keys, in etcd's JSON. */
const EVERYTHING = JSON.stringify({ key: "AA==", range_end: "AA==" });
const ALL_EVENTS = `{"create_request":{"key":"AA==","range_end":"AA==","start_revision":"1"}}`;

function post(path: string, body: string): string {
  return `POST /v3/${path} HTTP/1.1\r\nhost: node\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

function socketTo(cluster: Cluster, name: string): net.Socket {
  const [host = "", port = ""] = cluster.advertised(name).client.split(":");
  const socket = net.connect({ host, port: Number(port) });
  socket.on("error", () => undefined);
  return socket;
}

/** Calls again and again, at random times; gives what ends it. */
function again(prng: Prng, ms: readonly [number, number], run: () => void): () => void {
  let timer: NodeJS.Timeout;
  const next = (): void => {
    timer = setTimeout(
      () => {
        run();
        next();
      },
      prng.between(...ms),
    );
  };
  next();
  return () => clearTimeout(timer);
}

function churn({ cluster, prng }: Scene): Fault {
  let opened = 0;
  const open = new Set<net.Socket>();
  const stop = again(prng, CHURN_MS, () => {
    const socket = socketTo(cluster, shuffled(cluster.names, prng)[0]!);
    open.add(socket);
    opened++;
    socket.write(OPENINGS[prng.between(0, OPENINGS.length - 1)]!);
    socket.resume().once("close", () => open.delete(socket));
    const breaks = prng.chance(0.5);
    const life = setTimeout(
      () => (breaks ? socket.resetAndDestroy() : socket.end()),
      prng.between(0, CHURN_LIFE_MS),
    );
    socket.once("close", () => clearTimeout(life));
  });
  const heal = (): string => {
    stop();
    for (const socket of open) socket.destroy();
    return `${opened} connections`;
  };
  return { text: "connections come and go", heal };
}

/** Half of them listen at the end, and half go as they are. */
export function slowClients({ cluster, prng }: Scene): Fault {
  const [name] = shuffled(cluster.names, prng);
  const sockets = Array.from({ length: SLOW_CLIENTS }, (_, at) => {
    const socket = socketTo(cluster, name!);
    socket.pause();
    if (at % 2 === 0) socket.write(post("watch", ALL_EVENTS));
    else socket.write(post("kv/range", EVERYTHING).repeat(RANGES_A_CLIENT));
    return socket;
  });
  const heal = async (): Promise<string> => {
    let heard = 0;
    for (const socket of sockets.slice(sockets.length / 2)) {
      socket.on("data", (bytes: Uint8Array) => (heard += bytes.length));
      // A listener alone does not wake a socket that was told to pause.
      socket.resume();
    }
    await new Promise((resolve) => setTimeout(resolve, prng.between(500, 3000)));
    for (const socket of sockets) socket.destroy();
    return `half of them heard ${heard} bytes at last`;
  };
  return { text: `${SLOW_CLIENTS} clients of ${name} do not listen`, heal };
}

/** All at once, beside what the workloads ask for; their keys are the harness's own. */
function burst({ cluster, blame }: Scene): Fault {
  const counts = new Map<string, number>();
  const note = (outcome: string): void => void counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  const noteRefusal = (error: unknown): void => {
    const { code, message } = KvError.from(error);
    if (code === "internal") blame(`a write of a burst came to: ${message}`);
    note(code);
  };
  const write = async (): Promise<void> => {
    const { endpoints } = cluster;
    const client = await connect({ endpoints, requestTimeoutMs: BURST_TIMEOUT_MS });
    const puts = Array.from({ length: BURST_WRITES }, (_, at) =>
      client
        .put(`harness/burst/${at % BURST_KEYS}`, BURST_VALUE)
        .then(() => note("served"), noteRefusal),
    );
    await Promise.all(puts);
    await client.close();
  };
  const writing = write().catch(noteRefusal);
  const heal = async (): Promise<string> => {
    await writing;
    return [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(", ");
  };
  return { text: `a burst of ${BURST_WRITES} writes of ${BURST_VALUE.length} bytes`, heal };
}

/** Each stop by itself is shorter than an election takes. */
function stutter(scene: Scene): Fault {
  const { cluster, prng } = scene;
  const names = targets(scene);
  let stops = 0;
  let over = false;
  const run = async (name: string): Promise<void> => {
    while (!over) {
      const node = cluster.names.includes(name) ? cluster.node(name) : undefined;
      // Another one's hold is not this one's to end.
      const isOwn = node?.state === "running";
      if (isOwn) node.hold();
      await new Promise((resolve) => setTimeout(resolve, prng.between(...STUTTER_MS)));
      if (isOwn) node.release();
      if (isOwn) stops++;
      await new Promise((resolve) => setTimeout(resolve, prng.between(...STUTTER_GAP_MS)));
    }
  };
  const all = Promise.all(names.map(run));
  const heal = async (): Promise<string> => {
    over = true;
    await all;
    return `${stops} stops`;
  };
  return { text: `stutter ${names.join(" ")}`, heal };
}

export const OVERLOAD_NEMESES: readonly Nemesis[] = [
  {
    name: "overload",
    fillsLogs: true,
    about: `connections that come and go, clients who do not read, ${BURST_WRITES} writes at once`,
    holdMs: [2000, 6000],
    strike: (scene) => shuffled([churn, slowClients, burst], scene.prng)[0]!(scene),
  },
  {
    name: "stutter",
    about: "SIGSTOP for 50 to 300 ms, again and again",
    holdMs: [2000, 6000],
    strike: stutter,
  },
];

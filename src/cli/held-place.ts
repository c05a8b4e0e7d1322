/**
 * What flotctl's lock and elect have in common: a lease that lives as long as the command, a place
 * at the front of a waiting line, and what to do when it is lost.
 */
import { untilLost } from "../client/waiting-line.js";
import type { Place } from "../client/waiting-line.js";
import { KvError } from "../protocol/errors.js";
import { type Arguments, countOf } from "./arguments.js";
import type { ClientPort, LivingLease } from "./client-port.js";
import type { Context } from "./context.js";
import { EXIT } from "./exit-codes.js";
import { badArguments, CliError } from "./failure.js";
import { note } from "./terminal.js";

export const TTL_FLAG = {
  ttl: {
    type: "string",
    describe: "seconds until others may go ahead if this process dies",
    defaultDescription: "10",
  },
} as const;
const TTL_SECONDS = 10;

export function ttlOf(argv: Arguments): number {
  if (argv["ttl"] === undefined) return TTL_SECONDS;
  const ttlSeconds = countOf(argv, "ttl");
  if (ttlSeconds === 0) throw badArguments("--ttl must be above 0");
  return ttlSeconds;
}

export interface Holding<Held extends Place> {
  readonly ttlSeconds: number;
  /** For people. */
  readonly what: string;
  /** Waits for the place; gives up by the signal. */
  readonly take: (lease: bigint, signal: AbortSignal) => Promise<Held>;
  /** Gives the exit code; `end` says that it is time to end. */
  readonly hold: (held: Held, end: AbortSignal) => Promise<number>;
}

/** Takes a place, holds it until that ends or Ctrl-C, and gives it back. */
export async function holdPlace<Held extends Place>(
  context: Context,
  client: ClientPort,
  holding: Holding<Held>,
): Promise<number> {
  const lease = await client.keepLease(holding.ttlSeconds);
  const over = new AbortController();
  try {
    const held = await taken(context, lease, holding);
    if (held === undefined) return EXIT.interrupted;
    const lost = lossOf(client, held, lease, over.signal);
    const exitCode = await holding.hold(held, AbortSignal.any([context.signal, lost]));
    if (lost.aborted) throw lossError(holding.what);
    return exitCode;
  } finally {
    over.abort();
    await giveBack(context, lease, holding);
  }
}

/** undefined where it was given up by Ctrl-C. */
async function taken<Held extends Place>(
  { signal }: Context,
  lease: LivingLease,
  holding: Holding<Held>,
): Promise<Held | undefined> {
  try {
    return await holding.take(lease.id, AbortSignal.any([signal, lease.gone]));
  } catch (error) {
    if (KvError.from(error).code !== "cancelled") throw error;
    if (signal.aborted) return undefined;
    throw lossError(holding.what);
  }
}

async function giveBack(
  { terminal }: Context,
  lease: LivingLease,
  { what, ttlSeconds }: Pick<Holding<Place>, "what" | "ttlSeconds">,
): Promise<void> {
  try {
    await lease.revoke();
  } catch (error) {
    const { message } = KvError.from(error);
    const text = `${what} could not be given back (${message}); it ends within ${ttlSeconds} s`;
    note(terminal, text, "yellow");
  }
}

function lossError(what: string): CliError {
  return new CliError(EXIT.failed, `${what} was lost: its key is gone`, {
    because: "the lease could not be renewed in time, or somebody has deleted the key",
    next: "use a longer --ttl where the cluster is slow",
  });
}

/** Aborted when the place is lost; nobody asks any more when it is `over`. */
function lossOf(
  client: ClientPort,
  place: Place,
  lease: LivingLease,
  over: AbortSignal,
): AbortSignal {
  const lost = new AbortController();
  untilLost(client, place, over).then(
    () => over.aborted || lost.abort(),
    // Who cannot see whether the key is there has the lease to tell him.
    () => undefined,
  );
  return AbortSignal.any([lost.signal, lease.gone]);
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

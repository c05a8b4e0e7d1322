/**
 * flotctl lock: holds a lock while a program runs, or until Ctrl-C. It gives the lock back in any
 * case it can; if the process dies, its lease does that.
 */
import { acquireLock } from "../../client/lock.js";
import type { HeldLock } from "../../client/lock.js";
import { requiredOf, textsOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { aborted, holdPlace, TTL_FLAG, ttlOf } from "../held-place.js";
import { lockEnvironment, runProgram } from "../run-program.js";

export const lock: CommandDefinition<Context> = {
  flags: TTL_FLAG,
  writes: true,
  endsItself: true,
  examples: [
    ["lock nightly", "hold it until Ctrl-C"],
    ["lock nightly -- make -C /srv report", "hold it while a program runs"],
  ],
  epilogue: [
    "The program gets FLOTCTL_LOCK_KEY and FLOTCTL_LOCK_REV, and the same by etcdctl's names; its",
    "exit code is that of the command. REV grows from holder to holder: who refuses what comes with",
    "a smaller one than he has seen is safe from a holder who does not know that he has lost the",
    "lock. A program whose lock is lost is sent SIGTERM, and the exit code is 1.",
  ].join("\n"),
  run: async (context, argv) => {
    const name = requiredOf(argv, "name");
    const program = textsOf(argv, "program");
    const ttlSeconds = ttlOf(argv);
    const client = await context.client();
    return holdPlace<HeldLock>(context, client, {
      ttlSeconds,
      what: `the lock ${name}`,
      take: (lease, signal) => acquireLock(client, { name, lease, signal }),
      hold: async ({ key, createRevision }, end) => {
        const environment = lockEnvironment(key, createRevision);
        if (program.length > 0) return runProgram(program, environment, end);
        (await context.printer()).range(await client.range({ key }));
        await aborted(end);
        return EXIT.ok;
      },
    });
  },
};

/**
 * The process that outlives the harness by a moment: it is told the ids of the processes that the
 * harness starts, a line each ("+ID" started, "-ID" ended), and kills those that are left when its
 * input ends, however the harness ended, or when its time is up. Its argument is that time in
 * seconds. It kills nothing that it was not told of.
 */
import { createInterface } from "node:readline";

const alive = new Set<number>();

function end(): void {
  for (const pid of alive) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
  process.exit(0);
}

// An interrupt at the terminal is for the harness, which then ends its processes itself.
process.on("SIGINT", () => undefined);
setTimeout(end, Number(process.argv[2]) * 1000);
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const pid = Number(line.slice(1));
  if (line.startsWith("+")) alive.add(pid);
  else alive.delete(pid);
});
lines.on("close", end);

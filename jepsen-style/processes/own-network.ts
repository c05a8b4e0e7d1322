/**
 * Runs a program, such as the harness's own command once more, in a network and with mounts of its
 * own: nothing of them is seen outside, nothing outside is reached from them, and all of it is gone
 * with the last process. Who is not root is root in there, where the system allows that.
 */
import { spawn, spawnSync } from "node:child_process";
import { Guard } from "./guard.js";

const INSIDE_VARIABLE = "FLOTILLA_JEPSEN_OWN_NETWORK";
/** What namespace-links.ts uses; of ss, that it is there. */
const TRIAL = [
  "mount -t tmpfs names /run",
  "mkdir /run/netns",
  "ip netns add trial",
  "ip link add links type bridge",
  "ip link add to-trial type veth peer name links netns trial",
  "ip link set to-trial master links",
  "nsenter --net=/run/netns/trial true",
  "ss -V",
].join(" && ");

/** Whether this machine does that: Linux, the usual tools, and leave to use them. */
export function givesNetworks(): boolean {
  if (isInside()) return true;
  const { status } = spawnSync("unshare", [...flags(), "sh", "-c", TRIAL], { stdio: "ignore" });
  return status === 0;
}

export function isInside(): boolean {
  return process.env[INSIDE_VARIABLE] !== undefined;
}

/** What runs a program of Node.js in there: a command and its words. */
export function insideCommand(words: readonly string[]): readonly [string, readonly string[]] {
  return ["unshare", [...flags(), "env", `${INSIDE_VARIABLE}=yes`, process.execPath, ...words]];
}

/** This same command in there; gives its exit code, null where it was killed. */
export async function runInside(lifetimeSeconds: number): Promise<number | null> {
  const guard = new Guard(lifetimeSeconds);
  const [command, words] = insideCommand(process.argv.slice(1));
  const child = spawn(command, words, { stdio: "inherit" });
  guard.watch(child);
  const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  guard.close();
  return code;
}

function flags(): readonly string[] {
  return ["--net", "--mount", ...(process.getuid?.() === 0 ? [] : ["--map-root-user"])];
}

/** etcd's own client for Go, built from the system's packages, through its public interface. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { linesReport } from "./report.js";
import type { Report } from "./report.js";

const run = promisify(execFile);
const CHECKS = resolve("scripts/bench/clients/checks.go");
/** Where Debian's golang-etcd-server-dev has it. */
const GO_PATH = "/usr/share/gocode";
const BUILD_MS = 180_000;
const RUN_MS = 120_000;

/** What waits for ever behind etcd's proxy in front of etcd, too. */
const NOT_BY_PROXY = ["watches", "wrappers"];

/** Against the members, and where there is a proxy against that, too. */
export async function checkGo(
  addresses: readonly string[],
  startProxy: () => Promise<string | undefined>,
  directory: string,
): Promise<readonly Report[]> {
  const client = "Go clientv3";
  if (!existsSync(join(GO_PATH, "src/go.etcd.io/etcd/clientv3"))) {
    return [{ client, passed: [], failed: [], missing: "not installed: left out" }];
  }
  const program = join(directory, "go-checks");
  const cache = join(directory, "go-cache");
  const env = { ...process.env, GO111MODULE: "off", GOPATH: GO_PATH, GOCACHE: cache, GOFLAGS: "" };
  await run("go", ["build", "-o", program, CHECKS], { env, timeout: BUILD_MS });
  const checked = async (name: string, args: readonly string[]): Promise<Report> =>
    linesReport(name, (await run(program, args, { timeout: RUN_MS })).stdout);
  const direct = await checked(client, [addresses.join(",")]);
  const proxy = await startProxy();
  if (proxy === undefined) return [direct];
  const name = `${client} through etcd's gRPC proxy`;
  return [direct, await checked(name, [proxy, NOT_BY_PROXY.join(",")])];
}

/**
 * Loaded ahead of the product in every node that the harness starts. It lets the harness reach the
 * process's own clocks and disk calls (node-clocks.ts, node-disk-faults.ts, node-journal.ts), makes
 * its connections come from an address by which the proxies know the node, and ends the node when
 * the harness is gone. Without an order from the harness it changes nothing else. Worker threads
 * load it too.
 */
import net from "node:net";
import { isMainThread } from "node:worker_threads";
import { installClocks, setClocks } from "./node-clocks.js";
import { installDiskFaults } from "./node-disk-faults.js";
import { installJournal } from "./node-journal.js";
import { SITE_VARIABLE } from "./orders.js";
import type { Order } from "./orders.js";

installJournal();
installDiskFaults();
if (isMainThread) {
  installClocks();
  sendFrom(process.env[SITE_VARIABLE]);
  process.on("message", (order: Order) => setClocks(order.clocks));
  process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
  // The channel alone does not keep the node alive.
  process.channel?.unref();
}

function sendFrom(localAddress: string | undefined): void {
  if (localAddress === undefined) return;
  const connect = net.connect.bind(net);
  const connectFrom = (options: net.NetConnectOpts, done?: () => void): net.Socket =>
    connect({ ...options, localAddress } as net.NetConnectOpts, done);
  net.connect = connectFrom as typeof net.connect;
}

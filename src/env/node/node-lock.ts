/**
 * The lock on a data directory: a socket name that the system gives to one process and takes back
 * when that process ends, however it ends, so that no stale lock can exist. On Linux the name lies
 * in the abstract namespace, on Windows it is a named pipe. Elsewhere a file with the holder's
 * process id stands in for it; it is stale when no such process runs.
 *
 * The name is the number of the directory on its file system, which it has before anything is in it
 * and by every path, or the id of a store, which copies of it share. The latter has no file.
 *
 * Names are seen within one machine and network namespace: nothing keeps two containers, or two
 * machines, that mount one directory from opening it both.
 */
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { DiskError } from "../disk.js";
import type { DirectoryLock } from "../disk.js";

const LOCK_FILE = "LOCK";

export async function lockDirectory(
  directory: string,
  storeId: string | undefined,
): Promise<DirectoryLock> {
  const name = `flotilla-${storeId ?? numberOf(directory)}`;
  if (process.platform === "linux") return lockBySocket(directory, `\0${name}`);
  if (process.platform === "win32") return lockBySocket(directory, `\\\\?\\pipe\\${name}`);
  return storeId === undefined ? lockByFile(directory) : { release: () => undefined };
}

function numberOf(directory: string): string {
  try {
    const { dev, ino } = fs.statSync(directory, { bigint: true });
    return `${dev}-${ino}`;
  } catch (error) {
    throw new DiskError("io", directory, error);
  }
}

function lockBySocket(directory: string, name: string): Promise<DirectoryLock> {
  return new Promise((resolve, reject) => {
    // Nobody has business on this socket; whoever connects is sent away.
    const server = net.createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => {
      const code = error.code === "EADDRINUSE" ? "exists" : "io";
      reject(new DiskError(code, directory, error));
    });
    server.listen(name, () => {
      server.unref();
      resolve({ release: () => void server.close() });
    });
  });
}

/** Exported for its test: the systems that need it are not where tests usually run. */
export async function lockByFile(directory: string): Promise<DirectoryLock> {
  const file = path.join(directory, LOCK_FILE);
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      fs.writeFileSync(file, `${process.pid}\n`, { flag: "wx" });
      return { release: () => fs.rmSync(file, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        throw new DiskError("io", directory, error);
      }
      if (isAlive(holderOf(file))) throw new DiskError("exists", directory);
      fs.rmSync(file, { force: true });
    }
  }
  throw new DiskError("exists", directory);
}

function holderOf(file: string): number {
  try {
    return Number(fs.readFileSync(file, "utf8"));
  } catch {
    return 0;
  }
}

function isAlive(processId: number): boolean {
  if (!Number.isSafeInteger(processId) || processId <= 0) return false;
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

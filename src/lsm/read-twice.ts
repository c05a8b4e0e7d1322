/**
 * A read that fails once proves nothing: a cable, a controller or a sector may do better the next
 * time. What fails twice in a row is damaged, whether the disk does not give the bytes, or gives
 * others than were written. It never waits, and it does not judge by errors that are not about the
 * bytes: a file that cannot be opened for want of descriptors is as it was.
 */
import { DiskError } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";

/** What `read` gives; it reads at `offset` of the file at `path`, and checks what it reads. */
export function readTwice<T>(path: string, offset: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CorruptionError) && !isUnreadable(error)) throw error;
  }
  try {
    return read();
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    throw new CorruptionError(path, offset, `it cannot be read: ${error.message}`);
  }
}

function isUnreadable(error: unknown): error is DiskError {
  return error instanceof DiskError && (error.code === "io" || error.code === "notFound");
}

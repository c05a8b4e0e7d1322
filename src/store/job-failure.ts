/** Why a job failed, as it crosses threads, and the errors that are made of it again. */
import { DiskError } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";

export type JobFailure =
  | { readonly kind: "noSpace" }
  | {
      readonly kind: "corrupt";
      readonly path: string;
      readonly offset: number;
      readonly message: string;
    }
  | { readonly kind: "failed"; readonly message: string };

/** What is thrown where nobody goes on after a failure. */
export function errorOf(failure: JobFailure, path: string): Error {
  switch (failure.kind) {
    case "corrupt":
      return corruptionOf(failure);
    case "noSpace":
      return new DiskError("noSpace", path);
    case "failed":
      return new DiskError("io", path, new Error(failure.message));
  }
}

/** The error that did not cross threads as what it was. */
export function corruptionOf({
  path,
  offset,
  message,
}: Pick<CorruptionError, "path" | "offset" | "message">): CorruptionError {
  return new CorruptionError(path, offset, message);
}

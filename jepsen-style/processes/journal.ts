/**
 * The journal of a node's disk: what was changed and may still be lost, as its preload writes it
 * down before each change (node-journal.ts) and as a power cut undoes it (power-cut.ts). One file a
 * thread, a line of JSON a record; files are known by their number on the disk, which a rename does
 * not change.
 */

export const JOURNAL_VARIABLE = "FLOTILLA_HARNESS_JOURNAL";

export type JournalRecord = { readonly at: string } & (
  | {
      readonly kind: "write";
      readonly id: number;
      readonly inode: number;
      readonly position: number;
      readonly length: number;
      /** What the bytes were, as far as the file reached; base64. */
      readonly before: string;
      readonly sizeBefore: number;
    }
  /** The write of this id, in this journal, is durable. */
  | { readonly kind: "durable"; readonly id: number }
  | { readonly kind: "sync"; readonly inode: number }
  | { readonly kind: "create"; readonly path: string; readonly inode: number }
  | { readonly kind: "remove"; readonly path: string; readonly saved: string }
  | {
      readonly kind: "rename";
      readonly from: string;
      readonly to: string;
      readonly inode: number;
      /** Another name of what was at `to`. */
      readonly saved: string | undefined;
    }
  | { readonly kind: "syncDirectory"; readonly path: string }
);

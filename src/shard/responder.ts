/**
 * Who asked, as a replica sees it: something that takes an answer for a request id. The client
 * service's sessions are responders; so are the node's own requests. An answer is given exactly
 * once; one to a session that has gone is dropped by the session.
 */
import type { ByteWriter } from "../base/coding.js";
import type { KvError } from "../protocol/errors.js";
import type { ReadLevel } from "../protocol/key-value.js";

export interface Responder {
  /**
   * Begins an answer and returns the writer, answer header already written. The body is appended
   * and `endAnswer` called in the same turn of the code, with nothing in between.
   */
  beginAnswer(requestId: number, answer: AnswerFacts): ByteWriter;
  endAnswer(): void;
  failed(requestId: number, error: KvError): void;
}

/** What the header of an answer says; a slot that is used again. */
export interface AnswerFacts {
  revision: number;
  shardId: number;
  raftTerm: number;
  level: ReadLevel;
  ageMs: number;
}

/** The age of a stale state of which no proof of freshness has been had yet. */
export const AGE_UNKNOWN_MS = 0xffff_ffff;

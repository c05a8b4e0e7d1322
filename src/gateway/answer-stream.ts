/**
 * Calls that are more than one request and one answer. Where only the answer is a stream, its
 * frames are drawn one by one, and only while the reader has room, so who does not read holds up
 * only himself; a session takes requests and gives answers each in their own time. Nothing here
 * knows of gRPC or JSON.
 */
import { statusOf } from "./status.js";
import type { StatusError } from "./status.js";

export interface AnswerStream {
  /** The next frame, undefined at the end; rejects where the call fails. One caller at a time. */
  next(): Promise<Uint8Array | undefined>;
  /** Nobody wants more: a `next` that waits ends. May be called at any time, and again. */
  close(): void;
}

export interface CallSession {
  /** A request's message; resolves when the next one may come, undefined says at once. */
  request(message: Uint8Array): Promise<void> | undefined;
  /** The client has said all it wants to say. */
  finish(): void;
  /** Nobody wants more. May be called at any time, and again. */
  close(): void;
}

/** Where responses go. */
export interface FrameSink {
  write(frame: Uint8Array): void;
  /** Resolves when there is room, or when all is over. */
  room(): Promise<void>;
  /** The stream ends with this error. */
  fail(error: StatusError): void;
}

export interface AnswerSink extends FrameSink {
  /** Whether nothing that is written would arrive. */
  readonly isOver: boolean;
  /** Whether `room` would not wait. */
  readonly hasRoom: boolean;
  /** The stream ends well. */
  end(): void;
}

/** Resolves when the answer has ended, well or not. */
export async function sendAnswers(answers: AnswerStream, sink: AnswerSink): Promise<void> {
  try {
    for (;;) {
      await sink.room();
      if (sink.isOver) return;
      const frame = await answers.next();
      if (frame === undefined) return sink.end();
      sink.write(frame);
    }
  } catch (error) {
    sink.fail(statusOf(error));
  } finally {
    answers.close();
  }
}

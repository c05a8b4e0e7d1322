/**
 * A call whose answer is a stream. Frames are drawn one by one, and only while the reader has room,
 * so who does not read holds up only himself. It knows nothing of gRPC or JSON.
 */
import { statusOf } from "./status.js";
import type { StatusError } from "./status.js";

export interface AnswerStream {
  /** The next frame, undefined at the end; rejects where the call fails. One caller at a time. */
  next(): Promise<Uint8Array | undefined>;
  /** Nobody wants more: a `next` that waits ends. May be called at any time, and again. */
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

export interface WatchSink extends FrameSink {
  /** Who can wait with writing should. */
  readonly isFull: boolean;
}

export interface AnswerSink extends FrameSink {
  /** Whether nothing that is written would arrive. */
  readonly isOver: boolean;
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

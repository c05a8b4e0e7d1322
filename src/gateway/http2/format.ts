/**
 * The format of HTTP/2 (RFC 9113): a frame is u24 length | u8 type | u8 flags | u31 stream, all
 * big-endian, and its payload. Two kinds of faults: one that ends a connection, one that ends a
 * stream.
 */
export const FRAME_HEAD_BYTES = 9;
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;
export const SETTING = {
  tableSize: 1,
  enablePush: 2,
  streamsMax: 3,
  window: 4,
  frameSize: 5,
  headerListSize: 6,
} as const;
export const REASON = {
  none: 0,
  protocol: 1,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  tooMuch: 11,
} as const;
export type Reason = (typeof REASON)[keyof typeof REASON];

export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** What each side starts with, and the bounds of what may be set. */
export const WINDOW_DEFAULT_BYTES = 65_535;
export const WINDOW_BYTES_MAX = 0x7fff_ffff;
export const FRAME_BYTES_MIN = 16_384;
export const FRAME_BYTES_MAX = 0xff_ffff;

/** Ends the connection, which is told why. */
export class ConnectionFault extends Error {
  override readonly name = "ConnectionFault";
  readonly reason: Reason;

  constructor(reason: Reason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * What a frame can be. The numbers are the wire format: DO NOT CHANGE; new types take new numbers.
 * A response is known by its request id; its type says nothing.
 */
export const MESSAGE_TYPES = {
  /** First on every connection, each way; see hello-codec. */
  hello: 1,

  // From clients.
  put: 16,
  get: 17,
  txn: 18,
  compact: 19,
  /** A stream: parts flow until one of the two sides ends it. */
  watch: 20,
  /** The current revision of a keyspace. */
  sequence: 21,
  /** Grants, revokes, renewals and questions; see lease-codec. */
  lease: 22,
  map: 32,
  status: 33,
  moveLeader: 34,
  keyspaceCreate: 35,
  health: 36,
  memberAdd: 37,
  memberRemove: 38,
  memberPromote: 39,
  memberUpdate: 40,
  replicaChange: 41,
  /** A hash of what a node's replica of a shard means; see HashRequest. */
  hash: 42,
  /** To a node: make its files smaller, where that is worth while. */
  defragment: 43,
  /** Raises or disarms an alarm; see AlarmChangeRequest. */
  alarmChange: 44,
  /** To a node: pin tables of shards that it leads, hand out pieces of them, let go of them. */
  backupOpen: 45,
  backupRead: 46,
  backupRelease: 47,

  // Between nodes.
  /** A batch of Raft messages. */
  raft: 64,
  sequencerAllocate: 65,
  nodeHeartbeat: 66,
  snapshotBegin: 67,
  snapshotChunk: 68,
  snapshotEnd: 69,
  /** A command for the placement group, handed on to its leader. */
  placement: 70,
  /** To a shard's leader: close your revision as far as you can. */
  nudge: 71,
  /** Nothing but an answer is wanted: a connection that carries none is dead. */
  ping: 72,
  /** From a node that was added and starts for the first time: who am I? */
  join: 73,
  /** There is a newer map: ask for it. */
  mapNews: 74,
} as const;

export type MessageType = keyof typeof MESSAGE_TYPES;

/** Bits of a frame's flags. */
export const FRAME_FLAGS = {
  response: 1,
  /** The body is an encoded error; it is the last frame of its request. */
  error: 2,
  /** Further frames of the same request follow. */
  more: 4,
  /** From a server: the stream is over. From a client: cancel it. */
  end: 8,
} as const;

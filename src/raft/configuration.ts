/**
 * Who the members are, and how one set of members becomes another: by joint consensus, in which
 * both majorities decide, or directly if no more than one voter differs. This file never looks at
 * the log; configuration-history.ts knows which configuration counts at which index.
 */
import type { Configuration, ReplicaId } from "./types.js";

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

export function isVoter(configuration: Configuration, id: ReplicaId): boolean {
  return configuration.voters.includes(id) || configuration.outgoing.includes(id);
}

/** Every voter of either half, each once, in ascending order. */
export function votersOf(configuration: Configuration): ReplicaId[] {
  return sortedUnion(configuration.voters, configuration.outgoing);
}

/** Every replica that takes part, each once, in ascending order. */
export function membersOf(configuration: Configuration): ReplicaId[] {
  return sortedUnion(
    configuration.voters,
    configuration.outgoing,
    configuration.learners,
    configuration.learnersNext,
  );
}

/** Whether one single vote decides everything. */
export function isLoneVoter(configuration: Configuration, id: ReplicaId): boolean {
  return (
    !isJoint(configuration) && configuration.voters.length === 1 && configuration.voters[0] === id
  );
}

/** The joint configuration that leads from `current` to these voters and learners. */
export function enterJoint(
  current: Configuration,
  voters: readonly ReplicaId[],
  learners: readonly ReplicaId[],
): Configuration {
  return {
    voters: [...voters],
    outgoing: [...current.voters],
    learners: learners.filter((id) => !current.voters.includes(id)),
    learnersNext: learners.filter((id) => current.voters.includes(id)),
  };
}

/** What a joint configuration becomes when it is left. */
export function leaveJoint(joint: Configuration): Configuration {
  return {
    voters: [...joint.voters],
    outgoing: [],
    learners: sortedUnion(joint.learners, joint.learnersNext),
    learnersNext: [],
  };
}

/**
 * Whether a leader may propose `next` while `current` counts: a joint step, or directly what
 * changes at most one voter, because then every two majorities still meet. Leaving a joint
 * configuration is the core's own doing.
 */
export function isPermittedChange(current: Configuration, next: Configuration): boolean {
  if (isJoint(current) || !isSound(next)) return false;
  if (isJoint(next)) return sameIds(next.outgoing, current.voters);
  return differingCount(current.voters, next.voters) <= 1;
}

/** The voters of `next` that do not vote yet. */
export function newVotersOf(current: Configuration, next: Configuration): ReplicaId[] {
  return next.voters.filter((id) => !isVoter(current, id));
}

/** Voters exist, no list names anybody twice, and nobody is voter and learner at once. */
export function isSound(configuration: Configuration): boolean {
  const { voters, outgoing, learners, learnersNext } = configuration;
  const voting = votersOf(configuration);
  return (
    voters.length > 0 &&
    [voters, outgoing, learners, learnersNext].every(isSetOfIds) &&
    !learners.some((id) => voting.includes(id)) &&
    learnersNext.every((id) => outgoing.includes(id) && !voters.includes(id))
  );
}

function isSetOfIds(ids: readonly ReplicaId[]): boolean {
  return new Set(ids).size === ids.length && ids.every((id) => Number.isSafeInteger(id) && id > 0);
}

function differingCount(a: readonly ReplicaId[], b: readonly ReplicaId[]): number {
  const onlyIn = (those: readonly ReplicaId[], others: readonly ReplicaId[]): number =>
    those.filter((id) => !others.includes(id)).length;
  return onlyIn(a, b) + onlyIn(b, a);
}

function sameIds(a: readonly ReplicaId[], b: readonly ReplicaId[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}

function sortedUnion(...lists: readonly (readonly ReplicaId[])[]): ReplicaId[] {
  return [...new Set(lists.flat())].sort((a, b) => a - b);
}

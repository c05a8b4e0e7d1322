/** Time as the rest of Flotilla may ask for it. */
export interface Clock {
  /** Milliseconds since an arbitrary start, never backwards; fractions allowed. */
  monotonicMs(): number;
  /** Wall-clock milliseconds since 1970: for people and traces only; no guarantee rests on it. */
  wallMs(): number;
}

/** Chance, from outside the deterministic parts. */
export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
  /** A fresh 128-bit id, as 32 hexadecimal digits. */
  uniqueId(): string;
}

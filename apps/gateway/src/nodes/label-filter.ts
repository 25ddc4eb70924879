export interface LabelFilter {
  /** `key` or `key=value`; all of them. */
  readonly labels?: readonly string[];
  readonly labelsNot?: readonly string[];
  /** Only what is older: milliseconds. */
  readonly untilMs?: number;
}

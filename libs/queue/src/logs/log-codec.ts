export type StreamEntry = readonly [id: string, fields: readonly string[]];

/** What every log has in common: numbered frames, the last one of them an end. */
export interface NumberedFrame {
  readonly seq: number;
  readonly type: string;
  readonly time: number;
}

/** The fields of a frame in Redis: `k` kind (`e`: the end), `d` data, `t` time. The entry's id is `<seq>-0`. */
export interface LogCodec<F extends NumberedFrame> {
  encode(frame: F): { readonly kind: string; readonly data: string; readonly time: number };
  /** @throws CodedError `protocol_violation` when the entry was not written by `encode` */
  decode(entry: StreamEntry, seq: number): F;
}

export function seqOf(id: string): number {
  return Number(id.split('-', 1)[0]);
}

export function field(fields: readonly string[], name: string): string {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1] ?? '';
  return '';
}

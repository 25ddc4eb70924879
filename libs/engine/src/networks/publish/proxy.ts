/** To where something is handed on. */
export interface ProxyTarget {
  readonly address: string;
  readonly port: number;
}

export interface Closable {
  close(): Promise<void>;
}

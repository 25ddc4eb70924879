/** Which kind of network name space a mode means. */
export type NetworkKind = 'none' | 'host' | 'container' | 'bridge' | 'user';

export const CONTAINER = 'container:';

export function kindOf(mode: string): NetworkKind {
  if (mode.startsWith(CONTAINER)) return 'container';
  return mode === 'none' || mode === 'host' || mode === 'bridge' ? mode : 'user';
}

/** Has interfaces of its own, beside loopback. */
export function isAttached({ mode, endpoints }: { readonly mode: string; readonly endpoints: readonly { readonly network: string }[] }): boolean {
  return kindOf(mode) !== 'host' && kindOf(mode) !== 'container' && endpoints.some(({ network }) => network !== 'none');
}

/** The container whose network it shares. */
export function sharedContainer({ mode }: { readonly mode: string }): string | undefined {
  return mode.startsWith(CONTAINER) ? mode.slice(CONTAINER.length) : undefined;
}

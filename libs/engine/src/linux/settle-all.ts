/** Works on all at once and fails with the first error only when none is in flight any more: a caller that cleans up then races nothing. */
export async function settleAll(work: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work)) if (outcome.status === 'rejected') throw outcome.reason;
}

import { digestOf } from '#kernel';

/** A tar without entries: what an image without layers stands on. As Docker has it, it is no layer of its own (moby, layer.EmptyLayer). */
export const EMPTY_TAR = Buffer.alloc(1024);
export const EMPTY_DIFF_ID = digestOf(EMPTY_TAR);

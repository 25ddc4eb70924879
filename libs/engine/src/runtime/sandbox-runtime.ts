import { OciSandboxRuntime } from './drivers/oci-sandbox-runtime.js';
import type { SandboxRuntime } from './runtime.js';
import type { SandboxRuntimeOptions } from './sandbox-runtime-options.js';

/** One per node: two over the same `root` would sweep each other's sandboxes. */
export function createSandboxRuntime(options: SandboxRuntimeOptions): SandboxRuntime {
  return new OciSandboxRuntime(options);
}

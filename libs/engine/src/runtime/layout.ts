import { join } from 'node:path';
import type { SandboxId } from '#kernel';

/**
 * The runtime's part of the engine's folder. Guests' shifted root passes through the root itself, `bin` and `launch` (0711); the rest
 * is the node's alone (0700).
 */
export interface RuntimeLayout {
  readonly root: string;
  readonly sandboxes: string;
  readonly launch: string;
  readonly oci: string;
  readonly bin: string;
  readonly agentProgram: string;
  /** A lower layer: what a container's own network files are mounted upon. */
  readonly networkFiles: string;
}

export function runtimeLayout(root: string): RuntimeLayout {
  const bin = join(root, 'bin');
  return { root, sandboxes: join(root, 'sandboxes'), launch: join(root, 'launch'), oci: join(root, 'oci'), bin, agentProgram: join(bin, 'sandbar-init'), networkFiles: join(root, 'network-files') };
}

export interface SandboxPaths {
  /** state.json, config.json (the folder is the OCI bundle), the pid file and the agent's socket. */
  readonly dir: string;
  readonly configFile: string;
  readonly pidFile: string;
  readonly agentSocket: string;
  readonly mountPoint: string;
  /** The OCI runtime's own folder. */
  readonly ociState: string;
}

export function sandboxPaths(layout: RuntimeLayout, id: SandboxId): SandboxPaths {
  const dir = join(layout.sandboxes, id);
  return {
    dir,
    configFile: join(dir, 'config.json'),
    pidFile: join(dir, 'pid'),
    agentSocket: join(dir, 'agent.sock'),
    mountPoint: join(layout.launch, id),
    ociState: join(layout.oci, id),
  };
}

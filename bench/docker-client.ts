import { spawn } from 'node:child_process';

/** Docker's client against one host. Gives what it prints. @throws Error with what it said when it does not end with 0 */
export type DockerClient = (args: readonly string[]) => Promise<string>;

export function dockerClient(host: string, environment: Readonly<Record<string, string>> = {}): DockerClient {
  return async (args) => {
    const parts: Buffer[] = [];
    await runDocker(host, environment, args, (chunk) => parts.push(chunk));
    return Buffer.concat(parts).toString().trim();
  };
}

/** As `dockerClient`, but counts the output instead of keeping it. */
export async function countOutput(host: string, environment: Readonly<Record<string, string>>, args: readonly string[]): Promise<number> {
  let bytes = 0;
  await runDocker(host, environment, args, (chunk) => (bytes += chunk.length));
  return bytes;
}

function runDocker(host: string, environment: Readonly<Record<string, string>>, args: readonly string[], take: (chunk: Buffer) => void): Promise<void> {
  const child = spawn('docker', ['-H', host, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  const errors: Buffer[] = [];
  child.stdout.on('data', take);
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`docker ${args.join(' ')} ended with ${String(code)}: ${Buffer.concat(errors).toString()}`));
    });
  });
}

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** Two tenants of a platform of its own, each with Docker's client. For one `describe`, whose hooks it sets. */
export class TwoTenants {
  tenants: [DockerCli, DockerCli] | [] = [];
  private platform: Platform | undefined;
  private folder = '';

  /** `prepare`: of each, before the first test. */
  constructor(prepare: (docker: DockerCli) => Promise<unknown>) {
    beforeAll(async () => {
      const platform = (this.platform = await startPlatform());
      this.folder = await mkdtemp(join(tmpdir(), 'two-tenants-'));
      const tenantOf = async (name: string): Promise<DockerCli> => platform.docker((await platform.newTenant(name)).apiKey);
      this.tenants = [await tenantOf('anna'), await tenantOf('bert')];
      await Promise.all(this.tenants.map(prepare));
    }, 180_000);
    afterAll(async () => {
      await Promise.all(this.tenants.map((docker) => docker.close()));
      await rm(this.folder, { recursive: true, force: true });
      if (this.platform !== undefined) await stopAndExpectNothingLeft(this.platform);
    }, 120_000);
  }

  get anna(): DockerCli {
    const [anna] = this.tenants;
    if (anna === undefined) throw new Error('the platform has not been started');
    return anna;
  }

  /** The same lines by each tenant, side by side: whatever they share would show. */
  byBoth(lines: (docker: DockerCli) => Promise<void>): () => Promise<void> {
    return async () => {
      await Promise.all(this.tenants.map(lines));
    };
  }

  /** All containers of both. */
  async removeContainers(): Promise<void> {
    await Promise.all(
      this.tenants.map(async (docker) => {
        const all = await docker.ok('ps', '-aq');
        if (all !== '') await docker.ok('rm', '-f', '-v', ...all.split('\n'));
      }),
    );
  }

  /** A folder of its own, gone when all is over. */
  newFolder(): Promise<string> {
    return mkdtemp(join(this.folder, 'f-'));
  }

  /** The context of a build. */
  async context(files: Readonly<Record<string, string>>): Promise<string> {
    const path = await this.newFolder();
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await writeFile(join(path, name), text);
    }
    return path;
  }
}

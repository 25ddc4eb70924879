import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildParcelSchema, type BuildParcel } from '#contracts';
import type { TenantDisk } from '#engine';
import { newId, silentLogger, type TenantId } from '#kernel';
import { BuildSpool } from './build-spool.js';

describe('BuildSpool', () => {
  const tenantId: TenantId = newId('tenant');
  const id = newId('build');
  const parcel: BuildParcel = buildParcelSchema.parse({ request: { buildArgs: { TOKEN: 'an argument' } }, registries: {}, secrets: { key: 'a secret' }, source: { kind: 'context' } });
  let root: string;
  let spool: BuildSpool;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'build-spool-'));
    const disk = { tenantId, path: root } as TenantDisk;
    spool = new BuildSpool({ disks: { find: (id) => Promise.resolve(id === tenantId ? disk : undefined), list: () => Promise.resolve([disk]) }, logger: silentLogger, maxContextBytes: 1000 });
  });
  afterEach(() => rm(root, { recursive: true }));

  const bytes = async function* (...chunks: string[]): AsyncGenerator<Buffer> {
    for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk));
  };
  async function read(): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of spool.context(tenantId, id)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  it('gives back what it was given, for root alone, until it is removed', async () => {
    await spool.put(tenantId, id, parcel);
    expect(await spool.putContext(tenantId, id, bytes('one', 'two'))).toEqual({ bytes: 6 });
    expect(await spool.parcel(tenantId, id)).toEqual(parcel);
    expect(await read()).toBe('onetwo');
    expect((await stat(join(root, 'builds', id))).mode & 0o777).toBe(0o700);
    for (const file of ['parcel.json', 'context']) expect((await stat(join(root, 'builds', id, file))).mode & 0o777).toBe(0o600);
    await spool.remove(tenantId, id);
    await spool.remove(tenantId, id);
    await expect(spool.parcel(tenantId, id)).rejects.toMatchObject({ code: 'not_found' });
    await expect(read()).rejects.toMatchObject({ code: 'not_found' });
  });

  it('keeps nothing of a context that is too large, or cut', async () => {
    await spool.put(tenantId, id, parcel);
    await expect(spool.putContext(tenantId, id, bytes('x'.repeat(600), 'x'.repeat(600)))).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(await readdir(join(root, 'builds'))).toEqual([]);
    const cut = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from('begun');
      await Promise.reject(new Error('the sender went away'));
    };
    await expect(spool.putContext(tenantId, id, cut())).rejects.toThrow('the sender went away');
    expect(await readdir(join(root, 'builds'))).toEqual([]);
  });

  it('forgets what nobody has fetched for a day, and nothing younger', async () => {
    const young = newId('build');
    for (const each of [id, young]) await spool.put(tenantId, each, parcel);
    await utimes(join(root, 'builds', id), 1, 1);
    await spool.sweep(Date.now());
    expect(await readdir(join(root, 'builds'))).toEqual([young]);
  });

  it("finds nothing of another tenant's", async () => {
    await spool.put(tenantId, id, parcel);
    await expect(spool.parcel(newId('tenant'), id)).rejects.toMatchObject({ code: 'not_found' });
    await mkdir(join(root, 'other'));
    await writeFile(join(root, 'other', 'file'), '');
    await spool.remove(newId('tenant'), id);
    expect(await spool.parcel(tenantId, id)).toEqual(parcel);
  });
});

import type { BuildParcel, RunFile } from '#contracts';
import { writeTar, type TarEntryInput } from '#engine';
import { CodedError, type BuildId, type TenantId } from '#kernel';
import type { BuildSpool } from './build-spool.js';

/** The tar that a parcel's source stands for. @throws CodedError `not_found` (its file is gone), `unsupported` */
export function contextOf({ source }: BuildParcel, spool: Pick<BuildSpool, 'context'>, tenantId: TenantId, id: BuildId): AsyncIterable<Uint8Array> {
  switch (source.kind) {
    case 'context':
      return spool.context(tenantId, id);
    case 'files':
      return writeTar(Object.entries(source.files).map(([path, file]) => entryOf(path, file)));
    case 'git':
      throw new CodedError('unsupported', 'a context from Git is not supported yet: send a tar');
  }
}

function entryOf(path: string, file: RunFile): TarEntryInput {
  const { content, encoding, executable } = typeof file === 'string' ? { content: file, encoding: 'utf8' as const, executable: false } : file;
  const bytes = Buffer.from(content, encoding);
  return { path, type: 'file', mode: executable ? 0o755 : 0o644, uid: 0, gid: 0, mtimeNs: 0n, size: bytes.length, content: [bytes] };
}

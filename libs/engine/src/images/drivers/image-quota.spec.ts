import { digestOf } from '#kernel';
import { EMPTY_DIFF_ID } from './empty-layer.js';
import { ImageQuota, MAX_DOCUMENTS_BYTES, MAX_IMAGES, MAX_NAMES } from './image-quota.js';
import { ImageSpace, type StoredImage } from './image-space.js';

function image(text: string, documentsBytes: number): StoredImage {
  return { id: digestOf(text), manifest: digestOf(text), parent: undefined, addedAt: 0, chainId: EMPTY_DIFF_ID, layers: [], documentsBytes };
}

describe('the quota of images', () => {
  const quota = new ImageQuota(undefined);

  it('bounds their configs, which lie in memory when they are listed', () => {
    const space = new ImageSpace();
    space.add(image('large', MAX_DOCUMENTS_BYTES - 10));
    quota.checkDocuments(space, 10);
    expect(() => { quota.checkDocuments(space, 11); }).toThrow(expect.objectContaining({ code: 'quota_exceeded' }) as Error);
  });

  it('bounds how many there are, and their names', () => {
    const space = new ImageSpace();
    for (let n = 0; n < MAX_IMAGES; n += 1) space.add(image(`image ${n}`, 0));
    expect(() => { quota.checkDocuments(space, 0); }).toThrow(expect.objectContaining({ code: 'quota_exceeded' }) as Error);
    for (let n = 0; n < MAX_NAMES; n += 1) space.names.set(`docker.io/library/a:${n}`, { name: `docker.io/library/a:${n}`, image: digestOf('image 1'), taggedAt: 0 });
    quota.checkName(space, 'docker.io/library/a:7');
    expect(() => { quota.checkName(space, 'docker.io/library/b:1'); }).toThrow(expect.objectContaining({ code: 'quota_exceeded' }) as Error);
  });

  it('leaves less for the next layer of an image with each that was unpacked', () => {
    const limited = new ImageQuota(() => 1000);
    expect(limited.streamLimit('ten_a', new ImageSpace()) - limited.streamLimit('ten_a', new ImageSpace(), 400)).toBe(800);
  });
});

import fc from 'fast-check';
import { parseReference } from '#kernel';
import { fitsRule, namesFor, tagTemplateSchema } from './tag-templates.js';

const SHA = '0123456789abcdef0123456789abcdef01234567';

describe('names of what a push builds', () => {
  it('are made from the branch or the tag and from the commit', () => {
    const templates = ['team/app:{branch}', 'host:5000/app:{sha}', 'app:b-{sha7}.{branch}', 'app'];
    expect(namesFor(templates, { type: 'branch', name: 'main' }, SHA)).toEqual(['team/app:main', `host:5000/app:${SHA}`, 'app:b-0123456.main', 'app']);
    expect(namesFor(['app:{tag}'], { type: 'tag', name: 'v1.2' }, SHA)).toEqual(['app:v1.2']);
  });

  it('leave out those that need a commit when none is known, and say no name twice', () => {
    expect(namesFor(['app:{branch}', 'app:{sha}', 'app:x{sha7}', 'app:main'], { type: 'branch', name: 'main' }, undefined)).toEqual(['app:main']);
  });

  it('are names whatever the branch is called, and of the same repository', () => {
    fc.assert(fc.property(fc.string({ minLength: 1, maxLength: 300, unit: 'binary' }), (name) => {
      const [made = ''] = namesFor(['registry.example/team/app:{branch}'], { type: 'branch', name }, SHA);
      expect(parseReference(made)).toMatchObject({ domain: 'registry.example', path: 'team/app' });
    }));
    expect(namesFor(['app:{branch}'], { type: 'branch', name: '../other:$(x)' }, SHA)).toEqual(['app:_.-other---x-']);
  });

  it.each(['{branch}', 'app-{branch}', '{branch}/app:x', 'host:5000/{branch}', 'app:{branch}@sha256:x', 'app:{nothing}', 'App:x', 'app:', `app@sha256:${'0'.repeat(64)}`, 'app:{', ''])('cannot be made from %j', (template) => {
    expect(tagTemplateSchema.safeParse(template).success).toBe(false);
  });

  it('fit rules that give what they need', () => {
    expect(fitsRule('app:{branch}', { branch: 'main' })).toBe(true);
    expect(fitsRule('app:{branch}', { tag: 'v*' })).toBe(false);
    expect(fitsRule('app:{tag}', { branch: 'main' })).toBe(false);
    expect(fitsRule('app:{sha}', { tag: '*' })).toBe(true);
  });
});

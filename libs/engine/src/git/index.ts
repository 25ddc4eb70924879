export * from './git-source.js';
export * from './git-address.js';
export { HttpGitSource, type HttpGitSourceOptions } from './drivers/http-git-source.js';

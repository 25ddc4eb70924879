export { parseIgnoreFile, type IgnoreFile } from '#kernel';

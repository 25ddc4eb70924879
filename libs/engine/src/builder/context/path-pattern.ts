export { PathPattern } from '#kernel';

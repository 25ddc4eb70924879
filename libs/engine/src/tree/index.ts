export * from './tree.js';
export { HelperTrees, type HelperTreesOptions } from './drivers/helper-trees.js';

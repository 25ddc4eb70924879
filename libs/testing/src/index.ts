export * from './postgres/index.js';
export * from './rows/index.js';

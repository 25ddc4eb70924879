export * from './containers.js';

export * from './docker-cli.js';

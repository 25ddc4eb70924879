export * from './docker-cli.js';
export * from './docker-daemon.js';

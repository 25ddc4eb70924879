export * from './docker-cli.js';
export * from './docker-daemon.js';
export * from './terminal-session.js';

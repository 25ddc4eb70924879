export { CHECKOUT, NODE, TEST_DATA_DIR, runCommand, type CommandResult } from './commands.js';
export * from './platform.js';

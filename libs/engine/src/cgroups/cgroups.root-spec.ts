import { detectCgroupMode } from './hierarchies.js';
import { describeCgroupManager } from './cgroups.contract.js';
import { createCgroupManager } from './manager.js';

const mode = await detectCgroupMode();
const root = `walls-contract-${process.pid}`;

describeCgroupManager(`the driver of this machine (${mode})`, () => createCgroupManager({ root }));

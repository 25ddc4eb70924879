import { crunRuntime } from './drivers/crun.js';
import { describeSandboxRuntime } from './sandbox-runtime.contract.js';

describeSandboxRuntime('crun', () => crunRuntime());

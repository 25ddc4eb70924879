import { runcRuntime } from './drivers/runc.js';
import { describeSandboxRuntime } from './sandbox-runtime.contract.js';

describeSandboxRuntime('runc', () => runcRuntime());

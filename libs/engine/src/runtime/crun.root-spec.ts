import { describeContainerSandbox } from './container-sandbox.contract.js';
import { crunRuntime } from './drivers/crun.js';
import { describeJoinedNetwork } from './joined-network.contract.js';
import { describeSandboxRuntime } from './sandbox-runtime.contract.js';

describeSandboxRuntime('crun', () => crunRuntime());
describeContainerSandbox('crun', () => crunRuntime());
describeJoinedNetwork('crun', () => crunRuntime());

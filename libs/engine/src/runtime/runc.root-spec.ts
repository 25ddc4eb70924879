import { describeContainerSandbox } from './container-sandbox.contract.js';
import { runcRuntime } from './drivers/runc.js';
import { describeJoinedNetwork } from './joined-network.contract.js';
import { describeSandboxRuntime } from './sandbox-runtime.contract.js';

describeSandboxRuntime('runc', () => runcRuntime());
describeContainerSandbox('runc', () => runcRuntime());
describeJoinedNetwork('runc', () => runcRuntime());

import { certificateViewSchema, scopeSchema, tenantViewSchema, ticketViewSchema, type CertificateView, type TicketView } from '#contracts';
import { z } from 'zod';
import { BuildSourcesApi } from './build-sources.js';
import { BuildsApi } from './builds.js';
import { EventsApi } from './events.js';
import { ExecsApi } from './execs.js';
import { FilesApi } from './files.js';
import { ImagesApi } from './images.js';
import { NetworksApi } from './networks.js';
import { OperationsApi } from './operations.js';
import { RunsApi, RuntimesApi } from './runs.js';
import { PortsApi } from './ports.js';
import { SandboxesApi } from './sandboxes.js';
import { KeysApi, TenantsApi } from './tenants.js';
import { Transport, type ClientOptions } from './transport.js';
import { VolumesApi } from './volumes.js';

const meSchema = z.object({ keyId: z.string(), tenant: tenantViewSchema.nullable(), scopes: z.array(scopeSchema) });
/** Who the key is: its tenant (null for the operator's) and what it may do. */
export type Me = z.infer<typeof meSchema>;

/** A typed client of the public API. */
export class SandbarClient {
  readonly runs: RunsApi;
  readonly runtimes: RuntimesApi;
  readonly tenants: TenantsApi;
  readonly keys: KeysApi;
  readonly images: ImagesApi;
  readonly builds: BuildsApi;
  readonly buildSources: BuildSourcesApi;
  readonly operations: OperationsApi;
  readonly volumes: VolumesApi;
  readonly execs: ExecsApi;
  readonly files: FilesApi;
  readonly ports: PortsApi;
  readonly networks: NetworksApi;
  readonly sandboxes: SandboxesApi;
  readonly events: EventsApi;
  readonly #transport: Transport;

  constructor(options: ClientOptions) {
    this.#transport = new Transport(options);
    this.runs = new RunsApi(this.#transport);
    this.runtimes = new RuntimesApi(this.#transport);
    this.tenants = new TenantsApi(this.#transport);
    this.keys = new KeysApi(this.#transport);
    this.images = new ImagesApi(this.#transport);
    this.builds = new BuildsApi(this.#transport);
    this.buildSources = new BuildSourcesApi(this.#transport);
    this.operations = new OperationsApi(this.#transport);
    this.volumes = new VolumesApi(this.#transport);
    this.execs = new ExecsApi(this.#transport);
    this.files = new FilesApi(this.#transport);
    this.ports = new PortsApi(this.#transport);
    this.networks = new NetworksApi(this.#transport);
    this.sandboxes = new SandboxesApi(this.#transport);
    this.events = new EventsApi(this.#transport);
  }

  get url(): string {
    return this.#transport.url;
  }

  me(): Promise<Me> {
    return this.#transport.call({ method: 'GET', path: '/v1/me' }, meSchema);
  }

  /** A client certificate that stands for the key, for a key pair of one's own (PEM). */
  certify(publicKey: string): Promise<CertificateView> {
    return this.#transport.call({ method: 'POST', path: '/v1/me/certificate', body: { publicKey } }, certificateViewSchema);
  }

  /** A one-use stand-in for the key, for a WebSocket from a browser: `?ticket=`. */
  ticket(): Promise<TicketView> {
    return this.#transport.call({ method: 'POST', path: '/v1/tickets', body: {} }, ticketViewSchema);
  }
}

import 'reflect-metadata';
import { loadGatewayConfig, type GatewayConfig } from '#config';
import { asError } from '#kernel';
import { createLogger } from '#observability';
import { closeGateway, createGateway } from './gateway.js';
import { openPlatform } from './platform/open-platform.js';
import { DEFAULT_SETTINGS, type GatewaySettings } from './platform/settings.js';
import { TlsIdentity } from './tls/tls-identity.js';

function settingsOf(config: GatewayConfig): GatewaySettings {
  return {
    ...DEFAULT_SETTINGS,
    host: config.host,
    port: config.port,
    tls: config.tlsAuthority === undefined ? undefined : { identity: TlsIdentity.parse(config.tlsAuthority), names: [...new Set([...config.tlsNames, ...ownName(config.host)])] },
    nodeRpcToken: config.nodeRpcToken,
    metricsToken: config.metricsToken,
    bodyLimitBytes: config.bodyLimitBytes,
    retentionMs: config.runRetentionMs,
    logGraceSeconds: Math.ceil(config.logGraceMs / 1000),
    shutdownGraceMs: config.shutdownGraceMs,
  };
}

/** The address that it listens on, where that is one. */
function ownName(host: string): string[] {
  return host === '0.0.0.0' || host === '::' ? [] : [host];
}

async function main(): Promise<void> {
  // eslint-disable-next-line no-restricted-syntax -- the one place where the environment enters
  const config = loadGatewayConfig(process.env);
  const settings = settingsOf(config);
  const logger = createLogger({ name: 'gateway', level: config.logLevel });
  const opened = await openPlatform(config, logger);
  const app = await createGateway({ platform: opened.platform, settings, logger });
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'the gateway stops');
    const hard = setTimeout(() => {
      logger.warn({ graceMs: settings.shutdownGraceMs }, 'requests did not end in time and are cut');
      process.exit(1);
    }, settings.shutdownGraceMs);
    hard.unref();
    closeGateway(app)
      .then(() => opened.close())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          logger.error({ err: asError(error) }, 'stopping failed');
          process.exit(1);
        },
      );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('unhandledRejection', (error) => {
    logger.error({ err: asError(error) }, 'a promise failed and nobody looked');
  });
  await app.listen({ port: settings.port, host: settings.host });
  logger.info({ host: settings.host, port: settings.port }, 'the gateway listens');
  // What starting took up is some ten megabytes, which V8 would keep until the heap has grown by a third. There with `--expose-gc`.
  (globalThis as { readonly gc?: () => unknown }).gc?.();
}

main().catch((error: unknown) => {
  process.stderr.write(`gateway: ${asError(error).message}\n`);
  process.exitCode = 1;
  // Connections that were opened before the failure would keep the process alive.
  setTimeout(() => process.exit(1), 100).unref();
});

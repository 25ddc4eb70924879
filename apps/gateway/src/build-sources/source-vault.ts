import { Inject, Injectable } from '@nestjs/common';
import { buildSourceValuesSchema, type BuildSourceValues } from '#contracts';
import { SealedBox, type BuildSourceId } from '#kernel';
import type { BuildSource } from '#persistence';
import { SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';

/**
 * Opens what a source's row keeps sealed. A hash would not do: to check a signature takes the secret itself, and a build takes the values. The key comes from the
 * installation's token, which is not in the database: who reads the rows alone cannot sign, and who holds the token alone (a node) has not the rows.
 */
@Injectable()
export class SourceVault {
  private readonly secrets: SealedBox;
  private readonly values: SealedBox;

  constructor(@Inject(SETTINGS) { nodeRpcToken }: GatewaySettings) {
    this.secrets = new SealedBox(nodeRpcToken, 'sandbar webhook secrets v1');
    this.values = new SealedBox(nodeRpcToken, 'sandbar build values v1');
  }

  sealSecret(id: BuildSourceId, secret: string): Buffer {
    return this.secrets.seal(id, secret);
  }

  /** @throws CodedError `invalid_argument` (sealed under another token) */
  secretOf({ id, sealedSecret }: BuildSource): string {
    return this.secrets.open(id, sealedSecret);
  }

  sealValues(id: BuildSourceId, values: BuildSourceValues): Buffer {
    return this.values.seal(id, JSON.stringify(values));
  }

  /** @throws CodedError as `secretOf` */
  valuesOf({ id, sealedValues }: BuildSource): BuildSourceValues {
    return buildSourceValuesSchema.parse(JSON.parse(this.values.open(id, sealedValues)));
  }
}

import { registryAuthSchema, type RegistryAuthBody } from '#contracts';
import { CodedError, SealedBox, type OperationId } from '#kernel';

const PURPOSE = 'sandbar registry credentials v1';

/** Credentials of a registry on their way through the queue: sealed under the token that gateways and nodes share. They open for their operation alone. */
export class SealedAuth {
  private readonly box: SealedBox;

  constructor(nodeToken: string) {
    this.box = new SealedBox(nodeToken, PURPOSE);
  }

  /** Base64. */
  seal(operationId: OperationId, auth: RegistryAuthBody): string {
    return this.box.seal(operationId, JSON.stringify(auth)).toString('base64');
  }

  /** @throws CodedError `invalid_argument` when it was sealed with another token, for another operation, or changed */
  open(operationId: OperationId, sealed: string): RegistryAuthBody {
    try {
      return registryAuthSchema.parse(JSON.parse(this.box.open(operationId, Buffer.from(sealed, 'base64'))));
    } catch {
      // Its cause may quote what was sealed.
      throw new CodedError('invalid_argument', 'the credentials of the operation cannot be opened');
    }
  }
}

import { Injectable } from '@nestjs/common';

/** Tells the whole gateway that it is going down: readiness says so, waits are answered, streams end. */
@Injectable()
export class Lifecycle {
  private readonly controller = new AbortController();

  /** Fires once, when the gateway begins to drain. */
  get draining(): AbortSignal {
    return this.controller.signal;
  }

  beginDrain(): void {
    this.controller.abort();
  }
}

import type { Logger } from '#kernel';
import type { Ipv4 } from '../ipv4.js';
import { addressAnswer, CLASS_IN, emptyAnswer, faultAnswer, nameAnswer, parseAnswer, parseQuestion, RCODE, TYPE, type AddressRecord, type Question } from './message.js';
import { addressesOf, isClosedAddress, matchesDomain, reverseOf, type NameScope } from './name-scope.js';
import type { Upstream } from './upstream.js';

/** Members come and go: what we know is asked again soon. */
const OWN_TTL_SECONDS = 10;
const MOST_ADDRESSES = 32;
/** An answer's time to live, as we hand it on and open its addresses. */
const LONGEST_SECONDS = 3_600;
/** A program must have the time to connect. */
const SHORTEST_PIN_SECONDS = 30;
const MAX_TCP_BYTES = 65_535;

export interface AskedName {
  readonly message: Buffer;
  readonly transport: 'udp' | 'tcp';
  readonly scope: NameScope;
  /** Opens addresses to the asker, before it hears of them. */
  readonly pin: (addresses: readonly PinnedAddress[]) => Promise<void>;
}

export interface PinnedAddress {
  readonly address: Ipv4;
  readonly seconds: number;
}

export interface NameResolverOptions {
  readonly upstream: Pick<Upstream, 'ask'>;
  /** Private addresses that the operator has opened. */
  readonly isAllowed: (address: Ipv4) => boolean;
  readonly logger: Logger;
}

/** Answers for members of the asker's networks; what else may be asked goes to the node's resolvers. */
export class NameResolver {
  constructor(private readonly options: NameResolverOptions) {}

  /** undefined: nothing is to be said. Never throws. */
  async answer(asked: AskedName): Promise<Buffer | undefined> {
    const parsed = parseQuestion(asked.message);
    if (parsed === undefined) return undefined;
    if (!('question' in parsed)) return faultAnswer(parsed);
    const { question } = parsed;
    try {
      return this.#own(question, asked) ?? (await this.#others(question, asked));
    } catch (error) {
      this.options.logger.debug({ err: error }, 'names: a question could not be answered');
      return emptyAnswer(question, RCODE.server);
    }
  }

  #own(question: Question, { scope, transport }: AskedName): Buffer | undefined {
    const { name, type } = question;
    if (question.class !== CLASS_IN || name === undefined) return undefined;
    const room = transport === 'udp' ? question.udpBytes : MAX_TCP_BYTES;
    const addresses = addressesOf(scope, name);
    if (addresses !== undefined) {
      // Known, but not by this type: there is no such record, which is no error (RFC 2308, 2.2).
      if (type !== TYPE.a) return emptyAnswer(question, RCODE.none);
      return addressAnswer(question, shuffled(addresses).slice(0, MOST_ADDRESSES).map((address) => ({ address, ttlSeconds: OWN_TTL_SECONDS })), room);
    }
    const reverse = type === TYPE.ptr ? reverseOf(scope, name) : undefined;
    if (reverse?.kind === 'member') return nameAnswer(question, reverse.name, OWN_TTL_SECONDS, room);
    return reverse === undefined ? undefined : emptyAnswer(question, RCODE.name);
  }

  async #others(question: Question, asked: AskedName): Promise<Buffer> {
    const { egress } = asked.scope;
    if (question.class !== CLASS_IN || egress.kind === 'none') return emptyAnswer(question, RCODE.refused);
    if (egress.kind === 'all') return this.options.upstream.ask(asked.message, question, asked.transport);
    if (question.name === undefined || !matchesDomain(question.name, egress.domains)) return emptyAnswer(question, RCODE.refused);
    if (question.type === TYPE.a) return this.#pinned(question, asked);
    // Nothing but IPv4 leads anywhere; other records are what the domain's owner says of it.
    return question.type === TYPE.aaaa ? emptyAnswer(question, RCODE.none) : this.options.upstream.ask(asked.message, question, asked.transport);
  }

  /** An answer of our own making, so that what is heard and what is open are the same. */
  async #pinned(question: Question, asked: AskedName): Promise<Buffer> {
    const ask = async (transport: 'udp' | 'tcp'): Promise<ReturnType<typeof parseAnswer>> => parseAnswer(await this.options.upstream.ask(asked.message, question, transport), question.id, question);
    const first = await ask(asked.transport);
    const found = first?.truncated === true && asked.transport === 'udp' ? await ask('tcp') : first;
    if (found === undefined) return emptyAnswer(question, RCODE.server);
    if (found.rcode !== RCODE.none) return emptyAnswer(question, found.rcode);
    const records = found.addresses.filter(({ address }) => !isClosedAddress(address) || this.options.isAllowed(address)).slice(0, MOST_ADDRESSES).map(limited);
    await asked.pin(records.map(({ address, ttlSeconds }) => ({ address, seconds: Math.max(SHORTEST_PIN_SECONDS, ttlSeconds) })));
    return addressAnswer(question, records, asked.transport === 'udp' ? question.udpBytes : MAX_TCP_BYTES);
  }
}

function limited({ address, ttlSeconds }: AddressRecord): AddressRecord {
  return { address, ttlSeconds: Math.min(LONGEST_SECONDS, ttlSeconds) };
}

/** Several containers behind one alias share what is asked of it. */
function shuffled<T>(values: readonly T[]): T[] {
  return values.map((value) => ({ value, at: Math.random() })).sort((left, right) => left.at - right.at).map(({ value }) => value);
}

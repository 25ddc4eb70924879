import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { SetupError } from '../setup-error.mjs';

const TIMEOUT_MS = 5_000;

/**
 * Looks whether the Redis that REDIS_URL names takes our commands, so that a wrong URL or password is said at once and not by services
 * that wait for it. Gives its place in words, without the password.
 * @throws SetupError
 */
export async function checkGivenRedis(text) {
  const { place, open, commands } = readRedisUrl(text);
  const answer = await converse(open, commands.map(command).join(''), commands.length);
  const failure = answer.refusal ?? answer.failure;
  if (failure) throw new SetupError(`Redis at ${place}: ${failure}`, { mend: 'REDIS_URL must name a Redis that runs: redis://[user:password@]host[:port][/db], rediss://… or unix:/path?password=…' });
  return `yours, ${place}`;
}

/** The place that DATABASE_URL names, in words; the migration that follows is the look whether it works. */
export function placeOfDatabase(text) {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!/^postgres(ql)?:$/.test(url?.protocol ?? '')) throw new SetupError('DATABASE_URL is not a PostgreSQL URL', { mend: 'Such as postgresql://user:password@host:5432/database' });
  return `yours, ${url.searchParams.get('host') ?? url.host}${url.pathname}`;
}

function readRedisUrl(text) {
  try {
    return text.startsWith('unix:') ? readSocketUrl(text.slice('unix:'.length)) : readHostUrl(new URL(text));
  } catch {
    // What the parsers say would repeat the password.
    throw new SetupError('REDIS_URL is not a Redis URL', { mend: 'Such as redis://:password@host:6379/0 or unix:/path?password=…' });
  }
}

function readSocketUrl(text) {
  const [path, query = ''] = text.split('?');
  const socket = decodeURIComponent(path.replace(/^\/\/(?=\/)/, ''));
  const given = new URLSearchParams(query);
  return { place: socket, open: () => connect(socket), commands: greeting(given.get('username'), given.get('password'), given.get('db')) };
}

function readHostUrl(url) {
  if (!['redis:', 'rediss:'].includes(url.protocol) || url.hostname === '') throw new Error('another protocol');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? 6379 : Number(url.port);
  const open = () => (url.protocol === 'rediss:' ? connectTls({ host, port, servername: host }) : connect({ host, port }));
  return { place: `${url.hostname}:${port}`, open, commands: greeting(decodeURIComponent(url.username), decodeURIComponent(url.password), url.pathname.slice(1)) };
}

function greeting(user, password, db) {
  return [...(password ? [['AUTH', ...(user ? [user] : []), password]] : []), ...(db ? [['SELECT', db]] : []), ['PING']];
}

/** As the protocol of Redis writes a command: lengths are bytes. */
function command(words) {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

/** Every answer of ours is one line. The first refusal counts: what follows it is refused for the same reason. */
function converse(open, text, lines) {
  return new Promise((resolve) => {
    const socket = open();
    let heard = '';
    const finish = (outcome) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(TIMEOUT_MS, () => finish({ failure: 'it does not answer' }));
    socket.on('error', (error) => finish({ failure: error.code ?? error.message }));
    socket.on('close', () => finish({ failure: 'it closed the connection' }));
    socket.on('data', (chunk) => {
      heard += chunk.toString('utf8');
      const answers = heard.split('\r\n').slice(0, -1);
      const refusal = answers.find((answer) => !answer.startsWith('+'));
      if (refusal !== undefined) finish({ refusal: refusal.replace(/^-/, '') });
      else if (answers.length >= lines) finish({});
    });
    socket.write(text);
  });
}

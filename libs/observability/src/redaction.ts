/** `sign`: what a text with such a secret holds, whatever else. */
const SECRETS: readonly (readonly [sign: string, secret: RegExp, mark: string])[] = [
  ['sbk_', /\bsbk_[A-Za-z0-9_-]+/g, 'sbk_[redacted]'],
  ['tkt_', /\btkt_[A-Za-z0-9_-]+/g, 'tkt_[redacted]'],
  ['bearer|basic', /\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}/gi, '$1[redacted]'],
  ['ticket=', /([?&]ticket=)[^&\s"\\]+/g, '$1[redacted]'],
  // user:password@ of a connection URL in a driver's message.
  ['://', /(\b[a-z][a-z0-9+]{2,12}:\/\/[^\s:/@"\\]*:)[^\s@"\\]+@/g, '$1[redacted]@'],
];

/** Nearly every text has none, and to know that is one look in place of five. */
const SIGNS = new RegExp(SECRETS.map(([sign]) => sign).join('|'), 'i');

/** Takes API keys, tickets, bearer tokens and URLs' passwords out of a text, wherever they stand. */
export function redactSecrets(text: string): string {
  if (!SIGNS.test(text)) return text;
  let clean = text;
  for (const [, secret, mark] of SECRETS) clean = clean.replace(secret, mark);
  return clean;
}

/** Fields that are secret whatever they hold. */
export const SECRET_PATHS = ['authorization', 'cookie', 'password', 'token', 'ticket', 'apiKey', '["x-api-key"]', '["set-cookie"]'].flatMap((key) => {
  const dot = key.startsWith('[') ? '' : '.';
  return [key, `*${dot}${key}`, `*.headers${dot}${key}`, `headers${dot}${key}`];
});

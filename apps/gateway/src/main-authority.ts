import { newAuthorityBundle } from './tls/tls-identity.js';

/** `node main-authority.js` prints a new certificate authority, certificate and private key: the value of SANDBAR_TLS_AUTHORITY. */
process.stdout.write(newAuthorityBundle(Date.now()));

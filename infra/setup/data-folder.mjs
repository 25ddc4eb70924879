import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dataPaths } from './settings.mjs';
import { SetupError } from './setup-error.mjs';

const MARKER = { product: 'sandbar', layout: 1 };

/** Makes the data folder, or accepts one that carries our marker. Never takes over a folder that holds something else. @throws SetupError */
export function ensureDataFolder(dataDir) {
  const paths = dataPaths(dataDir);
  if (existsSync(dataDir) && !isDataFolder(dataDir) && readdirSync(dataDir).length > 0) {
    throw new SetupError(`${dataDir} holds files, but is not a Sandbar data folder`, { mend: 'Name another folder with --data-dir or SANDBAR_DATA_DIR.' });
  }
  ensureFolder(dataDir, 0o711);
  if (!existsSync(paths.marker)) writeFileAtomic(paths.marker, `${JSON.stringify(MARKER)}\n`, 0o644);
  ensureFolder(paths.secrets, 0o700);
  ensureFolder(paths.log, 0o700);
  ensureFolder(paths.run, 0o711);
  // Where services see the checkout: each mounts it there in a name space of its own.
  ensureFolder(paths.app, 0o755);
  return paths;
}

export function isDataFolder(dataDir) {
  try {
    return JSON.parse(readFileSync(dataPaths(dataDir).marker, 'utf8')).product === MARKER.product;
  } catch {
    return false;
  }
}

/** Converges mode and owner, whatever the umask and earlier starts left. */
export function ensureFolder(path, mode, { uid = 0, gid = 0 } = {}) {
  mkdirSync(path, { recursive: true, mode });
  if (!lstatSync(path).isDirectory()) throw new SetupError(`${path} is not a folder`);
  chownSync(path, uid, gid);
  chmodSync(path, mode);
}

/** A random secret that stays the same over restarts: 256 bits, hex. */
export function ensureSecret(paths, name) {
  return ensureValue(paths, name, () => randomBytes(32).toString('hex'));
}

export function ensureValue(paths, name, make) {
  const file = `${paths.secrets}/${name}`;
  if (!existsSync(file)) writeFileAtomic(file, make(), 0o600);
  return readFileSync(file, 'utf8').trim();
}

export function writeFileAtomic(file, text, mode, { uid = 0, gid = 0 } = {}) {
  const staged = `${file}.new`;
  rmSync(staged, { force: true });
  writeFileSync(staged, text, { mode, flag: 'wx' });
  chownSync(staged, uid, gid);
  renameSync(staged, file);
}

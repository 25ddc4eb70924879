import { SYSTEM_PATH } from '../run-program.mjs';
import { CHECKOUT } from '../settings.mjs';

/**
 * Command lines of the services. Each step replaces itself by the next (exec), so the pid that was spawned is the service's own, and
 * the kernel ends the service when the supervisor is killed (PR_SET_PDEATHSIG, which setpriv sets after it has changed the user).
 */
export function asRoot(argv, deathSignal) {
  return ['setpriv', `--pdeathsig=${deathSignal}`, '--', ...argv];
}

/** Without root's rights, capabilities or a way back to them. */
export function asAccount(account, argv, deathSignal) {
  return ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups', '--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all', `--pdeathsig=${deathSignal}`, '--', ...argv];
}

const BIND_CHECKOUT = 'mount -o bind,ro -- "$1" "$2" && cd "$2" && shift 2 && exec "$@"';

/**
 * As `asAccount`, with the checkout read-only at `app`, in a mount name space of its own. A checkout below a private folder (/root
 * is 0700) cannot be reached by other users at its own path. The mounts of that name space are slaves: a tenant's disk that the worker unmounts
 * is unmounted there too, instead of staying in use.
 */
export function asAccountInApp(account, app, argv, deathSignal) {
  return ['unshare', '--mount', '--propagation', 'slave', '--', 'sh', '-c', BIND_CHECKOUT, 'sh', CHECKOUT, app, ...asAccount(account, argv, deathSignal)];
}

const HANDED_ON = /^(SANDBAR_|OTEL_|NODE_EXTRA_CA_CERTS$|TZ$)/;
/** The command line's own, which no service needs to know. */
const KEPT_BACK = /^SANDBAR_(URL|API_KEY|ADMIN_KEY|TEST_.*)$/;

/** The services' environment: nothing of the person's own but what is meant for Sandbar. */
export function serviceEnv(extra) {
  const handedOn = Object.entries(process.env).filter(([name]) => HANDED_ON.test(name) && !KEPT_BACK.test(name) && !(name.replace(/_FILE$/, '') in extra));
  return { PATH: SYSTEM_PATH, LANG: 'C.UTF-8', NODE_ENV: 'production', ...Object.fromEntries(handedOn), ...extra };
}

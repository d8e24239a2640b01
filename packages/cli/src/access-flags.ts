/** The flags of a server that say who is known to it and what is told of them. */
import type { ApiServerOptions } from '@orbitkit/apiserver';
import type { Command } from 'commander';
import { pathIn, wholeNumber } from './commands/options.js';
import { readNamed } from './files.js';
import { groupOf } from './option-groups.js';
import { CommandError, type Terminal } from './terminal.js';

export interface AccessFlags {
  auditPolicy?: string;
  auditLog?: string;
  auditLogMaxSize: string;
  auditLogMaxAge?: string;
  auditLogMaxBackups: string;
  oidcIssuerUrl?: string;
  oidcClientId?: string;
  oidcUsernameClaim?: string;
  oidcUsernamePrefix?: string;
  oidcGroupsClaim?: string;
  oidcGroupsPrefix?: string;
  oidcCaFile?: string;
  serviceAccountIssuer?: string;
  serviceAccountSigningKeyFile?: string;
  serviceAccountKeyFile?: string[];
  requestheaderClientCaFile?: string;
  requestheaderAllowedNames?: string[];
}

export const accessOptions = (command: Command): Command =>
  groupOf(command, 'Who is known, and what is told of them:', grouped =>
    grouped
      .option('--audit-policy <file>', 'what the audit log tells of: a Policy of audit.k8s.io/v1')
      .option('--audit-log <file>', 'where; default with --audit-policy: DIR/audit/audit.log')
      .option('--audit-log-max-size <megabytes>', 'a full file is renamed and a new one begun', '100')
      .option('--audit-log-max-age <days>', 'older files are removed; default: kept')
      .option('--audit-log-max-backups <n>', 'so many full files are kept', '10')
      .option('--oidc-issuer-url <url>', 'users of this OpenID Connect issuer are known by their ID tokens')
      .option('--oidc-client-id <id>', 'the audience of those tokens')
      .option('--oidc-username-claim <claim>', 'names the user; default sub')
      .option('--oidc-username-prefix <prefix>', 'put before the name; default ISSUER#, - for none')
      .option('--oidc-groups-claim <claim>', 'names the groups; default: no groups')
      .option('--oidc-groups-prefix <prefix>', 'put before their names')
      .option('--oidc-ca-file <file>', "PEM of the authority of the issuer's server; default: the system's")
      .option('--service-account-issuer <url>', 'names this cluster in the tokens of service accounts')
      .option(
        '--service-account-signing-key-file <file>',
        'PEM of an RSA or EC key that signs them, the same on every server; default: keys in the store, which rotate',
      )
      .option('--service-account-key-file <files...>', 'with it: keys whose tokens are good as well')
      .option(
        '--requestheader-client-ca-file <file>',
        'PEM of the authority of front proxies, which name their users in X-Remote-User, -Group, -Uid and -Extra- headers',
      )
      .option('--requestheader-allowed-names <names...>', 'with it: the common names of the proxies; default: any'),
  );

/** @throws CommandError that names the flag. */
export async function accessOf(
  flags: AccessFlags,
  dataDir: string,
  terminal: Terminal,
): Promise<Pick<ApiServerOptions, 'auditLog' | 'oidc' | 'serviceAccounts' | 'frontProxy'>> {
  return {
    ...auditOf(flags, dataDir, terminal),
    ...(await oidcOf(flags, terminal)),
    serviceAccounts: serviceAccountsOf(flags, terminal),
    ...(await frontProxyOf(flags, terminal)),
  };
}

async function frontProxyOf(flags: AccessFlags, terminal: Terminal): Promise<Pick<ApiServerOptions, 'frontProxy'>> {
  const { requestheaderClientCaFile: file, requestheaderAllowedNames: allowedNames } = flags;
  if (file === undefined) {
    if (allowedNames !== undefined)
      throw new CommandError('--requestheader-allowed-names needs --requestheader-client-ca-file');
    return {};
  }
  const clientAuthority = await readNamed(terminal, '--requestheader-client-ca-file', file);
  return { frontProxy: { clientAuthority, ...(allowedNames === undefined ? {} : { allowedNames }) } };
}

function serviceAccountsOf(flags: AccessFlags, terminal: Terminal): NonNullable<ApiServerOptions['serviceAccounts']> {
  const { serviceAccountIssuer: issuer, serviceAccountSigningKeyFile: signing, serviceAccountKeyFile: others } = flags;
  if (others !== undefined && signing === undefined)
    throw new CommandError(
      '--service-account-key-file needs --service-account-signing-key-file: else the keys are in the store',
    );
  return {
    ...(issuer === undefined ? {} : { issuer }),
    ...(signing === undefined ? {} : { signingKeyFile: pathIn(terminal, signing) }),
    ...(others === undefined ? {} : { keyFiles: others.map(file => pathIn(terminal, file)) }),
  };
}

const day = 24 * 60 * 60_000;
const most = 1_000_000;

function auditOf(flags: AccessFlags, dataDir: string, terminal: Terminal): Pick<ApiServerOptions, 'auditLog'> {
  if (flags.auditPolicy === undefined) {
    if (flags.auditLog !== undefined)
      throw new CommandError('--audit-log needs --audit-policy: without a policy nothing would be told');
    return {};
  }
  const { auditLogMaxAge } = flags;
  return {
    auditLog: {
      policy: pathIn(terminal, flags.auditPolicy),
      file: flags.auditLog === undefined ? `${dataDir}/audit/audit.log` : pathIn(terminal, flags.auditLog),
      maxSizeBytes: wholeNumber('--audit-log-max-size', flags.auditLogMaxSize, 1, most) << 20,
      maxBackups: wholeNumber('--audit-log-max-backups', flags.auditLogMaxBackups, 0, most),
      ...(auditLogMaxAge === undefined
        ? {}
        : { maxAgeMs: wholeNumber('--audit-log-max-age', auditLogMaxAge, 1, most) * day }),
    },
  };
}

async function oidcOf(flags: AccessFlags, terminal: Terminal): Promise<Pick<ApiServerOptions, 'oidc'>> {
  const { oidcIssuerUrl: issuerURL, oidcClientId: clientID } = flags;
  if (issuerURL === undefined && clientID === undefined) return {};
  if (issuerURL === undefined || clientID === undefined)
    throw new CommandError('--oidc-issuer-url and --oidc-client-id belong together: give both');
  const authority = flags.oidcCaFile && (await readNamed(terminal, '--oidc-ca-file', flags.oidcCaFile));
  return {
    oidc: [
      {
        issuerURL,
        clientID,
        ...(flags.oidcUsernameClaim === undefined ? {} : { usernameClaim: flags.oidcUsernameClaim }),
        ...(flags.oidcUsernamePrefix === undefined ? {} : { usernamePrefix: flags.oidcUsernamePrefix }),
        ...(flags.oidcGroupsClaim === undefined ? {} : { groupsClaim: flags.oidcGroupsClaim }),
        ...(flags.oidcGroupsPrefix === undefined ? {} : { groupsPrefix: flags.oidcGroupsPrefix }),
        ...(authority ? { certificateAuthority: authority } : {}),
      },
    ],
  };
}

/**
 * Which resources are encrypted with which keys: upstream's EncryptionConfiguration (`apiserver.config.k8s.io/v1`), with the providers
 * `aesgcm` and `identity`. The first provider of a resource writes, all of them read. Other providers are refused by name: what
 * cannot be read must not be guessed at.
 */
import { StoreUnavailableError } from '../contract.js';

export interface EncryptionKey {
  /** Stands in every value that it encrypted. */
  readonly name: string;
  /** 16, 24 or 32 bytes. */
  readonly secret: Buffer;
}

export interface ResourceEncryption {
  /** `undefined`: written as it is. */
  readonly writes: EncryptionKey | undefined;
}

/** An EncryptionConfiguration that was read, keys and all: keep it out of logs. */
export interface EncryptionRules {
  /** Every key of the configuration, by name. */
  readonly keys: ReadonlyMap<string, EncryptionKey>;
  /** By `secrets`, `deployments.apps`; `*.apps`, `*.*`. In the order of the file, the first that matches counts. */
  readonly resources: readonly { readonly patterns: readonly string[]; readonly encryption: ResourceEncryption }[];
}

const known = ['aesgcm', 'identity'];

/**
 * @param value the parsed file
 * @param name for messages
 * @throws StoreUnavailableError that says what is wrong and where
 */
export function encryptionRules(value: unknown, name: string): EncryptionRules {
  const fail = (where: string, what: string): never => {
    throw new StoreUnavailableError(`${name}: ${where}: ${what}`);
  };
  const record = (of: unknown, where: string): Record<string, unknown> =>
    typeof of === 'object' && of !== null && !Array.isArray(of)
      ? (of as Record<string, unknown>)
      : fail(where, 'a mapping is expected');
  const list = (of: unknown, where: string): unknown[] =>
    Array.isArray(of) && of.length > 0 ? of : fail(where, 'a list with at least one element is expected');

  const file = record(value, 'the file');
  if (file['kind'] !== 'EncryptionConfiguration') fail('kind', 'EncryptionConfiguration is expected');
  if (file['apiVersion'] !== 'apiserver.config.k8s.io/v1') fail('apiVersion', 'apiserver.config.k8s.io/v1 is expected');
  const keys = new Map<string, EncryptionKey>();

  const readKey = (of: unknown, where: string): EncryptionKey => {
    const { name: keyName, secret: text } = record(of, where);
    if (typeof keyName !== 'string' || keyName === '' || Buffer.byteLength(keyName) > 255)
      return fail(`${where}.name`, 'a name of 1 to 255 bytes is expected');
    const secret = typeof text === 'string' ? Buffer.from(text, 'base64') : Buffer.alloc(0);
    if (![16, 24, 32].includes(secret.length))
      return fail(`${where}.secret`, `16, 24 or 32 bytes in base64 are expected, not ${secret.length}`);
    const key = keys.get(keyName);
    if (key !== undefined && !key.secret.equals(secret))
      return fail(`${where}.name`, `two different keys are called ${JSON.stringify(keyName)}`);
    const made = key ?? { name: keyName, secret };
    keys.set(keyName, made);
    return made;
  };

  const resources = list(file['resources'], 'resources').map((each, i) => {
    const at = `resources[${i}]`;
    const { resources: names, providers } = record(each, at);
    const patterns = list(names, `${at}.resources`).map((pattern, n) =>
      typeof pattern === 'string' && pattern !== '' ? pattern : fail(`${at}.resources[${n}]`, 'a name is expected'),
    );
    let writes: EncryptionKey | undefined;
    for (const [p, provider] of list(providers, `${at}.providers`).entries()) {
      const where = `${at}.providers[${p}]`;
      const entries = Object.entries(record(provider, where));
      const [type, settings] = entries[0] ?? [];
      if (entries.length !== 1 || type === undefined) return fail(where, 'exactly one provider is expected');
      if (!known.includes(type))
        return fail(where, `the provider ${type} is not supported; supported are ${known.join(' and ')}`);
      if (type === 'identity') continue;
      const all = list(record(settings, `${where}.aesgcm`)['keys'], `${where}.aesgcm.keys`);
      const read = all.map((key, k) => readKey(key, `${where}.aesgcm.keys[${k}]`));
      if (p === 0) writes = read[0];
    }
    return { patterns, encryption: { writes } };
  });
  return { keys, resources };
}

/** `secrets`, `deployments.apps`: as the configuration names what stands under a key of the store. Undefined for other keys. */
export function resourceOfKey(key: string): string | undefined {
  const parts = key.split('/', 4);
  if (parts[1] !== 'registry' || parts[2] === undefined || parts[3] === undefined) return undefined;
  return parts[2] === 'core' ? parts[3] : `${parts[3]}.${parts[2]}`;
}

const nothing: ResourceEncryption = { writes: undefined };

export function encryptionOf(rules: EncryptionRules, resource: string): ResourceEncryption {
  const dot = resource.indexOf('.');
  const group = dot < 0 ? '' : resource.slice(dot + 1);
  for (const { patterns, encryption } of rules.resources) {
    for (const pattern of patterns) {
      // `*.` is the core group, `*.apps` a group, `*.*` everything.
      if (pattern === resource || pattern === '*.*' || (pattern.startsWith('*.') && pattern.slice(2) === group))
        return encryption;
    }
  }
  return nothing;
}

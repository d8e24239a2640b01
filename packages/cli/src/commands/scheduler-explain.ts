/**
 * `orbit scheduler explain POD`: every node's verdict for a pod, that waits, runs, or stands in a file only.
 *
 * The live scheduler is asked through the API: what it decided, while it remembers; else what it would decide now, by its own plugins. Where it cannot be
 * asked (another Kubernetes, no scheduler, no right to), or when a profile or plugins are named, the answer is computed here from what the cluster has.
 */
import { type Client, type DynamicObject, isStatusError, Pod } from '@orbitkit/core';
import type { Explanation, SchedulingDecision } from '@orbitkit/scheduler';
import type { Command } from 'commander';
import { readManifests } from '../manifests.js';
import { type PluginFlags, pluginOptions } from '../plugin-flags.js';
import { type GlobalFlags, globalFlags, withSession } from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';
import { profileName } from './options.js';

interface ExplainFlags extends GlobalFlags {
  filename?: string;
  output: string;
}

interface OwnFlags extends PluginFlags {
  profile?: string;
  now?: boolean;
}

export function schedulerExplainCommand(scheduler: Command, terminal: Terminal): void {
  const command = scheduler
    .command('explain')
    .description('why a pod is where it is, or nowhere: what each plugin says of each node')
    .argument('[pod]')
    .option('-n, --namespace <name>', 'the namespace')
    .option('-f, --filename <file>', 'a pod that need not exist')
    .option('-o, --output <format>', 'text or json', 'text')
    .option('--now', 'decide again, also when the scheduler remembers what it decided')
    .option('--profile <name>', 'by these rules instead of those of the running scheduler: default or minik8s');
  pluginOptions(command).action(async (name: string | undefined, own: OwnFlags, command) => {
    const flags = globalFlags(command) as ExplainFlags;
    if ((name === undefined) === (flags.filename === undefined))
      throw new CommandError('name a pod, or give a file with one: orbit scheduler explain POD | -f FILE');
    if (flags.output !== 'text' && flags.output !== 'json')
      throw new CommandError(`--output "${flags.output}": text or json`);
    const { explainPod, explanationText } = await import('@orbitkit/scheduler');
    const { rulesOf } = await import('../cluster.js');
    const { pluginsFrom } = await import('../plugin-files.js');
    // The command above has these options too, of which an answer would not be asked here.
    const plugins = await pluginsFrom(own.schedulerPlugin, terminal);
    const rules = rulesOf(profileName(own.profile ?? 'default'), plugins(), own);
    const here = own.profile !== undefined || own.schedulerPlugin !== undefined || own.schedulerWeight !== undefined;
    await withSession(flags, terminal, async ({ client, namespace }) => {
      const scope = { signal: terminal.signal };
      const draft = flags.filename ? await podOf(flags.filename, namespace, client, terminal) : undefined;
      const key = { namespace, name: name! };
      const kept = here || own.now || draft ? undefined : await asked(() => keptDecision(client, key, terminal));
      const pod = kept ? undefined : (draft ?? (await client.get(Pod, key, scope)));
      const live = kept ?? (here ? undefined : await asked(() => decisionNow(client, pod!, terminal)));
      const answer: Explanation = live ?? (await explainPod(client, pod!, { profile: rules, ...scope }));
      if (flags.output === 'json') return write(terminal.stdout, `${JSON.stringify(answer, undefined, 2)}\n`);
      const since = kept ? `\n(decided ${kept.decidedAt} by ${kept.scheduler}; --now decides again)` : '';
      await write(terminal.stdout, `${explanationText(answer)}${since}\n`);
    });
  });
}

type Decided = NonNullable<SchedulingDecision['status']> & Explanation;

/** Undefined where there is nobody to ask. */
async function asked(ask: () => Promise<Decided | undefined>): Promise<Decided | undefined> {
  try {
    return await ask();
  } catch (error) {
    const nobody = ['NotFound', 'Forbidden', 'MethodNotAllowed', 'ServiceUnavailable', 'Timeout', 'BadRequest'];
    if (isStatusError(error) && nobody.includes(error.reason)) return undefined;
    throw error;
  }
}

/** Of this very pod: another of its name may have been there before. */
async function keptDecision(
  client: Client,
  key: { namespace: string; name: string },
  { signal }: Terminal,
): Promise<Decided | undefined> {
  const { schedulingDecisions } = await import('@orbitkit/scheduler');
  const { status } = await client.get(schedulingDecisions, key, { signal });
  const pod = await client.get(Pod, key, { signal });
  return status?.nodes && status.podUID === pod.metadata.uid ? { ...status, nodes: status.nodes } : undefined;
}

async function decisionNow(client: Client, pod: Pod, { signal }: Terminal): Promise<Decided | undefined> {
  const { schedulingDecisions } = await import('@orbitkit/scheduler');
  const question = { metadata: { namespace: pod.metadata.namespace }, spec: { pod } };
  const { status } = await client.create(
    schedulingDecisions,
    question as unknown as SchedulingDecision & DynamicObject,
    {
      signal,
    },
  );
  return status?.nodes ? { ...status, nodes: status.nodes } : undefined;
}

/** As the server would have it, with defaults, priority and tolerations: a dry run creates nothing. @throws CommandError when the file has no pod, or more. */
async function podOf(file: string, namespace: string, client: Client, terminal: Terminal): Promise<Pod> {
  const manifests = await readManifests([file], terminal);
  const object = manifests[0]!.object;
  if (manifests.length > 1 || object.kind !== 'Pod') throw new CommandError(`${file}: give one Pod`);
  const pod = object as unknown as Pod;
  const { name, ...metadata } = pod.metadata;
  // The name may be taken, which is no matter here.
  const draft = {
    ...pod,
    metadata: { ...metadata, namespace: metadata.namespace || namespace, generateName: `${name ?? 'pod'}-` },
  };
  return client.create(Pod, draft as Parameters<typeof client.create<Pod>>[1], {
    dryRun: true,
    signal: terminal.signal,
  });
}

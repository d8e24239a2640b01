/** Who may what: whoami, can-i, impersonation, tokens, reconcile, certificates. */
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from '../../cluster.js';
import { type Chapter, rowsOf, type Tour } from '../tour.js';

const robot = (tour: Tour): string => `system:serviceaccount:${tour.namespace}:robot`;
/** What may not be answers `no` and the exit code 1. */
const can = async (tour: Tour, words: string): Promise<string> =>
  (await tour.kubectl(`auth can-i ${words}`)).out.trim();

export const access: Chapter = {
  name: 'access',
  steps: [
    {
      title: 'auth whoami',
      run: async tour => {
        expect(await tour.ok('auth whoami')).toMatch(/Username\s+kubernetes-admin/);
        expect((await tour.json('auth whoami --as=joe --as-group=devs --as-uid=u1')).status.userInfo).toMatchObject({
          username: 'joe',
          uid: 'u1',
          groups: expect.arrayContaining(['devs', 'system:authenticated']),
        });
      },
    },
    {
      title: 'auth can-i, with roles and without',
      run: async tour => {
        expect(await can(tour, 'create pods')).toBe('yes');
        await tour.ok('create sa robot');
        expect(await can(tour, `list pods --as=${robot(tour)}`)).toBe('no');
        await tour.ok('create role reader --verb=get,list --resource=pods');
        await tour.ok(`create rolebinding readers --role=reader --serviceaccount=${tour.namespace}:robot`);
        await eventually(
          'the binding counts',
          async () => (await can(tour, `list pods --as=${robot(tour)}`)) === 'yes',
        );
        expect(await can(tour, `delete pods --as=${robot(tour)}`)).toBe('no');
        expect(await can(tour, `list pods --as=${robot(tour)} -A`)).toBe('no');
        expect(await tour.ok(`auth can-i --list --as=${robot(tour)}`)).toMatch(/^pods\s.*\[get list\]$/m);
        await tour.refused(`get secrets --as=${robot(tour)}`, `User "${robot(tour)}" cannot list resource "secrets"`);
        expect(await tour.ok(`get pods -o name --as=${robot(tour)}`)).toBe('');
        await tour.refused(`get pods --as=${robot(tour)} -A`, 'at the cluster scope');
        expect(await can(tour, `list secrets --as=ann --as-group=system:masters`)).toBe('yes');
        expect(await can(tour, `get pods --subresource=log --as=${robot(tour)}`)).toBe('no');
        expect(await can(tour, `get deployments.apps --subresource=scale --as=${robot(tour)}`)).toBe('no');
        expect((await tour.kubectl(`auth can-i list pods -q --as=${robot(tour)}`)).code).toBe(0);
        expect(await can(tour, 'get /healthz --as=nobody')).toBe('yes');
      },
    },
    {
      title: 'create token',
      run: async tour => {
        const token = (await tour.ok('create token robot --duration=20m')).trim();
        const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
        expect(claims).toMatchObject({ sub: robot(tour), 'kubernetes.io': { serviceaccount: { name: 'robot' } } });
        expect(claims.exp - claims.iat).toBe(1200);
        // The administrator's kubeconfig has a token of its own, which would win over --token.
        expect(await asRobot(tour, token, 'get pods -o name')).toMatchObject({ code: 0, out: '' });
        expect(await asRobot(tour, token, 'get secrets')).toMatchObject({
          code: 1,
          err: expect.stringContaining(`User "${robot(tour)}" cannot list resource "secrets"`),
        });
        expect(
          await tour.ok(['create', 'token', 'robot', '--audience=here', '--audience=there', '-o', 'jsonpath={.spec}']),
        ).toMatch(/"audiences":\["here","there"\]/);
        await tour.ok('create secret generic anchor');
        const { uid } = (await tour.json('get secret anchor')).metadata;
        const bound = ['create', 'token', 'robot', '--bound-object-kind=Secret', '--bound-object-name=anchor'];
        const held = (await tour.ok([...bound, `--bound-object-uid=${uid}`])).trim();
        expect(await asRobot(tour, held, 'get pods -o name')).toMatchObject({ code: 0 });
        await tour.refused([...bound, '--bound-object-uid=other'], /UID in the bound object reference|does not match/);
        await tour.ok('delete secret anchor');
        await eventually('it ends with what it was bound to', async () =>
          expect(await asRobot(tour, held, 'get pods')).toMatchObject({
            code: 1,
            err: expect.stringMatching(/logged in|Unauthorized/),
          }),
        );
        await tour.refused('create token nobody', 'serviceaccounts "nobody" not found');
        await tour.refused('create token robot --duration=1s', /10 minutes|less than/);
      },
    },
    {
      title: 'auth reconcile',
      run: async tour => {
        const role = (verbs: string[]) => ({
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'Role',
          metadata: { name: 'reconciled', namespace: tour.namespace },
          rules: [{ apiGroups: [''], resources: ['configmaps'], verbs }],
        });
        const file = await tour.file('role.yaml', role(['get']));
        expect(await tour.ok(['auth', 'reconcile', '-f', file])).toContain('reconciled');
        await tour.file('role.yaml', role(['get', 'list']));
        await tour.ok(['auth', 'reconcile', '-f', file]);
        const verbs = (await tour.json('get role reconciled')).rules.flatMap((rule: any) => rule.verbs);
        expect(new Set(verbs)).toEqual(new Set(['get', 'list']));
        // What the file does not say stays, unless it is told to go.
        await tour.file('role.yaml', role(['watch']));
        await tour.ok(['auth', 'reconcile', '-f', file, '--remove-extra-permissions']);
        expect((await tour.json('get role reconciled')).rules).toEqual([
          { apiGroups: [''], resources: ['configmaps'], verbs: ['watch'] },
        ]);
      },
    },
    {
      title: 'certificate approve and deny',
      run: async tour => {
        const folder = dirname(await tour.file('csr', ''));
        const request = join(folder, 'request.pem');
        execFileSync(
          'openssl',
          [
            'req',
            '-new',
            '-newkey',
            'rsa:2048',
            '-nodes',
            '-keyout',
            join(folder, 'key.pem'),
            '-out',
            request,
            '-subj',
            '/O=devs/CN=ann',
          ],
          { stdio: 'ignore' },
        );
        const text = execFileSync('openssl', ['req', '-in', request]);
        const signing = (name: string) => ({
          apiVersion: 'certificates.k8s.io/v1',
          kind: 'CertificateSigningRequest',
          metadata: { name },
          spec: {
            signerName: 'kubernetes.io/kube-apiserver-client',
            usages: ['client auth'],
            request: text.toString('base64'),
          },
        });
        await tour.ok('delete csr tour-ann tour-bob --ignore-not-found');
        await tour.ok(['create', '-f', await tour.file('csr.yaml', [signing('tour-ann'), signing('tour-bob')])]);
        expect(rowsOf(await tour.ok('get csr tour-ann'))[0]).toMatchObject({ CONDITION: 'Pending' });
        expect(await tour.ok('certificate approve tour-ann')).toBe(
          'certificatesigningrequest.certificates.k8s.io/tour-ann approved\n',
        );
        expect(await tour.ok('certificate deny tour-bob')).toBe(
          'certificatesigningrequest.certificates.k8s.io/tour-bob denied\n',
        );
        const certificate = await eventually('it is signed', async () => {
          const { status } = await tour.json('get csr tour-ann');
          expect(status.certificate).toBeTypeOf('string');
          return Buffer.from(status.certificate, 'base64').toString();
        });
        expect(certificate).toMatch(/^-----BEGIN CERTIFICATE-----/);
        expect(rowsOf(await tour.ok('get csr tour-bob'))[0]).toMatchObject({ CONDITION: 'Denied' });
        await tour.ok('delete csr tour-ann tour-bob');
      },
    },
  ],
};

/** kubectl with a token and nothing else: the cluster's address and authority, and nobody's credentials. */
async function asRobot(tour: Tour, token: string, words: string) {
  const config = JSON.parse(await tour.ok('config view --raw -o json'));
  config.users = config.users.map(({ name }: any) => ({ name, user: { token } }));
  const path = await tour.file('robot-kubeconfig', config, 0o600);
  return tour.kubectl(words, { env: { KUBECONFIG: path } });
}

/** About what a Deployment's template makes: two containers, environment, resources, a probe. 818 bytes with a name of thirteen letters. */
export function podBody(metadata: { name: string } | { generateName: string }): string {
  const container = (each: string) => ({
    name: each,
    image: `registry.invalid/team/${each}:1.4.2`,
    env: ['LOG_LEVEL', 'REGION', 'FEATURES'].map(variable => ({
      name: variable,
      value: `${variable.toLowerCase()}-1`,
    })),
    resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
  });
  const ports = [{ name: 'http', containerPort: 8_080 }];
  const readinessProbe = { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 5 };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, labels: { app: 'bench', tier: 'web' } },
    spec: { containers: [{ ...container('web'), ports, readinessProbe }, container('proxy')] },
  });
}

export const podsPath = '/api/v1/namespaces/default/pods';

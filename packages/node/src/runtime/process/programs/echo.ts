/**
 * The built-in image `orbitkit/echo`: an HTTP server that says which pod it is.
 *
 * `/` answers with the pod's name, `/healthz` with `ok`, `/env` with its environment as JSON. It listens on `PORT` (8080) at
 * `HOST` (the pod's address without root, every address in a pod with a network of its own) and ends at SIGTERM.
 */
import { createServer } from 'node:http';

const podName = process.env['ORBIT_POD'] ?? 'unknown';
const port = Number(process.env['PORT'] ?? 8_080);
const host = process.env['HOST'] ?? '127.0.0.1';

const server = createServer((request, response) => {
  const path = request.url?.split('?')[0];
  if (path === '/healthz') return response.setHeader('content-type', 'text/plain').end('ok\n');
  if (path === '/env') {
    return response.setHeader('content-type', 'application/json').end(`${JSON.stringify(process.env, null, 2)}\n`);
  }
  console.log(`${request.method} ${request.url} from ${request.socket.remoteAddress}`);
  response.setHeader('content-type', 'text/plain').end(`${podName}\n`);
});
server.on('error', error => {
  console.error(error.message);
  process.exit(1);
});
server.listen(port, host, () => console.log(`${podName} listens on ${host}:${port}`));
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});

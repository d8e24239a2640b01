/**
 * Stands in for `nginx` and `httpd`: a static file server on `PORT` (80; 8080 where low ports cannot be bound).
 *
 * It serves the directory where those images have their pages when a volume is mounted there, and otherwise one page of its
 * own. GET and HEAD; nothing outside of the directory, links that lead out of it included; it ends at SIGTERM and SIGQUIT.
 */
import { createReadStream, existsSync, realpathSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { mayBindLowPorts, substitutePort } from '../../../network/low-port.js';

const places = ['usr/share/nginx/html', 'usr/local/apache2/htdocs'];
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
};
const podName = process.env['ORBIT_POD'] ?? 'unknown';
const welcome = `<!DOCTYPE html>
<title>Welcome</title>
<h1>Welcome to ${podName.replace(/[<>&]/g, '')}</h1>
<p>This is orbitkit's static server, which stands in for nginx in the process runtime.</p>
`;

const root = places
  .flatMap(place => [join(process.env['ORBIT_ROOT'] ?? '/', place), join('/', place)])
  .find(directory => existsSync(directory));

/** The file for a path; undefined when there is none, or it lies outside of the root. */
function fileFor(path: string): string | undefined {
  try {
    const top = realpathSync(root!);
    let file = realpathSync(join(top, normalize(decodeURIComponent(path))));
    if (statSync(file).isDirectory()) file = realpathSync(join(file, 'index.html'));
    return file.startsWith(`${top}/`) && statSync(file).isFile() ? file : undefined;
  } catch {
    return undefined;
  }
}

const port = Number(process.env['PORT'] ?? substitutePort(80, mayBindLowPorts()));
const host = process.env['HOST'] ?? '127.0.0.1';
const server = createServer((request, response) => {
  const path = request.url?.split('?')[0] ?? '/';
  const answer = (status: number, type: string, text: string) => {
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
    response.end(request.method === 'HEAD' ? undefined : text);
    console.log(`${request.socket.remoteAddress} "${request.method} ${request.url}" ${status}`);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, 'text/plain', 'GET or HEAD\n');
  if (!root)
    return path === '/' || path === '/index.html'
      ? answer(200, types['.html']!, welcome)
      : answer(404, 'text/plain', 'not found\n');
  const file = fileFor(path);
  if (!file) return answer(404, 'text/plain', 'not found\n');
  response.writeHead(200, {
    'content-type': types[extname(file)] ?? 'application/octet-stream',
    'content-length': statSync(file).size,
  });
  console.log(`${request.socket.remoteAddress} "${request.method} ${request.url}" 200`);
  if (request.method === 'HEAD') return response.end();
  createReadStream(file)
    .on('error', () => response.destroy())
    .pipe(response);
});
server.on('error', error => {
  console.error(error.message);
  process.exit(1);
});
server.listen(port, host, () => console.log(`listens on ${host}:${port}`));
for (const signal of ['SIGTERM', 'SIGQUIT'] as const) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}

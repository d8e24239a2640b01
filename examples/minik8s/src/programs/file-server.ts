/**
 * Stands in for the images `7143192/fileserver` and `7143192/downloader`, which share the folder of a volume: one program with two names.
 *
 * It works in `/usr/share/files` (below `ORBIT_ROOT` where mount paths are not real; made when nothing is mounted there), on `PORT`;
 * without it on 3000 as downloader, else on 8080 and 8000, since manifests differ about it.
 *
 * - `GET /` lists the folder, `GET /NAME` answers with a file of it.
 * - As downloader (`--download`), `GET /download?url=http://…` fetches that into the folder and answers with the file's name.
 *
 * Names are single path segments: nothing outside of the folder is read or written, links included. It uses nothing but Node.
 */
import { constants } from 'node:fs';
import { mkdir, open, readdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';

const downloads = process.argv.includes('--download');
const folder = join(process.env['ORBIT_ROOT'] ?? '/', 'usr/share/files');
const host = process.env['HOST'] ?? '0.0.0.0';
const asked = process.env['PORT'];
const ports = asked ? [Number(asked)] : downloads ? [3_000] : [8_080, 8_000];
/** A download that takes longer, or is larger, is refused. */
const mostMs = 30_000;
const mostBytes = 64 << 20;

/** A place in the folder, never a link that leads out of it. */
const openIn = (name: string, flags: number) => open(join(folder, name), flags | constants.O_NOFOLLOW, 0o644);

function nameOf(text: string): string | undefined {
  const name = decodeURIComponent(text);
  return /^[^/\0]+$/.test(name) && name !== '.' && name !== '..' ? name : undefined;
}

async function download(address: string): Promise<string> {
  const url = new URL(address);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Error('only http and https are fetched');
  const answer = await fetch(url, { signal: AbortSignal.timeout(mostMs) });
  if (!answer.ok) throw new Error(`${url.host} answered ${answer.status}`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    size += chunk.byteLength;
    if (size > mostBytes) throw new Error(`more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  const name = nameOf(url.pathname.split('/').at(-1) ?? '') ?? 'index.html';
  const file = await openIn(name, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC);
  try {
    await file.writeFile(Buffer.concat(chunks));
  } finally {
    await file.close();
  }
  return name;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://pod');
  const text = (status: number, body: string) =>
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${body}\n`);
  if (request.method !== 'GET') return void text(405, 'GET only');
  if (url.pathname === '/') return void text(200, (await readdir(folder)).sort().join('\n'));
  if (downloads && url.pathname === '/download') {
    return void text(200, await download(url.searchParams.get('url') ?? ''));
  }
  const name = nameOf(url.pathname.slice(1));
  if (!name) return void text(404, 'no such file');
  try {
    const file = await openIn(name, constants.O_RDONLY);
    try {
      response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(await file.readFile());
    } finally {
      await file.close();
    }
  } catch {
    text(404, 'no such file');
  }
}

await mkdir(folder, { recursive: true });
for (const port of ports) {
  const server = createServer((request, response) => {
    answer(request, response).catch((error: Error) => {
      if (!response.headersSent) response.writeHead(502, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(`${error.message}\n`);
    });
  });
  server.on('error', error => {
    console.error(error.message);
    process.exit(1);
  });
  server.listen(port, host, () => console.log(`${folder} on ${host}:${port}`));
}
process.on('SIGTERM', () => process.exit(0));

/**
 * Stands in for the image `lwsg/notice-server`: answers every request with the text of the variable `_NOTICE`, without the blanks around
 * it, on `PORT` (80). Where an ordinary user may not bind 80 and nothing set `PORT`, it answers on 8080. It uses nothing but Node.
 */
import { createServer } from 'node:http';

const notice = (process.env['_NOTICE'] ?? '').trim();
const host = process.env['HOST'] ?? '0.0.0.0';

const server = createServer((_request, response) => {
  response.setHeader('content-type', 'text/plain; charset=utf-8').end(`${notice}\n`);
});

function listen(port: number, instead?: number): void {
  server.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES' && instead) return listen(instead);
    console.error(error.message);
    process.exit(1);
  });
  server.listen(port, host, () => console.log(`listens on ${host}:${port}`));
}

const asked = process.env['PORT'];
if (asked) listen(Number(asked));
else listen(80, 8_080);

process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});

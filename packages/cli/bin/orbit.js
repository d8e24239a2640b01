#!/usr/bin/env node
import('../dist/main.js').then(
  main => main.run(process.argv),
  error => {
    if (error?.code === 'ERR_MODULE_NOT_FOUND' && String(error.message).includes('dist/main.js')) {
      console.error('orbit: not built yet; run `npm run build` in the root of the repository first');
    } else {
      console.error(error);
    }
    process.exitCode = 1;
  },
);

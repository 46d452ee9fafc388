import { Command } from 'commander';
import { IoError } from '../../errors';
import { createPlayground, hasPlayground } from '../../server/http/playground';
import { listen } from '../../server/listen';
import { interruptible } from '../interrupt';
import { wholeNumber } from '../parse';
import { tell } from '../say';

/** Where pages of this machine find it, unless said otherwise. */
const HOST = '127.0.0.1';

/** `ertacache playground`: the page that draws in a browser. */
export function playgroundCommand(): Command {
  return new Command('playground')
    .option('--port <n>', 'where to listen; 0 takes any that is free', wholeNumber(0, 65_535), 8081)
    .addHelpText('after', '\nOnly this machine can reach it. The model runs in the page: nothing is sent anywhere.')
    .action(async ({ port }: { readonly port: number }) => {
      if (!hasPlayground()) {
        throw new IoError('The playground is not built.', { hint: 'Build it: npm run build.' });
      }
      const { fetch } = createPlayground();
      const listening = await listen({ fetch: async request => fetch(request) }, { host: HOST, port });
      tell(`the playground is at ${listening.url}/\n`);
      try {
        await interruptible(ended, '\nThe playground has ended.\n');
      } finally {
        await listening.close();
      }
    });
}

const ended = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

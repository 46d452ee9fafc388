import { Command } from 'commander';
import { InterruptedError } from '../../errors';
import { download, planDownload } from '../../weights/download/download';
import { hubSettings } from '../../weights/download/repository';
import { interruptible } from '../interrupt';
import { progressLine } from '../progress';
import { bytesText, countText } from './units';

interface Options {
  readonly revision: string;
  readonly variant?: string | undefined;
  readonly out?: string | undefined;
  readonly subfolder?: string | undefined;
}

/** `ertacache download`: a model from the hub into a folder. */
export function downloadCommand(): Command {
  return new Command('download')
    .argument('<repository>', 'owner and name, such as Wan-AI/Wan2.1-T2V-1.3B-Diffusers')
    .option('--revision <name>', 'branch, tag or commit', 'main')
    .option('--out <folder>', "folder to write (default: the repository's name)")
    .option('--subfolder <name>', 'of a repository of several models the one to bring, such as minit2i-b-16')
    .option('--variant <name>', 'take the weight files of this variant, such as fp16, where a folder has them')
    .addHelpText(
      'after',
      '\nHF_ENDPOINT names a mirror. Models that ask for a login take the token in HF_TOKEN, in the file that\n' +
        'HF_TOKEN_PATH names, or that of `hf auth login`; none under HF_HUB_DISABLE_IMPLICIT_TOKEN=1. HTTPS_PROXY,\n' +
        'HTTP_PROXY and NO_PROXY are honoured.',
    )
    .action(
      (repository: string, { revision, variant, subfolder, out = repository.split('/').at(-1) as string }: Options) =>
        interruptible(async signal => {
          const settings = { ...(await hubSettings()), variant, signal };
          try {
            const plan = await planDownload(repository, revision, { ...settings, subfolder });
            const count = [plan, ...plan.beside].reduce((sum, { files }) => sum + files.length, 0);
            const amount = `${countText(count, 'file')}, ${bytesText(plan.bytes)}`;
            for (const { name } of plan.beside) console.log(`the text encoder is that of ${name}`);
            console.log(`${repository} at ${plan.commit.slice(0, 10)}: ${amount}, to ${out}`);
            const line = progressLine(repository, plan.bytes);
            let done = 0;
            try {
              await download(plan, out, {
                ...settings,
                onBytes(count) {
                  done += count;
                  line.update(done, `${bytesText(done)} of ${bytesText(plan.bytes)}`);
                },
              });
            } finally {
              line.stop();
            }
            console.log(`wrote ${out}`);
          } catch (error) {
            throw signal.aborted ? new InterruptedError(undefined, signal.reason) : error;
          }
        }),
    );
}

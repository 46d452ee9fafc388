import { Command } from 'commander';
import { linkEngine, unlinkEngine } from '../../engine/link/link';
import type { GlobalOptions } from '../global-options';

function linkCommand(): Command {
  return new Command('link')
    .description("build tfjs-node's binding against a TensorFlow that is on this machine")
    .option('--tensorflow <dir>', 'a site-packages/tensorflow folder, a virtualenv or a libtensorflow folder')
    .action(async (options: { tensorflow?: string }, command: Command) => {
      const { verbose } = command.optsWithGlobals<GlobalOptions>();
      const onStep = (line: string) => process.stderr.write(`${line} …\n`);
      const { record, folder, already } = await linkEngine({ tensorflow: options.tensorflow, onStep });
      console.log(`${already ? 'already linked' : 'linked'}: TensorFlow ${record.tensorflow} (${record.library.path})`);
      if (verbose) console.log(`in ${folder}`);
    });
}

function unlinkCommand(): Command {
  return new Command('unlink').description('remove what `engine link` built').action(async () => {
    const folders = await unlinkEngine();
    console.log(folders.length === 0 ? 'nothing was linked' : folders.map(folder => `removed ${folder}`).join('\n'));
  });
}

/** `ertacache engine`: the native engine that this user has linked. */
export function engineCommand(): Command {
  return new Command('engine').addCommand(linkCommand()).addCommand(unlinkCommand());
}

import { Command } from 'commander';
import { formatReceipt } from '../../media/format-receipt';
import { readReceipt } from '../../media/receipt';
import { print } from '../say';

/** `ertacache inspect`: how a picture or a clip was made. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .argument('<file>', 'a file that ertacache wrote, or a folder of frames')
    .option('--json', 'print JSON', false)
    .action(async (file: string, options: { json: boolean }) => {
      const receipt = await readReceipt(file);
      print(options.json ? JSON.stringify(receipt, null, 2) : formatReceipt(receipt));
    });
}

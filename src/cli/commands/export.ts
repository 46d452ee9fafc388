import { Command } from 'commander';
import { exportModel } from '../../lab/export/export-model';
import { knownTables } from '../../models/known-tables';
import { locateModel } from '../../pipelines/load';
import { type ConversionOptions, openingOf, watchedConversion, withConversionOptions } from './conversion';

interface Options extends ConversionOptions {
  split: boolean;
}

/** `ertacache export`: a transformer as a graph model, for programs that know tfjs and not ertacache. */
export function exportCommand(): Command {
  const command = new Command('export')
    .argument(
      '<model>',
      'a model that ships with ertacache, a model or pipeline folder, or a .safetensors or .gguf file',
    )
    .argument('<out>', 'the folder to write')
    .option(
      '--split',
      'name embed, blocks and output in the signature, so that a program can cache between them',
      false,
    );
  return withConversionOptions(command)
    .exitOverride()
    .action(async (model: string, out: string, options: Options) => {
      const settings = { ...options, ...(await openingOf(options)), tableOf: knownTables };
      const written = await watchedConversion(options.dtype, watched =>
        exportModel(locateModel(model), out, { ...settings, ...watched }),
      );
      console.log(`wrote ${out}/model.json: ${written}`);
    });
}

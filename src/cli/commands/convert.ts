import { Command } from 'commander';
import { graphsOfTransformers } from '../../lab/export/export-model';
import { modelWithKnownNames } from '../../models/known-names';
import { knownTables } from '../../models/known-tables';
import { foundModel } from '../../pipelines/load';
import { convertModel } from '../../weights/convert';
import type { OpenModel } from '../../weights/open-model';
import { type ConversionOptions, openingOf, watchedConversion, withConversionOptions } from './conversion';

interface Options extends ConversionOptions {
  unchecked: boolean;
}

/** `ertacache convert`: a checkpoint into the form that tfjs reads. */
export function convertCommand(): Command {
  const command = new Command('convert')
    .argument('<source>', 'a model folder, a pipeline folder, a converted model, or a .safetensors or .gguf file')
    .argument('<out>', 'the folder to write');
  return withConversionOptions(command)
    .option('--unchecked', 'also take model classes that ertacache does not know', false)
    .exitOverride()
    .action(async (source: string, out: string, options: Options) => {
      const named = (model: OpenModel): OpenModel => modelWithKnownNames(model, knownTables);
      const settings = {
        ...options,
        ...(await openingOf(options)),
        tableOf: knownTables,
        named,
        graphOf: graphsOfTransformers(),
      };
      const written = await watchedConversion(options.dtype, watched =>
        convertModel(foundModel(source) ?? source, out, { ...settings, ...watched }),
      );
      console.log(`wrote ${out}: ${written}`);
    });
}

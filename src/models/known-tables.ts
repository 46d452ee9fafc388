import { parseConfig } from '../io/parse-config';
import { plain } from '../weights/parameters';
import { ownTables, type TableOf } from '../weights/tables';
import { autoencoderClassNames, autoencoderOf } from './autoencoders';
import { familyOf, modelClassNames } from './families';
import { textEncoderClass, textEncoderNames } from './text/registry';

/** Parameter tables of every class that ertacache runs: transformers, text encoders and autoencoders. */
export const knownTables: TableOf = (className, config, listing) => {
  const parsed = <Config>(schema: Parameters<typeof parseConfig<Config>>[0]): Config =>
    parseConfig(schema, config, `The configuration of ${className}`);
  if (modelClassNames().includes(className)) {
    const model = familyOf(className);
    return model.parameters(parsed(model.schema));
  }
  if (autoencoderClassNames().includes(className)) {
    const autoencoder = autoencoderOf(className);
    return autoencoder.parameters(parsed(autoencoder.schema));
  }
  if (textEncoderNames().includes(className)) {
    const encoder = textEncoderClass(className);
    const table = encoder.parameters(parsed(encoder.schema), listing);
    const listed = new Set(table.map(parameter => parameter.name));
    // A second copy, or numbers that follow from the shape: some files hold them, and nothing is lost of them.
    const beside = (listing?.names ?? []).filter(
      name => !listed.has(name) && encoder.ignore.some(pattern => pattern.test(name)),
    );
    return [...table, ...beside.map(name => plain(name, [...(listing?.entry(name).shape ?? [])]))];
  }
  return ownTables(className, config);
};

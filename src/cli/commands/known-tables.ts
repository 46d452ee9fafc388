import { modelClass, modelClassNames, parseConfig } from '../../models/registry';
import { ownTables, type TableOf } from '../../weights/tables';

/** Parameter tables of every model class that ertacache runs. */
export const knownTables: TableOf = (className, config) => {
  if (!modelClassNames().includes(className)) return ownTables(className, config);
  const model = modelClass(className);
  return model.parameters(parseConfig(model.schema, config, `The configuration of ${className}`));
};

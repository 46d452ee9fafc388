import { requirements } from '../models/requirements';
import { componentOf } from '../weights/open-model';
import { DEFAULT_MODEL } from './default-model';
import { locateModel } from './load';
import { type OpeningOptions, openNamed } from './open';
import { usualDemand } from './usual-demand';

/** Guidance runs a picture twice. */
const ROWS = 2;
/** A forward pass of fewer operations is done sooner by one core: handing its many small parts around takes longer. */
const ENOUGH_FLOPS = 5e9;

/**
 * How many threads draw one picture of a model soonest, where that is not all of them; derived from its configuration.
 * What is wrong with the model is not told here: loading it will say so.
 */
export async function usualThreads(
  nameOrPath: string = DEFAULT_MODEL,
  options: OpeningOptions = {},
): Promise<number | undefined> {
  try {
    const opened = await openNamed(locateModel(nameOrPath), options);
    try {
      const { className, config } = componentOf(opened, 'transformer');
      const { flops } = requirements(className, config, await usualDemand(opened));
      return ROWS * flops.forward < ENOUGH_FLOPS ? 1 : undefined;
    } finally {
      await opened.close();
    }
  } catch {
    return undefined;
  }
}

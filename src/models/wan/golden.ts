import { blockName, type GoldenNames } from '../golden';

/** How golden cases of the reference name things. */
export const wanGolden: GoldenNames = {
  condition: inputs => ({ encoderHiddenStates: inputs.tensor('encoder_hidden_states') }),
  afterBlock: (index, tokens) => ({ [blockName(index)]: tokens.hidden }),
};

import { bothStreams, type GoldenNames } from '../../golden';

/** How golden cases of the reference name things. */
export const chromaGolden: GoldenNames = {
  timeFactor: 1000,
  condition: inputs => ({
    encoderHiddenStates: inputs.tensor('encoder_hidden_states'),
    imgIds: inputs.rows('img_ids'),
    ...(inputs.has('attention_mask') && { mask: inputs.rows('attention_mask') }),
  }),
  afterBlock: bothStreams,
};

import { bothStreams, type GoldenNames } from '../golden';

/** How golden cases of the reference name things. */
export const fluxGolden: GoldenNames = {
  timeFactor: 1000,
  condition: inputs => ({
    encoderHiddenStates: inputs.tensor('encoder_hidden_states'),
    pooledProjections: inputs.tensor('pooled_projections'),
    imgIds: inputs.rows('img_ids'),
    txtIds: inputs.rows('txt_ids'),
    ...(inputs.has('guidance') && { guidance: inputs.list('guidance') }),
  }),
  afterBlock: bothStreams,
};

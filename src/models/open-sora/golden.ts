import { blockName, type GoldenNames } from '../golden';

/** How golden cases of the reference name things. */
export const openSoraGolden: GoldenNames = {
  latent: 'x',
  condition: inputs => ({
    captions: inputs.squeezed('y', 1),
    fps: inputs.list('fps'),
    height: inputs.list('height')[0],
    width: inputs.list('width')[0],
    ...(inputs.has('mask') && { mask: inputs.rows('mask') }),
    ...(inputs.has('x_mask') && { frameMask: inputs.rows('x_mask') }),
  }),
  afterBlock: (index, tokens) => ({
    [`${blockName(Math.floor(index / 2))}.${index % 2 === 0 ? 'spatial' : 'temporal'}`]: tokens.hidden,
  }),
};

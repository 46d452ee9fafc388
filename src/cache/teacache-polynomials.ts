import { PolicyError } from '../errors';

/** A polynomial that TeaCache's authors published for one model. */
export interface PublishedPolynomial {
  /** Name of the model's preset. */
  readonly preset: string;
  readonly modelClass: string;
  /**
   * What its input is the relative change of: the model's own signal (`Denoiser.signal`), or the projected time
   * embedding, which the variant of TeaCache that retains the first and last steps compares.
   */
  readonly signal: 'own' | 'projection';
  /** Highest power first. */
  readonly coefficients: readonly number[];
}

/** The coefficients in TeaCache's repository. They belong to these checkpoints; another one needs its own fit. */
export const publishedPolynomials: readonly PublishedPolynomial[] = [
  {
    preset: 'flux-dev',
    modelClass: 'FluxTransformer2DModel',
    signal: 'own',
    coefficients: [498.651651, -283.781631, 55.8554382, -3.82021401, 0.264230861],
  },
  {
    preset: 'wan2.1-t2v-1.3b',
    modelClass: 'WanTransformer3DModel',
    signal: 'own',
    coefficients: [2396.76752, -1311.10545, 201.331979, -8.29855975, 0.137887774],
  },
  {
    preset: 'wan2.1-t2v-1.3b',
    modelClass: 'WanTransformer3DModel',
    signal: 'projection',
    coefficients: [-52186.2437, 9230.41404, -528.275948, 13.6987616, -0.0499875664],
  },
  {
    preset: 'cogvideox-2b',
    modelClass: 'CogVideoXTransformer3DModel',
    signal: 'own',
    coefficients: [-31.0658903, 25.4732368, -5.92380459, 1.75769064, -0.00361568434],
  },
  {
    preset: 'opensora-1.2',
    modelClass: 'STDiT3',
    signal: 'own',
    coefficients: [217.546007, -118.329252, 26.8662585, -0.0459364272, 0.048442624],
  },
];

/**
 * The published coefficients for a preset, as `teacache` takes them.
 * @throws PolicyError when none were published
 */
export function publishedPolynomial(preset: string): readonly number[] {
  const found = publishedPolynomials.find(p => p.preset === preset && p.signal === 'own');
  if (found) return found.coefficients;
  const known = publishedPolynomials.filter(p => p.signal === 'own').map(p => p.preset);
  throw new PolicyError(`No polynomial of TeaCache was published for "${preset}".`, {
    hint: `Published are ${known.join(', ')}; for other models fit one with \`ertacache calibrate --method teacache\`.`,
  });
}

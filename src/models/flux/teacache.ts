import type { PublishedPolynomial } from '../polynomial';

/** The coefficients in TeaCache's repository (ali-vilab/TeaCache, Apache-2.0). */
export const fluxPolynomials: readonly PublishedPolynomial[] = [
  { preset: 'flux-dev', signal: 'own', coefficients: [498.651651, -283.781631, 55.8554382, -3.82021401, 0.264230861] },
];

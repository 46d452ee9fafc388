import type { PublishedPolynomial } from '../polynomial';

/** The coefficients in TeaCache's repository (ali-vilab/TeaCache, Apache-2.0). */
export const openSoraPolynomials: readonly PublishedPolynomial[] = [
  {
    preset: 'opensora-1.2',
    signal: 'own',
    coefficients: [217.546007, -118.329252, 26.8662585, -0.0459364272, 0.048442624],
  },
];

import type { PublishedPolynomial } from '../polynomial';

/** The coefficients in TeaCache's repository (ali-vilab/TeaCache, Apache-2.0). */
export const wanPolynomials: readonly PublishedPolynomial[] = [
  {
    preset: 'wan2.1-t2v-1.3b',
    signal: 'own',
    coefficients: [2396.76752, -1311.10545, 201.331979, -8.29855975, 0.137887774],
  },
  {
    preset: 'wan2.1-t2v-1.3b',
    signal: 'projection',
    coefficients: [-52186.2437, 9230.41404, -528.275948, 13.6987616, -0.0499875664],
  },
];

import type { PublishedPolynomial } from '../polynomial';

/** The coefficients in TeaCache's repository (ali-vilab/TeaCache, Apache-2.0). */
export const cogVideoXPolynomials: readonly PublishedPolynomial[] = [
  {
    preset: 'cogvideox-2b',
    signal: 'own',
    coefficients: [-31.0658903, 25.4732368, -5.92380459, 1.75769064, -0.00361568434],
  },
];
